// Convolution without im2col: one matmul per filter tap and input-channel group, whose moving operand is the shifted
// input window itself and whose results accumulate in PSUM. A tap near a border covers only the part of the output tile
// for which its input exists, so nothing is padded; the tap that covers the whole tile comes first and overwrites.
#include <algorithm>

#include "kernels/kernels.h"

namespace presil::kernels {
namespace {

// One output axis of a tile under one tap: outputs [begin, begin + count) of the tile have input, which starts at
// `input` and advances by the stride.
struct Span {
  int64_t begin = 0, count = 0, input = 0;
};

// Outputs first..first+count-1 of an axis, tap k: the input index is o * stride - pad + k * dilation; it exists within
// [0, extent). Indices are of the whole image.
Span covered(int64_t first, int64_t count, int64_t stride, int64_t pad, int64_t tap_offset, int64_t extent) {
  int64_t shift = tap_offset - pad;
  int64_t low = std::max<int64_t>(first, shift >= 0 ? 0 : (-shift + stride - 1) / stride);
  int64_t high = std::min<int64_t>(first + count - 1, extent - 1 - shift < 0 ? -1 : (extent - 1 - shift) / stride);
  if (high < low) return {};
  return {low - first, high - low + 1, low * stride + shift};
}

struct Tap {
  int64_t row, column;  // filter indices
  Span rows, columns;
};

// A rectangle of output pixels, image coordinates.
struct Rectangle {
  int64_t row = 0, rows = 1, column = 0, columns = 1;
};

// Taps that touch the rectangle, the one that covers all of it (if any) first.
std::vector<Tap> taps_of(const Window& w, const Rectangle& r, int64_t full_rows, int64_t full_columns) {
  std::vector<Tap> taps;
  for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
    for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
      Tap tap{ky, kx, covered(r.row, r.rows, w.stride[0], w.pad_begin[0], ky * w.dilation[0], full_rows),
              covered(r.column, r.columns, w.stride[1], w.pad_begin[1], kx * w.dilation[1], full_columns)};
      if (tap.rows.count > 0 && tap.columns.count > 0) taps.push_back(tap);
    }
  }
  auto whole = std::find_if(taps.begin(), taps.end(),
                            [&](const Tap& t) { return t.rows.count == r.rows && t.columns.count == r.columns; });
  if (whole != taps.end()) std::rotate(taps.begin(), whole, whole + 1);
  return taps;
}

bool covers(const Tap& tap, const Rectangle& r) { return tap.rows.count == r.rows && tap.columns.count == r.columns; }

isa::View input_window(const Block& in, size_t group, int64_t n, const Window& w, const Tap& tap) {
  int64_t row = tap.rows.input - in.row_begin;
  CHECK(row >= 0 && row + (tap.rows.count - 1) * w.stride[0] < in.shape[2],
        "the caller provides the rows a window needs");
  return view(in, group,
              {{n, 1, 1},
               {0, in.groups[group].partitions, 1},
               {row, tap.rows.count, w.stride[0]},
               {tap.columns.input, tap.columns.count, w.stride[1]}});
}

// Output tiles of at most `limit` pixels: whole rows where a row fits, else parts of one row.
template <class Run>
void for_each_tile(const Block& out, int64_t limit, Run run) {
  int64_t columns = out.shape[3], rows = out.shape[2];
  int64_t tile_columns = std::min(columns, limit);
  // Even parts: 3 x 171 rather than 512 + 1.
  tile_columns =
      (columns + (columns + tile_columns - 1) / tile_columns - 1) / ((columns + tile_columns - 1) / tile_columns);
  int64_t tile_rows = tile_columns == columns ? std::max<int64_t>(1, limit / columns) : 1;
  for (int64_t row = 0; row < rows; row += tile_rows) {
    for (int64_t column = 0; column < columns; column += tile_columns) {
      run(Rectangle{out.row_begin + row, std::min(tile_rows, rows - row), column,
                    std::min(tile_columns, columns - column)});
    }
  }
}

isa::View output_window(const Block& out, size_t group, int64_t n, const Rectangle& r) {
  return view(
      out, group,
      {{n, 1, 1}, {0, out.groups[group].partitions, 1}, {r.row - out.row_begin, r.rows, 1}, {r.column, r.columns, 1}});
}

std::optional<isa::View> bias_of(const Weights& weights, size_t group) {
  if (!weights.bias) return std::nullopt;
  return view(*weights.bias, group);
}

