// Free axes are reduced by tensor_reduce. The partition axis is summed by a product with a column of ones on the tensor
// engine; its maximum, minimum and product take the axis off the partitions first.
#include "kernels/reduce.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/copy.h"
#include "kernels/kernels.h"
#include "kernels/pieces.h"

namespace presil::kernels {
namespace {

using Axes = std::vector<int64_t>;

constexpr int64_t kSumRun = 16384;     // elements that one instruction adds up
constexpr int64_t kReduceMax = 65535;  // elements of one reduced dimension
constexpr int64_t kStepMax = 32767;

size_t at(int64_t axis) { return static_cast<size_t>(axis); }

Axes with_extent(const Block& block, int64_t axis, int64_t extent) {
  Axes shape = block.shape;
  shape[at(axis)] = extent;
  return shape;
}

// The reduced axes as the innermost dims of a view: merged where contiguous.
std::vector<isa::Dim> reduced_dims(const Block& in, const Axes& axes) {
  std::vector<isa::Dim> dims;
  for (int64_t axis : axes) {
    const auto count = static_cast<uint32_t>(in.shape[at(axis)]);
    const auto step = static_cast<int32_t>(in.strides[at(axis)]);
    if (count == 1) continue;
    if (!dims.empty() && dims.back().step == int64_t{step} * count) {
      dims.back() = {step, dims.back().count * count};
    } else {
      dims.push_back({step, count});
    }
  }
  if (dims.empty()) dims.push_back({1, 1});
  return dims;
}

int64_t count_of(const Block& in, const Axes& axes) {
  int64_t n = 1;
  for (int64_t axis : axes) n *= in.shape[at(axis)];
  return n;
}

struct Reduction {
  AluOp op;
  bool negate;
};

// One tensor_reduce per group and piece of the kept axes.
void reduce_at_once(Context& context, const Reduction& r, const std::vector<isa::Dim>& dims,
                    const std::vector<Loop>& kept, const Block& in, const Block& out) {
  for (size_t g = 0; g < in.groups.size(); ++g) {
    isa::View src = origin(in, g);
    src.rank = static_cast<uint8_t>(dims.size());
    std::copy(dims.begin(), dims.end(), src.dims.begin());
    for_each_piece({origin(out, g), src}, kept, {}, [&](std::span<const isa::View> v) {
      context.build.tensor_reduce(
          {.dst = v[0], .data = v[1], .op = r.op, .axes = static_cast<int>(dims.size()), .negate = r.negate});
    });
  }
}

std::vector<Loop> kept_loops(const Axes& axes, const Block& in, const Block& out) {
  std::vector<Loop> loops;
  for (int64_t axis = 0; axis < in.rank(); ++axis) {
    if (axis == in.partition_axis || std::find(axes.begin(), axes.end(), axis) != axes.end()) continue;
    loops.push_back({in.shape[at(axis)], {out.strides[at(axis)], in.strides[at(axis)]}});
  }
  return loops;
}

// One axis in runs, then the runs.
void reduce_in_runs(Context& context, const Reduction& r, int64_t axis, int64_t run, const Block& in,
                    const Block& out) {
  const int64_t n = in.shape[at(axis)], runs = n / run, rest = n % run;
  const Block partial =
      allocate_like(context, in, DType::fp32, with_extent(in, axis, runs + (rest > 0)), "partial results");
  const auto step = static_cast<int32_t>(in.strides[at(axis)]);
  std::vector<Loop> loops = kept_loops({axis}, in, partial);
  loops.push_back({runs, {partial.strides[at(axis)], run * step}});
  reduce_at_once(context, {r.op, false}, {{step, static_cast<uint32_t>(run)}}, loops, in, partial);
  if (rest > 0) {
    reduce_free_axes(context, r.op, {axis}, *sliced(in, static_cast<int>(axis), {runs * run, rest, 1}),
                     *sliced(partial, static_cast<int>(axis), {runs, 1, 1}));
  }
  reduce_free_axes(context, r.op, {axis}, partial, out, r.negate);
}

AluOp alu_op(graph::ReduceKind kind) {
  switch (kind) {
    case graph::ReduceKind::sum:
    case graph::ReduceKind::mean:
      return AluOp::add;
    case graph::ReduceKind::max:
      return AluOp::max;
    case graph::ReduceKind::min:
      return AluOp::min;
    case graph::ReduceKind::prod:
      return AluOp::multiply;
  }
  CHECK(false, "a kind of reduction");
}

// out[0, i] = scale * sum over partitions of in[p, i].
void sum_partitions(Context& context, float scale, const Block& in, const Block& out) {
  const spec::ChipSpec& spec = context.spec;
  const uint32_t ones = context.build.sbuf(spec.sbuf.partitions, dtype_bytes(in.dtype), "ones");
  context.build.memset({.dst = context.build.tile_view(ones, in.dtype), .value = 1.0f});
  const int64_t bank = static_cast<int64_t>(spec.psum.bytes_per_partition / spec.psum.banks) / 4;
  const std::vector<Cut> parts = cuts(in, spec.tensor.rows);
  auto emit = [&](std::span<const isa::View> v) {
    const auto n = static_cast<uint32_t>(v[0].elements_per_partition());
    const uint32_t tile = context.build.psum(1, n * 4, "sum over partitions");
    const isa::View sum = context.build.tile_view(tile, DType::fp32);
    for (size_t k = 0; k < parts.size(); ++k) {
      isa::View moving = v[1];
      const Group& group = in.groups[parts[k].group];
      moving.base = group.tile;
      moving.offset += group.byte_offset - in.groups[0].byte_offset;
      moving.partition = static_cast<uint16_t>(parts[k].partition);
      moving.partitions = static_cast<uint16_t>(parts[k].count);
      const isa::View column =
          context.build.tile_view(ones, in.dtype, moving.partition, moving.partitions, 0, {{1, 1}});
      context.build.matmul({.dst = sum, .stationary = column, .moving = moving, .accumulate = k > 0});
    }
    copy_scaled(context, v[0], sum, scale);
  };
  for_each_piece({origin(out, 0), origin(in, 0)}, kept_loops({}, in, out),
                 {.elements = std::min<int64_t>(bank, spec.tensor.moving_max)}, emit);
}

// Any operator over the partition axis: another axis takes its place on partitions.
void reduce_off_partitions(Context& context, AluOp op, const Block& in, const Block& out) {
  const int p = in.partition_axis;
  int q = p == 0 ? 1 : 0;
  for (int axis = 0; axis < in.rank(); ++axis) {
    if (axis != p && in.shape[at(axis)] > in.shape[at(q)]) q = axis;
  }
  const Block turned = allocate(context, in.dtype, in.shape, q, "axes turned");
  relayout(context, in, turned);
  const Block reduced = allocate(context, out.dtype, out.shape, q, "reduced");
  reduce_free_axes(context, op, {p}, turned, reduced);
  relayout(context, reduced, out);
}

// The same with a leading axis of 1, so that there is an axis to put on partitions.
Block with_unit_axis(Block block) {
  block.shape.insert(block.shape.begin(), 1);
  block.strides.insert(block.strides.begin(), 0);
  ++block.partition_axis;
  return block;
}

void reduce_partitions(Context& context, graph::ReduceKind kind, float scale, const Block& in, const Block& out) {
  const bool sum = kind == graph::ReduceKind::sum || kind == graph::ReduceKind::mean;
  if (!sum) {
    const bool flat = in.rank() == 1;
    return reduce_off_partitions(context, alu_op(kind), flat ? with_unit_axis(in) : in,
                                 flat ? with_unit_axis(out) : out);
  }
  if (out.partition_axis == in.partition_axis) return sum_partitions(context, scale, in, out);
  const Block turned = allocate(context, out.dtype, out.shape, in.partition_axis, "reduced");
  sum_partitions(context, scale, in, turned);
  relayout(context, turned, out);
}

void scale_in_place(Context& context, float scale, const Block& from, const Block& out) {
  for (size_t g = 0; g < out.groups.size(); ++g) {
    for_each_piece({origin(out, g), origin(from, g)}, kept_loops({}, from, out), {},
                   [&](std::span<const isa::View> v) { copy_scaled(context, v[0], v[1], scale); });
  }
}

}  // namespace

void reduce_free_axes(Context& context, AluOp op, Axes axes, const Block& in, const Block& out, bool negate) {
  CHECK(in.partition_axis == out.partition_axis && same_cut(in, out), "a reduction of free axes keeps the groups");
  std::erase_if(axes, [&](int64_t axis) { return in.shape[at(axis)] == 1; });
  std::sort(axes.begin(), axes.end());
  const std::vector<isa::Dim> dims = reduced_dims(in, axes);
  const int64_t longest = op == AluOp::add ? kSumRun : kReduceMax;
  const bool short_steps = std::all_of(dims.begin(), dims.end(), [](const isa::Dim& d) {
    return d.count == 1 || std::abs(int64_t{d.step}) <= kStepMax;
  });
  if (dims.size() <= 3 && short_steps && count_of(in, axes) <= longest) {
    return reduce_at_once(context, {op, negate}, dims, kept_loops(axes, in, out), in, out);
  }
  if (axes.size() > 1) {  // the innermost axis first
    const int64_t last = axes.back();
    axes.pop_back();
    const Block partial = allocate_like(context, in, DType::fp32, with_extent(in, last, 1), "partial results");
    reduce_free_axes(context, op, {last}, in, partial);
    return reduce_free_axes(context, op, axes, partial, out, negate);
  }
  CHECK(short_steps,
        fmt::format("axis {} of [{}] has steps beyond an access pattern", axes[0], fmt::join(in.shape, ", ")));
  reduce_in_runs(context, {op, negate}, axes[0], std::min<int64_t>(longest, 8192), in, out);
}

void reduce(Context& context, graph::ReduceKind kind, const Axes& axes, const Block& in, const Block& out) {
  const bool partitions = std::find(axes.begin(), axes.end(), in.partition_axis) != axes.end();
  Axes free;
  std::copy_if(axes.begin(), axes.end(), std::back_inserter(free), [&](int64_t a) { return a != in.partition_axis; });
  const float scale = kind == graph::ReduceKind::mean ? 1.0f / static_cast<float>(count_of(in, axes)) : 1.0f;
  if (!partitions && (kind != graph::ReduceKind::mean || free.empty())) {
    return reduce_free_axes(context, alu_op(kind), free, in, out);
  }
  Block partial = in;
  if (!free.empty()) {
    Axes shape = in.shape;
    for (int64_t axis : free) shape[at(axis)] = 1;
    const bool in_place = !partitions && out.dtype == DType::fp32;
    partial = in_place ? out : allocate_like(context, in, DType::fp32, shape, "partial results");
    reduce_free_axes(context, alu_op(kind), free, in, partial);
  }
  if (partitions) return reduce_partitions(context, kind, scale, partial, out);
  scale_in_place(context, scale, partial, out);
}

}  // namespace presil::kernels
