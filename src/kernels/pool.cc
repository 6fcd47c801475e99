// Windows are reduced by tensor_reduce over a view that repeats the input with one pair of dims for the outputs and one
// for the taps. Outputs with equally cut windows (inside, at each border) form segments; an axis at a time is pooled
// when that reads less than all taps of all outputs.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/copy.h"
#include "kernels/kernels.h"
#include "kernels/pieces.h"
#include "kernels/reduce.h"

namespace presil::kernels {
namespace {

constexpr int64_t kReduceMax = 65536;  // elements that one instruction reduces to one
// Elements that one instruction reads: a longer one would keep what leaves PSUM meanwhile, and with it the tensor
// engine, waiting.
constexpr int64_t kPieceElements = 4096;

// Consecutive outputs of one axis whose windows keep the same taps [tap, tap + taps); `counted` taps divide an average.
struct Segment {
  int64_t begin = 0, count = 0;
  int64_t tap = 0, taps = 0;
  int64_t counted = 1;
  bool same_window(const Segment& o) const { return tap == o.tap && taps == o.taps && counted == o.counted; }
};

// One axis of the image: outputs [begin, begin + count), inputs of which [0, extent) exist and are stored from
// `input_begin` on.
struct Axis {
  int64_t kernel, stride, dilation, pad_begin, pad_end;
  int64_t begin, count;
  int64_t extent, input_begin;
};

Axis axis_of(const Window& w, int i, int64_t begin, int64_t count, int64_t extent, int64_t input_begin) {
  return {w.kernel[i], w.stride[i], w.dilation[i], w.pad_begin[i], w.pad_end[i], begin, count, extent, input_begin};
}

std::vector<Segment> segments(const Axis& a, bool count_include_pad) {
  std::vector<Segment> out;
  for (int64_t o = 0; o < a.count; ++o) {
    Segment s{.begin = o, .count = 1, .counted = 0};
    for (int64_t k = 0; k < a.kernel; ++k) {
      const int64_t i = (a.begin + o) * a.stride - a.pad_begin + k * a.dilation;
      if (i >= 0 && i < a.extent && s.taps++ == 0) s.tap = k;
      s.counted += count_include_pad && i < a.extent + a.pad_end;
    }
    if (!count_include_pad) s.counted = std::max<int64_t>(1, s.taps);
    if (!out.empty() && out.back().same_window(s)) {
      ++out.back().count;
    } else {
      out.push_back(s);
    }
  }
  return out;
}

// First stored input of a segment.
int64_t first_input(const Axis& a, const Segment& s) {
  return (a.begin + s.begin) * a.stride - a.pad_begin + s.tap * a.dilation - a.input_begin;
}

struct Pool {
  Context& context;
  AluOp op;
  float empty;  // result of a window without inputs
};

// out's rectangle rows x columns = the reduction of its windows in `in`. An axis that is not pooled has one tap and
// stride 1.
void reduce_rectangle(const Pool& p, const Axis& y, const Segment& rows, const Axis& x, const Segment& columns,
                      const Block& in, const Block& out) {
  const bool empty = rows.taps == 0 || columns.taps == 0;
  const int64_t input_row = empty ? 0 : first_input(y, rows), input_column = empty ? 0 : first_input(x, columns);
  CHECK(
      empty || (input_row >= 0 && input_row + (rows.count - 1) * y.stride + (rows.taps - 1) * y.dilation < in.shape[2]),
      "the caller provides the rows that a window needs");
  std::vector<isa::Dim> taps;
  if (rows.taps > 1) {
    taps.push_back({static_cast<int32_t>(in.strides[2] * y.dilation), static_cast<uint32_t>(rows.taps)});
  }
  if (columns.taps > 1 || taps.empty()) {
    taps.push_back(
        {static_cast<int32_t>(in.strides[3] * x.dilation), static_cast<uint32_t>(std::max<int64_t>(1, columns.taps))});
  }
  const std::vector<Loop> loops = {{out.shape[0], {out.strides[0], in.strides[0]}},
                                   {rows.count, {out.strides[2], in.strides[2] * y.stride}},
                                   {columns.count, {out.strides[3], in.strides[3] * x.stride}}};
  for (size_t g = 0; g < out.groups.size(); ++g) {
    const int64_t partitions = out.groups[g].partitions;
    const isa::View dst = origin(out, g, 0, partitions, {0, 0, rows.begin, columns.begin});
    isa::View src = origin(in, g, 0, partitions, {0, 0, input_row, input_column});
    src.rank = static_cast<uint8_t>(taps.size());
    std::copy(taps.begin(), taps.end(), src.dims.begin());
    const Limits limits{.elements = std::max<int64_t>(kPieceElements, rows.taps * columns.taps)};
    for_each_piece({dst, src}, loops, limits, [&](std::span<const isa::View> v) {
      if (empty) {
        p.context.build.memset({.dst = v[0], .value = p.empty});
      } else {
        p.context.build.tensor_reduce({.dst = v[0], .data = v[1], .op = p.op, .axes = static_cast<int>(taps.size())});
      }
    });
  }
}

void reduce_windows(const Pool& p, const Axis& y, const std::vector<Segment>& rows, const Axis& x,
                    const std::vector<Segment>& columns, const Block& in, const Block& out) {
  for (const Segment& r : rows) {
    for (const Segment& c : columns) reduce_rectangle(p, y, r, x, c, in, out);
  }
}

// An axis left as it is: output i is input i of the block.
Axis identity(int64_t count) { return {1, 1, 1, 0, 0, 0, count, count, 0}; }

// Columns into a block of the input's rows, then rows; or all taps at once, whichever reads less.
void reduce_all(const Pool& p, const Axis& y, const std::vector<Segment>& rows, const Axis& x,
                const std::vector<Segment>& columns, const Block& in, const Block& out) {
  const int64_t at_once = y.kernel * x.kernel * out.shape[2] * out.shape[3];
  const int64_t in_turn = (x.kernel * in.shape[2] + y.kernel * out.shape[2]) * out.shape[3];
  const bool fits = y.kernel * x.kernel <= kReduceMax;
  if (y.kernel == 1 || x.kernel == 1 || (fits && at_once <= in_turn))
    return reduce_windows(p, y, rows, x, columns, in, out);
  Block narrow = allocate_like(p.context, in, p.op == AluOp::max ? in.dtype : DType::fp32,
                               {in.shape[0], in.shape[1], in.shape[2], out.shape[3]}, "pooled columns");
  const Axis all_rows = identity(in.shape[2]), all_columns = identity(out.shape[3]);
  reduce_windows(p, all_rows, segments(all_rows, false), x, columns, in, narrow);
  reduce_windows(p, y, rows, all_columns, segments(all_columns, false), narrow, out);
}

// Parts of an image's rows beside each other on partitions, where its channels leave room: parts * C partitions.
struct Parts {
  int64_t count = 1, rows = 0;  // rows of the result in each
};

// As many as fit, if the transfers take less than what the vector engine saves.
Parts parts_of(const Pool& p, const Window& w, const Block& in, const Block& out) {
  const spec::ChipSpec& spec = p.context.spec;
  const int64_t channels = in.shape[1], fit = std::min(group_partitions(spec) / channels, out.shape[2]);
  if (p.op != AluOp::max || in.groups.size() != 1 || in.dtype != out.dtype || fit < 2) return {};
  const Parts parts{fit, (out.shape[2] + fit - 1) / fit};
  const double rate = static_cast<double>(spec.dma.engine_bytes_per_s) * spec.dma.engines;
  const auto bytes = static_cast<double>(channels * (in.shape[2] * in.shape[3] + out.shape[2] * out.shape[3]) *
                                         static_cast<int64_t>(dtype_bytes(in.dtype)));
  const double moves = bytes / rate + 2 * to_seconds(spec.dma.start_latency_from_sbuf + spec.dma.completion);
  const double fast = in.dtype == DType::bf16 ? 2 : 1;  // tensor_reduce
  const auto reads = static_cast<double>(w.kernel[0] * w.kernel[1] * out.shape[2] * out.shape[3]);
  const double saved = reads / fast / static_cast<double>(spec.vector.clock_hz) * (1 - 1 / static_cast<double>(fit));
  return saved > moves ? parts : Parts{};
}

// Each part has all rows that its windows cover; those outside of the image are the least number.
void pool_parts(const Pool& p, const Window& w, const Parts& parts, const Axis& x, const std::vector<Segment>& columns,
                const Block& in, const Block& out, int64_t n) {
  const int64_t channels = in.shape[1], width = in.shape[3];
  const int64_t rows = (parts.rows - 1) * w.stride[0] + (w.kernel[0] - 1) * w.dilation[0] + 1;
  Block from = allocate(p.context, in.dtype, {1, parts.count * channels, rows, width}, 1, "parts of rows");
  Block to = allocate(p.context, out.dtype, {1, parts.count * channels, parts.rows, out.shape[3]}, 1, "pooled parts");
  auto rows_of = [&](const Block& block, int64_t part, int64_t begin, int64_t count) {
    isa::View v =
        view(block, 0, {{0, 1, 1}, {0, parts.count * channels, 1}, {begin, count, 1}, {0, block.shape[3], 1}});
    v.partition = static_cast<uint16_t>(part * channels), v.partitions = static_cast<uint16_t>(channels);
    return v;
  };
  struct Piece {
    isa::View dst, src;
  };
  std::vector<Piece> pieces;
  int64_t low = 0, high = rows;  // all parts have [low, high)
  for (int64_t part = 0; part < parts.count; ++part) {
    const int64_t first = (out.row_begin + part * parts.rows) * w.stride[0] - w.pad_begin[0] - in.row_begin;
    const int64_t begin = std::clamp<int64_t>(-first, 0, rows), end = std::clamp(in.shape[2] - first, begin, rows);
    low = std::max(low, begin), high = std::min(high, end);
    if (end == begin) continue;
    pieces.push_back({rows_of(from, part, begin, end - begin),
                      view(in, 0, {{n, 1, 1}, {0, channels, 1}, {first + begin, end - begin, 1}, {0, width, 1}})});
  }
  for (const auto& [begin, end] : {std::pair(int64_t{0}, low), std::pair(std::max(low, high), rows)}) {
    if (begin == end) continue;
    const isa::View dst =
        view(from, 0, {{0, 1, 1}, {0, parts.count * channels, 1}, {begin, end - begin, 1}, {0, width, 1}});
    p.context.build.memset({.dst = dst, .value = p.empty, .engine = isa::EngineKind::gpsimd});
  }
  for (const Piece& piece : pieces) p.context.build.dma(piece.dst, piece.src);
  const Axis y{w.kernel[0], w.stride[0], w.dilation[0], 0, 0, 0, parts.rows, rows, 0};
  reduce_all(p, y, segments(y, false), x, columns, from, to);
  for (int64_t part = 0; part < parts.count; ++part) {
    const int64_t begin = part * parts.rows, count = std::min(parts.rows, out.shape[2] - begin);
    if (count <= 0) break;
    p.context.build.dma(view(out, 0, {{n, 1, 1}, {0, channels, 1}, {begin, count, 1}, {0, out.shape[3], 1}}),
                        rows_of(to, part, 0, count));
  }
}

// Sums to averages. Segments with equal counts side by side are one.
void divide(const Pool& p, std::vector<Segment> rows, std::vector<Segment> columns, const Block& sums,
            const Block& out) {
  auto unite = [](std::vector<Segment>& s) {
    std::vector<Segment> united;
    for (const Segment& next : s) {
      if (!united.empty() && united.back().counted == next.counted) {
        united.back().count += next.count;
      } else {
        united.push_back(next);
      }
    }
    s = united;
  };
  unite(rows), unite(columns);
  for (const Segment& r : rows) {
    for (const Segment& c : columns) {
      const float scale = 1.0f / static_cast<float>(r.counted * c.counted);
      const std::vector<Loop> loops = {{out.shape[0], {out.strides[0], sums.strides[0]}},
                                       {r.count, {out.strides[2], sums.strides[2]}},
                                       {c.count, {out.strides[3], sums.strides[3]}}};
      for (size_t g = 0; g < out.groups.size(); ++g) {
        const int64_t partitions = out.groups[g].partitions;
        const std::vector<int64_t> at = {0, 0, r.begin, c.begin};
        for_each_piece({origin(out, g, 0, partitions, at), origin(sums, g, 0, partitions, at)}, loops, {},
                       [&](std::span<const isa::View> v) { copy_scaled(p.context, v[0], v[1], scale); });
      }
    }
  }
}

}  // namespace

void pool(Context& context, graph::PoolKind kind, const Window& w, bool count_include_pad, const Block& in,
          const Block& out) {
  CHECK(in.rank() == 4 && out.rank() == 4 && in.partition_axis == 1 && out.partition_axis == 1 && same_cut(in, out),
        fmt::format("pool of [{}] to [{}]", fmt::join(in.shape, ", "), fmt::join(out.shape, ", ")));
  const bool average = kind == graph::PoolKind::average;
  const Pool p{context, average ? AluOp::add : AluOp::max, average ? 0.0f : -3.4028235e38f};
  const Axis y = axis_of(w, 0, out.row_begin, out.shape[2], in.full_rows, in.row_begin);
  const Axis x = axis_of(w, 1, 0, out.shape[3], in.shape[3], 0);
  const std::vector<Segment> rows = segments(y, count_include_pad), columns = segments(x, count_include_pad);
  if (const Parts parts = parts_of(p, w, in, out); parts.count > 1) {
    for (int64_t n = 0; n < out.shape[0]; ++n) pool_parts(p, w, parts, x, columns, in, out, n);
    return;
  }
  const bool own_sums = average && out.dtype != DType::fp32;
  const Block sums = own_sums ? allocate_like(context, out, DType::fp32, out.shape, "window sums") : out;
  reduce_all(p, y, rows, x, columns, in, sums);
  if (average) divide(p, rows, columns, sums, out);
}

}  // namespace presil::kernels