int64_t psum_elements(const Context& c) {
  int64_t bank = static_cast<int64_t>(c.spec.psum.bytes_per_partition / c.spec.psum.banks / 4);
  return std::min<int64_t>(bank, c.spec.tensor.moving_max);
}

// [partitions, rows, columns] of a PSUM tile that holds a rectangle densely.
isa::View psum_window(Context& c, uint32_t tile, int64_t partitions, const Rectangle& r, const Tap& tap) {
  return c.build.tile_view(tile, DType::fp32, 0, static_cast<uint32_t>(partitions),
                           4 * (tap.rows.begin * r.columns + tap.columns.begin),
                           {{static_cast<int32_t>(r.columns), static_cast<uint32_t>(tap.rows.count)},
                            {1, static_cast<uint32_t>(tap.columns.count)}});
}

int64_t group_begin(const Block& block, size_t g) {
  int64_t begin = 0;
  for (size_t i = 0; i < g; ++i) begin += block.groups[i].partitions;
  return begin;
}

// Where no tap covers a whole rectangle (padding beyond the filter), a matmul of a zeroed moving operand starts it.
isa::View zeros(Context& c, const Block& in, int64_t elements) {
  uint32_t bytes = static_cast<uint32_t>(elements * static_cast<int64_t>(dtype_bytes(in.dtype)));
  uint32_t tile = c.build.sbuf(static_cast<uint32_t>(in.groups[0].partitions), bytes, "zeros");
  isa::View v = c.build.tile_view(tile, in.dtype);
  c.build.memset({.dst = v, .value = 0.0f});
  return v;
}

