// The same partition axis cut differently: partitions move by engine copies where an engine may address both ranges,
// else by DMA. Another partition axis: squares of the two axes go through the tensor engine's transpose, several into
// one PSUM bank, and are copied out together; types that it does not carry, by DMA.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/copy.h"
#include "kernels/kernels.h"
#include "kernels/pieces.h"

namespace presil::kernels {
namespace {

using Extents = std::vector<int64_t>;

constexpr int64_t kStepMax = 32767;

// Whether an engine may address `count` partitions from `first` of a tile (fact sheet, section 2.2).
bool addressable(const spec::ChipSpec& spec, int64_t first, int64_t count) {
  const int64_t total = spec.sbuf.partitions;
  const int64_t step = count > total / 2 ? total : count > total / 4 ? total / 2 : std::max<int64_t>(1, total / 4);
  return first % step == 0;
}

// Loops over all free axes, in `out`'s order.
std::vector<Loop> free_loops(const Block& out, const Block& in) {
  std::vector<Loop> loops;
  for (size_t axis = 0; axis < out.shape.size(); ++axis) {
    if (static_cast<int>(axis) != out.partition_axis) {
      loops.push_back({out.shape[axis], {out.strides[axis], in.strides[axis]}});
    }
  }
  return loops;
}

void move_partitions(Context& context, const Block& in, const Block& out) {
  const std::vector<Cut> from = cuts(in, in.shape[static_cast<size_t>(in.partition_axis)]);
  for (const Cut& to : cuts(out, out.shape[static_cast<size_t>(out.partition_axis)])) {
    for (const Cut& f : from) {
      const int64_t begin = std::max(to.begin, f.begin);
      const int64_t count = std::min(to.begin + to.count, f.begin + f.count) - begin;
      if (count <= 0) continue;
      const isa::View dst = origin(out, to.group, begin - to.begin, count, {});
      const isa::View src = origin(in, f.group, begin - f.begin, count, {});
      const bool engine =
          addressable(context.spec, dst.partition, count) && addressable(context.spec, src.partition, count);
      const Limits limits = engine ? Limits{} : Limits{.elements = INT64_MAX, .engine = false};
      for_each_piece({dst, src}, free_loops(out, in), limits, [&](std::span<const isa::View> v) {
        if (engine) {
          copy(context, v[0], v[1]);
        } else {
          context.build.dma(v[0], v[1]);
        }
      });
    }
  }
}

// Moves element by element: each partition of `in` is spread over partitions of `out` by one DMA.
void scatter(Context& context, const Block& in, const Block& out) {
  const auto p = static_cast<size_t>(in.partition_axis), q = static_cast<size_t>(out.partition_axis);
  Extents at(in.shape.size(), 0);
  for (const Cut& to : cuts(out, context.spec.sbuf.partitions)) {
    for (const Cut& from : cuts(in, 1)) {
      at[p] = from.begin, at[q] = to.begin;
      const isa::View dst = origin(out, to.group, to.partition, to.count, at);
      isa::View src = origin(in, from.group, from.partition, 1, at);
      // Elements are matched partition by partition, so the source walks the new partition axis outermost.
      std::vector<Loop> loops;
      for (size_t axis = 0; axis < in.shape.size(); ++axis) {
        if (axis != p && axis != q) loops.push_back({in.shape[axis], {out.strides[axis], in.strides[axis]}});
      }
      for_each_piece({dst, src}, loops, {.elements = INT64_MAX, .engine = false}, [&](std::span<const isa::View> v) {
        isa::View spread = v[1];
        std::copy_backward(v[1].dims.begin(), v[1].dims.begin() + v[1].rank, spread.dims.begin() + v[1].rank + 1);
        spread.dims[0] = {static_cast<int32_t>(in.strides[q]), static_cast<uint32_t>(to.count)};
        ++spread.rank;
        context.build.dma(v[0], spread);
      });
    }
  }
}

// The tensor engine moves 2- and 4-byte elements unchanged; it knows them as floats. That of generation 2 multiplies
// by one, which only floats survive.
std::optional<DType> carrier(const spec::ChipSpec& spec, DType t) {
  if (is_float(t) && dtype_bytes(t) >= 2) return t;
  if (spec.generation < 3) return std::nullopt;
  if (dtype_bytes(t) == 4) return DType::fp32;
  if (dtype_bytes(t) == 2) return DType::bf16;
  return std::nullopt;
}

struct Squares {
  Context& context;
  const Block& in;
  const Block& out;
  DType read, held;  // types as which the tensor engine reads elements and PSUM holds them
  size_t p, q, row;  // axes: on partitions before, after; rows of a bank (== p if there is none)

