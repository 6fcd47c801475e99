// One axis at a time, columns first: each axis is a table (which input, or which two and how mixed; graph/resize.h),
// cut into runs of outputs and inputs with constant steps. An integer factor gives one run per phase; nearest by
// integer factors on both axes is one strided copy, in pieces for two engines.
#include "graph/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/copy.h"
#include "kernels/kernels.h"
#include "kernels/pieces.h"

namespace presil::kernels {
namespace {

// Elements of one copy of a nearest resize by integers: large against its fixed cost, small enough to keep both the
// vector and the scalar engine busy.
constexpr int64_t kPiece = 2048;
// A nearest resize that takes more copies than this goes one axis at a time.
constexpr size_t kCopiesAtOnce = 9;

// out[o] = in[low] + weight * (in[high] - in[low]); nearest has weight 0.
struct Sample {
  int64_t low = 0, high = 0;
  float weight = 0;
};

// Sizes of one whole axis.
struct Axis {
  int64_t inputs, outputs;
  float scale;
};

// Outputs [begin, +count) of an axis; input numbers relative to the first stored one.
std::vector<Sample> samples(const ResizeParams& params, const Axis& axis, int64_t begin, int64_t count,
                            int64_t input_begin, int64_t stored) {
  const graph::Attributes attrs{
      .resize = params.mode, .coordinates = params.coordinates, .rounding = params.rounding, .scales = {axis.scale}};
  const std::vector<graph::ResizeTap> taps = graph::resize_taps(attrs, 0, axis.inputs, axis.outputs);
  std::vector<Sample> out;
  for (int64_t o = begin; o < begin + count; ++o) {
    const graph::ResizeTap& tap = taps[static_cast<size_t>(o)];
    const auto weight = static_cast<float>(tap.high_weight);
    Sample s{tap.low - input_begin, (weight == 0 ? tap.low : tap.high) - input_begin, weight};
    CHECK(s.low >= 0 && s.high < stored, "the caller provides the rows that a resize reads");
    out.push_back(s);
  }
  return out;
}

// Outputs begin, begin + step, ...: `count` of them from inputs input, input + input_step, ..., all mixed alike.
struct Run {
  int64_t begin, step, count;
  int64_t input, input_step;
  float weight;
};

// Weights of one phase differ by rounding of the coordinate only.
bool alike(const Sample& a, const Sample& b) {
  return a.high - a.low == b.high - b.low && std::abs(a.weight - b.weight) <= 1e-6f;
}

// The longest run from `begin` with a step of outputs.
Run run_from(const std::vector<Sample>& table, const std::vector<bool>& done, size_t begin, size_t step) {
  const Sample& first = table[begin];
  Run run{static_cast<int64_t>(begin), static_cast<int64_t>(step), 1, first.low, 0, first.weight};
  for (size_t o = begin + step; o < table.size() && !done[o] && alike(first, table[o]); o += step) {
    const int64_t input_step = table[o].low - table[o - step].low;
    if (run.count > 1 && input_step != run.input_step) break;
    run.input_step = input_step;
    ++run.count;
  }
  return run;
}

// The table as few runs: greedily the longest of all steps up to the factor of enlargement.
std::vector<Run> runs(const std::vector<Sample>& table, float scale) {
  const auto steps = static_cast<size_t>(std::clamp(std::ceil(scale), 1.0f, 64.0f)) * 2;
  std::vector<bool> done(table.size(), false);
  std::vector<Run> out;
  for (size_t o = 0; o < table.size(); ++o) {
    if (done[o]) continue;
    Run best = run_from(table, done, o, 1);
    for (size_t step = 2; step <= steps; ++step) {
      const Run run = run_from(table, done, o, step);
      if (run.count > best.count) best = run;
    }
    for (int64_t i = 0; i < best.count; ++i) done[static_cast<size_t>(best.begin + i * best.step)] = true;
    out.push_back(best);
  }
  return out;
}

// out = in resized along one axis (2 or 3); the other axes have equal extents.
void resize_axis(Context& context, size_t axis, const std::vector<Sample>& table, float scale, const Block& in,
                 const Block& out) {
  for (const Run& run : runs(table, scale)) {
    const Sample& first = table[static_cast<size_t>(run.begin)];
    std::vector<Loop> loops;
    for (size_t a : {size_t{0}, size_t{2}, size_t{3}}) {
      if (a == axis) {
        const int64_t step = in.strides[a] * run.input_step;
        loops.push_back({run.count, {out.strides[a] * run.step, step, step}});
      } else {
        loops.push_back({out.shape[a], {out.strides[a], in.strides[a], in.strides[a]}});
      }
    }
    std::vector<int64_t> to(4, 0), low(4, 0), high(4, 0);
    to[axis] = run.begin, low[axis] = first.low, high[axis] = first.high;
    for (size_t g = 0; g < out.groups.size(); ++g) {
      const int64_t p = out.groups[g].partitions;
      if (run.weight == 0) {
        for_each_piece({origin(out, g, 0, p, to), origin(in, g, 0, p, low)}, loops, {},
                       [&](std::span<const isa::View> v) { copy(context, v[0], v[1]); });
        continue;
      }
      const uint32_t tile =
          context.build.sbuf(static_cast<uint32_t>(p),
                             static_cast<uint32_t>(4 * run.count * out.free_elements() / out.shape[axis]), "weighted");
      isa::View part = context.build.tile_view(tile, DType::fp32);
      part.rank = 0;
      int64_t dense = 1;
      for (size_t l = loops.size(); l-- > 0;) loops[l].steps[3] = dense, dense *= loops[l].count;
      for_each_piece({origin(out, g, 0, p, to), origin(in, g, 0, p, low), origin(in, g, 0, p, high), part}, loops, {},
                     [&](std::span<const isa::View> v) {
                       copy_scaled(context, v[3], v[1], 1.0f - run.weight);
                       context.build.scalar_tensor_tensor({.dst = v[0],
                                                           .data = v[2],
                                                           .op0 = AluOp::multiply,
                                                           .operand0 = run.weight,
                                                           .op1 = AluOp::add,
                                                           .operand1 = v[3]});
                     });
    }
  }
}

// Consecutive outputs of which each `repeat` read one input, inputs in order.
struct Repeat {
  int64_t begin = 0, inputs = 1, repeat = 1;
  int64_t input = 0;
};

// A nearest table as such runs. A piece of an enlargement by an integer has one, or three if it begins and ends amid
// the outputs of one input.
std::vector<Repeat> repeats(const std::vector<Sample>& table) {
  std::vector<Repeat> single;  // one input each
  for (size_t o = 0; o < table.size(); ++o) {
    if (!single.empty() && single.back().input == table[o].low) {
      ++single.back().repeat;
    } else {
      single.push_back({static_cast<int64_t>(o), 1, 1, table[o].low});
    }
  }
  std::vector<Repeat> out;
  for (const Repeat& next : single) {
    if (!out.empty() && out.back().repeat == next.repeat && out.back().input + out.back().inputs == next.input) {
      ++out.back().inputs;
    } else {
      out.push_back(next);
    }
  }
  return out;
}

bool is_identity(const std::vector<Sample>& table, int64_t inputs) {
  for (size_t o = 0; o < table.size(); ++o) {
    if (table[o].low != static_cast<int64_t>(o) || table[o].weight != 0) return false;
  }
  return static_cast<int64_t>(table.size()) == inputs;
}

// Each input pixel repeated: one copy per group and batch element, or a few where one is large.
void repeat_pixels(Context& context, const Repeat& y, const Repeat& x, const Block& in, const Block& out) {
  const std::vector<Loop> loops = {{out.shape[0], {out.strides[0], in.strides[0]}},
                                   {y.inputs, {y.repeat * out.strides[2], in.strides[2]}},
                                   {y.repeat, {out.strides[2], 0}},
                                   {x.inputs, {x.repeat * out.strides[3], in.strides[3]}},
                                   {x.repeat, {out.strides[3], 0}}};
  for (size_t g = 0; g < out.groups.size(); ++g) {
    const int64_t p = out.groups[g].partitions;
    for_each_piece({origin(out, g, 0, p, {0, 0, y.begin, x.begin}), origin(in, g, 0, p, {0, 0, y.input, x.input})},
                   loops, {.elements = kPiece}, [&](std::span<const isa::View> v) { copy(context, v[0], v[1]); });
  }
}

// The rows of `in` that the table reads; the table then counts from them.
Block needed_rows(const Block& in, std::vector<Sample>& table) {
  int64_t first = in.shape[2], last = 0;
  for (const Sample& s : table) first = std::min(first, s.low), last = std::max(last, s.high);
  for (Sample& s : table) s.low -= first, s.high -= first;
  return *sliced(in, 2, {first, last - first + 1});
}

}  // namespace

void resize(Context& context, const ResizeParams& params, const Block& in, const Block& out) {
  CHECK(in.rank() == 4 && out.rank() == 4 && in.partition_axis == 1 && out.partition_axis == 1 && same_cut(in, out),
        fmt::format("resize of [{}] to [{}]", fmt::join(in.shape, ", "), fmt::join(out.shape, ", ")));
  const Axis rows{in.full_rows, out.full_rows, params.scale[0]}, columns{in.shape[3], out.shape[3], params.scale[1]};
  std::vector<Sample> y = samples(params, rows, out.row_begin, out.shape[2], in.row_begin, in.shape[2]);
  const std::vector<Sample> x = samples(params, columns, 0, out.shape[3], 0, in.shape[3]);
  const Block from = needed_rows(in, y);
  const bool mixed = params.mode == graph::ResizeMode::linear;
  if (!mixed) {
    const std::vector<Repeat> ys = repeats(y), xs = repeats(x);
    if (ys.size() * xs.size() <= kCopiesAtOnce) {
      for (const Repeat& r : ys) {
        for (const Repeat& c : xs) repeat_pixels(context, r, c, from, out);
      }
      return;
    }
  }
  if (is_identity(x, in.shape[3])) return resize_axis(context, 2, y, params.scale[0], from, out);
  if (is_identity(y, from.shape[2])) return resize_axis(context, 3, x, params.scale[1], from, out);
  const Block wide = allocate_like(context, from, mixed ? DType::fp32 : in.dtype,
                                   {in.shape[0], in.shape[1], from.shape[2], out.shape[3]}, "resized columns");
  resize_axis(context, 3, x, params.scale[1], from, wide);
  resize_axis(context, 2, y, params.scale[0], wide, out);
}

}  // namespace presil::kernels