void conv_tile(Context& c, const Window& w, const Weights& weights, const Block& in, const Block& out, size_t group,
               int64_t n, const Rectangle& r, const Epilogue& epilogue) {
  int64_t m = out.groups[group].partitions, m_begin = group_begin(out, group);
  uint32_t psum = c.build.psum(static_cast<uint32_t>(m), static_cast<uint32_t>(4 * r.rows * r.columns), "conv");
  auto stationary = [&](size_t k, int64_t ky, int64_t kx) {
    return view(weights.weights, k, {{0, in.groups[k].partitions, 1}, {ky, 1, 1}, {kx, 1, 1}, {m_begin, m, 1}});
  };
  std::vector<Tap> taps = taps_of(w, r, in.full_rows, in.shape[3]);
  bool started = false;
  if (taps.empty() || !covers(taps[0], r)) {
    c.build.matmul({.dst = c.build.tile_view(psum, DType::fp32),
                    .stationary = stationary(0, 0, 0),
                    .moving = zeros(c, in, r.rows * r.columns)});
    started = true;
  }
  for (const Tap& tap : taps) {
    for (size_t k = 0; k < in.groups.size(); ++k) {
      c.build.matmul({.dst = psum_window(c, psum, m, r, tap),
                      .stationary = stationary(k, tap.row, tap.column),
                      .moving = input_window(in, k, n, w, tap),
                      .accumulate = started});
      started = true;
    }
  }
  evacuate(c, c.build.tile_view(psum, DType::fp32), output_window(out, group, n, r), bias_of(weights, group), epilogue);
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

isa::EngineKind lighter_engine(Context& c, int64_t elements) {
  double vector = c.vector_seconds + static_cast<double>(elements) / static_cast<double>(c.spec.vector.clock_hz);
  double scalar = c.scalar_seconds + static_cast<double>(elements) / static_cast<double>(c.spec.scalar.clock_hz);
  if (scalar < vector) {
    c.scalar_seconds = scalar;
    return isa::EngineKind::scalar;
  }
  c.vector_seconds = vector;
  return isa::EngineKind::vector;
}

void evacuate(Context& c, const isa::View& psum, const isa::View& out, const std::optional<isa::View>& bias,
              const Epilogue& e) {
  tile::Scalar add = bias ? tile::Scalar(*bias) : tile::Scalar(0.0f);
  bool plain = e.function == Activation::copy, relu = e.function == Activation::relu;
  int64_t elements = static_cast<int64_t>(psum.elements_per_partition());
  if ((plain || relu) && e.scale == 1.0f && lighter_engine(c, elements) == isa::EngineKind::vector) {
    if (plain && !bias)
      c.build.tensor_copy({.dst = out, .src = psum});
    else
      c.build.tensor_scalar({.dst = out,
                             .data = psum,
                             .op0 = bias ? AluOp::add : AluOp::max,
                             .operand0 = bias ? add : tile::Scalar(0.0f),
                             .op1 = bias && relu ? AluOp::max : AluOp::bypass,
                             .operand1 = 0.0f});
    return;
  }
  c.build.activation({.dst = out, .data = psum, .op = e.function, .scale = e.scale, .bias = add, .alpha = e.alpha});
}

void conv(Context& c, const Window& w, const Weights& weights, const Block& in, const Block& out,
          const Epilogue& epilogue) {
  for (size_t group = 0; group < out.groups.size(); ++group) {
    for (int64_t n = 0; n < out.shape[0]; ++n) {
      for_each_tile(out, psum_elements(c),
                    [&](const Rectangle& r) { conv_tile(c, w, weights, in, out, group, n, r, epilogue); });
    }
  }
}

void linear(Context& c, const Weights& weights, const Block& in, const Block& out, const Epilogue& epilogue) {
  int64_t pixels = in.free_elements(), limit = psum_elements(c);
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
      evacuate(c, c.build.tile_view(psum, DType::fp32), pixel_view(out, group), bias_of(weights, group), epilogue);
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

void depthwise(Context& c, const Window& w, const Weights& weights, const Block& in, const Block& out) {
  // Accumulates in SBUF in fp32; the bias enters with the tap that covers everything.
  for (size_t g = 0; g < out.groups.size(); ++g) {
    int64_t channels = out.groups[g].partitions;
    for (int64_t n = 0; n < out.shape[0]; ++n) {
      for_each_tile(out, 4096, [&](const Rectangle& r) {
        uint32_t tile =
            c.build.sbuf(static_cast<uint32_t>(channels), static_cast<uint32_t>(4 * r.rows * r.columns), "depthwise");
        auto part = [&](const Tap& tap) {
          return c.build.tile_view(tile, DType::fp32, 0, static_cast<uint32_t>(channels),
                                   4 * (tap.rows.begin * r.columns + tap.columns.begin),
                                   {{static_cast<int32_t>(r.columns), static_cast<uint32_t>(tap.rows.count)},
                                    {1, static_cast<uint32_t>(tap.columns.count)}});
        };
        auto weight = [&](const Tap& tap) {
          return view(weights.weights, g, {{0, channels, 1}, {tap.row, 1, 1}, {tap.column, 1, 1}});
        };
        std::vector<Tap> taps = taps_of(w, r, in.full_rows, in.shape[3]);
        auto bias = bias_of(weights, g);
        size_t first = 0;
        isa::View sum = c.build.tile_view(tile, DType::fp32);
        isa::View result = output_window(out, g, n, r);
        if (!taps.empty() && covers(taps[0], r)) {
          c.build.tensor_scalar({.dst = taps.size() == 1 ? result : sum,
                                 .data = input_window(in, g, n, w, taps[0]),
                                 .op0 = AluOp::multiply,
                                 .operand0 = weight(taps[0]),
                                 .op1 = bias ? AluOp::add : AluOp::bypass,
                                 .operand1 = bias ? tile::Scalar(*bias) : tile::Scalar(0.0f)});
          first = 1;
        } else {
          c.build.memset({.dst = sum, .value = 0.0f});
          if (bias) c.build.tensor_scalar({.dst = sum, .data = sum, .op0 = AluOp::add, .operand0 = *bias});
          if (taps.empty()) c.build.tensor_copy({.dst = result, .src = sum});
        }
        for (size_t i = first; i < taps.size(); ++i) {
          // The last tap writes the result itself when it covers the tile; otherwise a copy does.
          bool direct = i + 1 == taps.size() && covers(taps[i], r);
          c.build.scalar_tensor_tensor({.dst = direct ? result : part(taps[i]),
                                        .data = input_window(in, g, n, w, taps[i]),
                                        .op0 = AluOp::multiply,
                                        .operand0 = weight(taps[i]),
                                        .op1 = AluOp::add,
                                        .operand1 = part(taps[i])});
          if (i + 1 == taps.size() && !direct) {
            if (lighter_engine(c, r.rows * r.columns) == isa::EngineKind::scalar)
              c.build.activation({.dst = result, .data = sum});
            else
              c.build.tensor_copy({.dst = result, .src = sum});
          }
        }
      });
    }
  }
}

}  // namespace presil::kernels