  int64_t rows() const { return row == p ? 1 : in.shape[row]; }
};

// One square to `dst`; `at` is its first element.
void transpose_square(const Squares& s, const isa::View& dst, const Extents& at, const Cut& from, const Cut& to) {
  isa::View data = origin(s.in, from.group, from.partition, from.count, at);
  data.dtype = s.read;
  data.rank = 1, data.dims[0] = {static_cast<int32_t>(s.in.strides[s.q]), static_cast<uint32_t>(to.count)};
  s.context.build.transpose({.dst = dst, .data = data});
}

// `rows` rows from at[row], the partition cuts `from` of each, to one cut of `out`, through one PSUM bank.
void transpose_bank(const Squares& s, Extents at, int64_t rows, std::span<const Cut> from, const Cut& to) {
  tile::Builder& build = s.context.build;
  const int64_t width = from.back().begin + from.back().count - from.front().begin;
  const auto size = static_cast<int64_t>(dtype_bytes(s.held));
  const auto partitions = static_cast<uint32_t>(to.count);
  const uint32_t bank = build.psum(partitions, static_cast<uint32_t>(rows * width * size), "transposed");
  at[s.p] = from.front().begin, at[s.q] = to.begin;
  const Extents first = at;
  for (int64_t r = 0; r < rows; ++r) {
    if (s.row != s.p) at[s.row] = first[s.row] + r;
    for (const Cut& f : from) {
      const int64_t offset = (r * width + f.begin - from.front().begin) * size;
      const isa::View square =
          build.tile_view(bank, s.held, 0, partitions, offset, {{1, static_cast<uint32_t>(f.count)}});
      transpose_square(s, square, at, f, to);
    }
  }
  // Integers travelled as floats of their size.
  const isa::View psum = build.tile_view(bank, is_float(s.in.dtype) ? s.held : s.in.dtype, 0, partitions, 0, {});
  const std::vector<Loop> loops = {{rows, {s.row == s.p ? 0 : s.out.strides[s.row], width}},
                                   {width, {s.out.strides[s.p], 1}}};
  for_each_piece({origin(s.out, to.group, to.partition, to.count, first), psum}, loops, {},
                 [&](std::span<const isa::View> v) { copy(s.context, v[0], v[1]); });
}

// All of `out`, bank by bank: as many cuts of the old partition axis as fit a bank, then as many rows.
void transpose_squares(const Squares& s) {
  const spec::ChipSpec& spec = s.context.spec;
  const int64_t side = std::min({spec.tensor.rows, spec.tensor.columns, spec.psum.partitions});
  const auto bank = static_cast<int64_t>(spec.psum.bytes_per_partition / spec.psum.banks / dtype_bytes(s.held));
  const std::vector<Cut> from = cuts(s.in, std::min(side, bank));
  Extents outer = s.in.shape;
  outer[s.p] = outer[s.q] = outer[s.row] = 1;
  for (const Cut& to : cuts(s.out, side)) {
    for_each_index(outer, [&](Extents at) {
      for (size_t first = 0, last = 0; first < from.size(); first = last) {
        int64_t width = 0;
        for (; last < from.size() && (last == first || width + from[last].count <= bank); ++last) {
          width += from[last].count;
        }
        const int64_t rows = std::max<int64_t>(1, bank / width);
        for (int64_t r = 0; r < s.rows(); r += rows) {
          if (s.row != s.p) at[s.row] = r;
          transpose_bank(s, at, std::min(rows, s.rows() - r), std::span(from).subspan(first, last - first), to);
        }
      }
    });
  }
}

// The axis, neither before nor after on partitions, that has most elements.
size_t longest_other_axis(const Block& in, size_t p, size_t q) {
  size_t best = p;
  for (size_t axis = 0; axis < in.shape.size(); ++axis) {
    if (axis != p && axis != q && (best == p || in.shape[axis] > in.shape[best])) best = axis;
  }
  return best;
}

}  // namespace

void relayout(Context& context, const Block& in, const Block& out) {
  CHECK(in.shape == out.shape,
        fmt::format("relayout of [{}] to [{}]", fmt::join(in.shape, ", "), fmt::join(out.shape, ", ")));
  if (in.partition_axis == out.partition_axis) return move_partitions(context, in, out);
  const auto p = static_cast<size_t>(in.partition_axis), q = static_cast<size_t>(out.partition_axis);
  const std::optional<DType> read = carrier(context.spec, in.dtype);
  const bool squares = read && (is_float(in.dtype) || in.dtype == out.dtype) && in.strides[q] <= kStepMax;
  if (!squares) return scatter(context, in, out);
  const DType held = context.spec.generation < 3 ? DType::fp32 : *read;  // generation 2 has fp32 results only
  transpose_squares({context, in, out, *read, held, p, q, longest_other_axis(in, p, q)});
}

}  // namespace presil::kernels
