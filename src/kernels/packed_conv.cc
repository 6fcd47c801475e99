// Convolution with few input channels: filter taps are packed into partitions, so that one matmul contracts over
// taps x channels. Partition (ky, kx, c) of the packed block holds the input shifted by that tap; DMA builds it from
// whole rows (a stride along columns is left to the moving operand's view, long runs being cheap and elements dear).
#include "kernels/packed_conv.h"

#include <algorithm>

namespace presil::kernels {
namespace {

struct Rows {
  int64_t begin = 0, count = 0, input = 0;  // outputs of the piece that have input, and the first one's input row
};

Rows rows_of_tap(const Window& w, int64_t ky, const Block& out, int64_t full_rows) {
  int64_t shift = ky * w.dilation[0] - w.pad_begin[0], stride = w.stride[0];
  int64_t first = out.row_begin, last = out.row_begin + out.shape[2] - 1;
  int64_t low = std::max(first, shift >= 0 ? 0 : (-shift + stride - 1) / stride);
  int64_t high = std::min(last, full_rows - 1 < shift ? -1 : (full_rows - 1 - shift) / stride);
  if (high < low) return {};
  return {low - first, high - low + 1, low * stride + shift};
}

}  // namespace

int64_t packed_columns(const Window& w, int64_t in_columns) { return in_columns + w.pad_begin[1] + w.pad_end[1]; }

void conv_packed(Context& c, const Window& w, DType operand, const Weights& weights, const HbmView& in,
                 const Block& out, const Epilogue& epilogue) {
  int64_t channels = in.shape[1], taps = w.kernel[0] * w.kernel[1], width = packed_columns(w, in.shape[3]);
  int64_t rows = out.shape[2], k = channels * taps;
  CHECK(k <= static_cast<int64_t>(c.spec.tensor.rows), "packed taps fit the array");
  size_t item = dtype_bytes(operand);
  int64_t limit = std::min<int64_t>(static_cast<int64_t>(c.spec.psum.bytes_per_partition / c.spec.psum.banks / 4),
                                    c.spec.tensor.moving_max);
  for (int64_t n = 0; n < out.shape[0]; ++n) {
    uint32_t tile = c.build.sbuf(static_cast<uint32_t>(k),
                                 static_cast<uint32_t>(rows * width * static_cast<int64_t>(item)), "packed taps");
    // Padding: whatever no tap brings stays zero.
    c.build.memset({.dst = c.build.tile_view(tile, operand), .value = 0.0f});
    for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
      Rows r = rows_of_tap(w, ky, out, in.shape[2]);
      if (r.count == 0) continue;
      for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
        // Packed column x holds input column x + kx * dilation - pad.
        int64_t shift = kx * w.dilation[1] - w.pad_begin[1];
        int64_t low = std::max<int64_t>(0, -shift), high = std::min(width, in.shape[3] - shift);
        if (high <= low) continue;
        isa::View dst = c.build.tile_view(
            tile, operand, static_cast<uint32_t>((ky * w.kernel[1] + kx) * channels), static_cast<uint32_t>(channels),
            static_cast<int64_t>(item) * (r.begin * width + low),
            {{static_cast<int32_t>(width), static_cast<uint32_t>(r.count)}, {1, static_cast<uint32_t>(high - low)}});
        isa::View src = c.build.hbm_view(
            in.tensor, in.offset + n * in.strides[0] + r.input * in.strides[2] + (low + shift) * in.strides[3],
            {{static_cast<int32_t>(in.strides[1]), static_cast<uint32_t>(channels)},
             {static_cast<int32_t>(in.strides[2] * w.stride[0]), static_cast<uint32_t>(r.count)},
             {static_cast<int32_t>(in.strides[3]), static_cast<uint32_t>(high - low)}});
        c.build.dma(dst, src);
      }
    }
    int64_t columns = out.shape[3];
    int64_t parts = (columns + limit - 1) / limit, part = (columns + parts - 1) / parts;
    int64_t step_rows = part == columns ? std::max<int64_t>(1, limit / columns) : 1;
    int64_t m_begin = 0;
    for (size_t g = 0; g < out.groups.size(); m_begin += out.groups[g].partitions, ++g) {
      int64_t m = out.groups[g].partitions;
      isa::View stationary = view(weights.weights, 0, {{0, k, 1}, {m_begin, m, 1}});
      auto bias = weights.bias ? std::optional(view(*weights.bias, g)) : std::nullopt;
      for (int64_t y = 0; y < rows; y += step_rows) {
        for (int64_t x = 0; x < columns; x += part) {
          int64_t h = std::min(step_rows, rows - y), v = std::min(part, columns - x);
          uint32_t psum = c.build.psum(static_cast<uint32_t>(m), static_cast<uint32_t>(4 * h * v), "conv");
          isa::View result = c.build.tile_view(psum, DType::fp32);
          isa::View moving = c.build.tile_view(tile, operand, 0, static_cast<uint32_t>(k),
                                               static_cast<int64_t>(item) * (y * width + x * w.stride[1]),
                                               {{static_cast<int32_t>(width), static_cast<uint32_t>(h)},
                                                {static_cast<int32_t>(w.stride[1]), static_cast<uint32_t>(v)}});
          c.build.matmul({.dst = result, .stationary = stationary, .moving = moving});
          evacuate(c, result, view(out, g, {{n, 1, 1}, {0, m, 1}, {y, h, 1}, {x, v, 1}}), bias, epilogue);
        }
      }
    }
  }
}

}  // namespace presil::kernels
