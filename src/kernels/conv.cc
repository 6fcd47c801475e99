// Convolution without im2col: one matmul per filter tap and input-channel group, whose moving operand is the shifted
// input window itself and whose results accumulate in PSUM. A tap near a border covers only the part of the output tile
// for which its input exists, so nothing is padded; the tap that covers the whole tile comes first and overwrites.
#include <algorithm>

#include "kernels/identity.h"
#include "kernels/window.h"

namespace presil::kernels {
namespace {

int64_t group_begin(const Block& block, size_t g) {
  int64_t begin = 0;
  for (size_t i = 0; i < g; ++i) begin += block.groups[i].partitions;
  return begin;
}

void conv_tile(Context& c, const Window& w, const Weights& weights, const Block& in, const Block& out, size_t group,
               const Images& n, const Rectangle& r, const Epilogue& epilogue) {
  int64_t m = out.groups[group].partitions, m_begin = group_begin(out, group);
  uint32_t psum =
      c.build.psum(static_cast<uint32_t>(m), static_cast<uint32_t>(4 * n.count * r.rows * r.columns), "conv");
  auto stationary = [&](size_t k, int64_t ky, int64_t kx) {
    return view(weights.weights, k, {{0, in.groups[k].partitions, 1}, {ky, 1, 1}, {kx, 1, 1}, {m_begin, m, 1}});
  };
  std::vector<Tap> taps = taps_of(w, r, in.full_rows, in.shape[3]);
  bool started = false;
  if (taps.empty() || !covers(taps[0], r)) {
    c.build.matmul({.dst = c.build.tile_view(psum, DType::fp32),
                    .stationary = stationary(0, 0, 0),
                    .moving = zeros(c, in.dtype, in.groups[0].partitions, n.count * r.rows * r.columns)});
    started = true;
  }
  for (const Tap& tap : taps) {
    for (size_t k = 0; k < in.groups.size(); ++k) {
      c.build.matmul({.dst = tile_window(c, psum, m, r, tap, n.count),
                      .stationary = stationary(k, tap.row, tap.column),
                      .moving = input_window(in, k, n, w, tap),
                      .accumulate = started});
      started = true;
    }
  }
  Evacuation leaving{
      c.build.tile_view(psum, DType::fp32), output_window(out, group, n, r), bias_of(weights, group), {}};
  if (epilogue.addend) leaving.addend = output_window(*epilogue.addend, group, n, r);
  evacuate(c, leaving, epilogue);
}

}  // namespace

tile::Scalar activation_bias(Context& c, float number, int64_t partitions) {
  if (c.spec.generation >= 3 || number == 0) return number;
  auto [found, fresh] = c.columns.try_emplace({partitions, number}, 0);
  if (fresh) {
    found->second = c.build.sbuf(static_cast<uint32_t>(partitions), 4, "number");
    c.build.memset({.dst = c.build.tile_view(found->second, DType::fp32), .value = number});
  }
  return c.build.tile_view(found->second, DType::fp32);
}

namespace {

void add_to_psum(Context& c, const isa::View& psum, const isa::View& addend) {
  isa::View stationary = identity(c, addend.dtype);
  stationary.partitions = addend.partitions, stationary.dims[0].count = addend.partitions;
  c.build.matmul({.dst = psum, .stationary = stationary, .moving = addend, .accumulate = true});
}

// out = f(psum + bias + addend). The vector engine adds two tensors in one pass only when one lies in PSUM, and has no
// time for the bias, which the scalar engine adds in place.
void evacuate_sum(Context& c, const Evacuation& v, const Epilogue& e) {
  if (v.bias) c.build.activation({.dst = v.psum, .data = v.psum, .bias = *v.bias});
  c.build.tensor_tensor({.dst = v.out, .data1 = v.psum, .data2 = *v.addend, .op = AluOp::add});
  if (e.function != Activation::copy)
    c.build.activation({.dst = v.out, .data = v.out, .op = e.function, .alpha = e.alpha});
}

bool adds_later(Context& c, const Evacuation& v, const Epilogue& e) {
  const bool relu = e.function == Activation::relu;
  const bool plain = (relu || e.function == Activation::copy) && v.out.dtype == v.addend->dtype;
  return plain && adds_after_psum(c, v.out, v.psum, relu);
}

// out = f((psum + bias) + addend), rounded before the addition as well: all of it in 16 bits, the vector engine's fast
// modes.
void evacuate_then_add(Context& c, const Evacuation& v, const Epilogue& e) {
  Evacuation leaving = v;
  leaving.addend.reset();
  evacuate(c, leaving);
  c.build.tensor_tensor({.dst = v.out, .data1 = v.out, .data2 = *v.addend, .op = AluOp::add});
  if (e.function == Activation::relu)
    c.build.tensor_scalar({.dst = v.out, .data = v.out, .op0 = AluOp::max, .operand0 = 0.0f});
}

}  // namespace

void evacuate(Context& c, const Evacuation& v, const Epilogue& e) {
  if (v.addend && dtype_bytes(v.addend->dtype) != 2) return evacuate_sum(c, v, e);
  if (v.addend && adds_later(c, v, e)) return evacuate_then_add(c, v, e);
  if (v.addend) add_to_psum(c, v.psum, *v.addend);
  tile::Scalar add = v.bias ? tile::Scalar(*v.bias) : tile::Scalar(0.0f);
  bool plain = e.function == Activation::copy, relu = e.function == Activation::relu;
  if ((plain || relu) && e.scale == 1.0f && lighter_engine(c, v.out, v.psum) == isa::EngineKind::vector) {
    if (plain && !v.bias)
      c.build.tensor_copy({.dst = v.out, .src = v.psum});
    else
      c.build.tensor_scalar({.dst = v.out,
                             .data = v.psum,
                             .op0 = v.bias ? AluOp::add : AluOp::max,
                             .operand0 = add,
                             .op1 = v.bias && relu ? AluOp::max : AluOp::bypass,
                             .operand1 = 0.0f});
    return;
  }
  c.build.activation({.dst = v.out, .data = v.psum, .op = e.function, .scale = e.scale, .bias = add, .alpha = e.alpha});
}

void conv(Context& c, const Window& w, const Weights& weights, const Block& in, const Block& out,
          const Epilogue& epilogue) {
  // Images so small that several fill a tile.
  const int64_t fit = std::max<int64_t>(1, psum_elements(c) / (out.shape[2] * out.shape[3]));
  const int64_t tiles = (out.shape[0] + fit - 1) / fit, step = (out.shape[0] + tiles - 1) / tiles;
  for (size_t group = 0; group < out.groups.size(); ++group) {
    for (int64_t n = 0; n < out.shape[0]; n += step) {
      const Images images{n, std::min(step, out.shape[0] - n)};
      for_each_tile(out, psum_elements(c),
                    [&](const Rectangle& r) { conv_tile(c, w, weights, in, out, group, images, r, epilogue); });
    }
  }
}

void linear(Context& c, const Weights& weights, const Block& in, const Block& out, const Epilogue& epilogue) {
  const int64_t pixels = in.free_elements(), parts = (pixels + psum_elements(c) - 1) / psum_elements(c);
  const int64_t limit = (pixels + parts - 1) / parts;
  for (int64_t begin = 0; begin < pixels; begin += limit) {
    int64_t count = std::min(limit, pixels - begin);
    auto pixel_view = [&](const Block& block, size_t g) {
      int64_t bytes = static_cast<int64_t>(dtype_bytes(block.dtype));
      return c.build.tile_view(block.groups[g].tile, block.dtype, 0, static_cast<uint32_t>(block.groups[g].partitions),
                               block.groups[g].byte_offset + begin * bytes, {{1, static_cast<uint32_t>(count)}});
    };
    for (size_t group = 0; group < out.groups.size(); ++group) {
      int64_t m = out.groups[group].partitions;
      uint32_t psum = c.build.psum(static_cast<uint32_t>(m), static_cast<uint32_t>(4 * count), "linear");
      for (size_t k = 0; k < in.groups.size(); ++k) {
        isa::View stationary =
            view(weights.weights, k, {{0, in.groups[k].partitions, 1}, {group_begin(out, group), m, 1}});
        c.build.matmul({.dst = c.build.tile_view(psum, DType::fp32),
                        .stationary = stationary,
                        .moving = pixel_view(in, k),
                        .accumulate = k > 0});
      }
      Evacuation leaving{c.build.tile_view(psum, DType::fp32), pixel_view(out, group), bias_of(weights, group), {}};
      if (epilogue.addend) leaving.addend = pixel_view(*epilogue.addend, group);
      evacuate(c, leaving, epilogue);
    }
  }
}

bool is_dense(const Block& block) {
  int64_t expected = 1;
  for (int axis = block.rank() - 1; axis >= 0; --axis) {
    if (axis == block.partition_axis) continue;
    if (block.shape[axis] != 1 && block.strides[axis] != expected) return false;
    expected *= block.shape[axis];
  }
  return true;
}

}  // namespace presil::kernels
