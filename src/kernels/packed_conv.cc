// Convolution with few input channels: filter taps are packed into partitions, so that one matmul contracts over
// taps x channels. Partition (s, ky, c) of the packed block holds the input row that tap row ky needs, shifted by s
// columns; the remaining shifts are different begins of the moving operand over the same block, so that the array's
// rows are filled with as few copies of the input as possible. DMA builds the block from whole rows (a stride along
// columns is left to the moving operand's view, long runs being cheap and elements dear).
#include "kernels/packed_conv.h"

#include <algorithm>

#include "kernels/window.h"

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

// The packed block of one image.
struct Packed {
  uint32_t tile = 0;
  DType dtype = DType::fp32;
  int64_t width = 0;
};

Packed load_packed(Context& c, const Window& w, const TapPacking& packing, DType operand, const HbmView& in, int64_t n,
                   const Block& out) {
  const int64_t channels = in.shape[1], rows = out.shape[2], width = packed_columns(w, in.shape[3]);
  const auto item = static_cast<int64_t>(dtype_bytes(operand));
  uint32_t tile = c.build.sbuf(static_cast<uint32_t>(packing.partitions), static_cast<uint32_t>(rows * width * item),
                               "packed taps");
  bool whole = true;
  struct Piece {
    isa::View dst, src;
  };
  std::vector<Piece> pieces;
  for (int64_t s = 0; s < packing.columns; ++s) {
    // Packed column x holds input column x + s * dilation - pad.
    const int64_t shift = s * w.dilation[1] - w.pad_begin[1];
    const int64_t low = std::max<int64_t>(0, -shift), high = std::min(width, in.shape[3] - shift);
    for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
      const Rows r = rows_of_tap(w, ky, out, in.shape[2]);
      whole = whole && r.count == rows && low == 0 && high == width;
      if (r.count == 0 || high <= low) continue;
      isa::View dst = c.build.tile_view(
          tile, operand, static_cast<uint32_t>((s * w.kernel[0] + ky) * channels), static_cast<uint32_t>(channels),
          item * (r.begin * width + low),
          {{static_cast<int32_t>(width), static_cast<uint32_t>(r.count)}, {1, static_cast<uint32_t>(high - low)}});
      isa::View src = c.build.hbm_view(
          in.tensor, in.offset + n * in.strides[0] + r.input * in.strides[2] + (low + shift) * in.strides[3],
          {{static_cast<int32_t>(in.strides[1]), static_cast<uint32_t>(channels)},
           {static_cast<int32_t>(in.strides[2] * w.stride[0]), static_cast<uint32_t>(r.count)},
           {static_cast<int32_t>(in.strides[3]), static_cast<uint32_t>(high - low)}});
      pieces.push_back({dst, src});
    }
  }
  // Whatever no tap brings is padding.
  if (!whole) c.build.memset({.dst = c.build.tile_view(tile, operand), .value = 0.0f});
  for (const Piece& piece : pieces) c.build.dma(piece.dst, piece.src);
  return {tile, operand, width};
}

// One rectangle of outputs: a matmul per pass.
void packed_tile(Context& c, const Window& w, const TapPacking& packing, const Weights& weights, const Packed& packed,
                 const Block& out, size_t group, int64_t m_begin, int64_t n, const Rectangle& r,
                 const Epilogue& epilogue) {
  const int64_t m = out.groups[group].partitions;
  const auto item = static_cast<int64_t>(dtype_bytes(packed.dtype));
  uint32_t psum = c.build.psum(static_cast<uint32_t>(m), static_cast<uint32_t>(4 * r.rows * r.columns), "conv");
  isa::View result = c.build.tile_view(psum, DType::fp32);
  for (int64_t pass = 0; pass < packing.passes; ++pass) {
    const int64_t first = pass * packing.columns, count = std::min(packing.columns, w.kernel[1] - first);
    const int64_t k = packing.partitions / packing.columns * count;
    isa::View moving = c.build.tile_view(packed.tile, packed.dtype, 0, static_cast<uint32_t>(k),
                                         item * (r.row * packed.width + r.column * w.stride[1] + first * w.dilation[1]),
                                         {{static_cast<int32_t>(packed.width), static_cast<uint32_t>(r.rows)},
                                          {static_cast<int32_t>(w.stride[1]), static_cast<uint32_t>(r.columns)}});
    c.build.matmul({.dst = result,
                    .stationary = view(weights.weights, static_cast<size_t>(pass), {{0, k, 1}, {m_begin, m, 1}}),
                    .moving = moving,
                    .accumulate = pass > 0});
  }
  const std::vector<Range> where = {{n, 1, 1}, {0, m, 1}, {r.row, r.rows, 1}, {r.column, r.columns, 1}};
  Evacuation leaving{result, view(out, group, where), bias_of(weights, group), {}};
  if (epilogue.addend) leaving.addend = view(*epilogue.addend, group, where);
  evacuate(c, leaving, epilogue);
}

}  // namespace

int64_t packed_columns(const Window& w, int64_t in_columns) { return in_columns + w.pad_begin[1] + w.pad_end[1]; }

std::optional<TapPacking> tap_packing(const spec::ChipSpec& spec, const Window& w, int64_t channels) {
  const int64_t column = w.kernel[0] * channels, most = spec.tensor.rows / column;
  if (most == 0) return std::nullopt;
  const int64_t passes = (w.kernel[1] + std::min(most, w.kernel[1]) - 1) / std::min(most, w.kernel[1]);
  const int64_t columns = (w.kernel[1] + passes - 1) / passes;
  return TapPacking{columns, passes, columns * column};
}

void conv_packed(Context& c, const Window& w, DType operand, const Weights& weights, const HbmView& in,
                 const Block& out, const Epilogue& epilogue) {
  const auto packing = tap_packing(c.spec, w, in.shape[1]);
  CHECK(packing.has_value(), "a filter column fits the array");
  const int64_t rows = out.shape[2], columns = out.shape[3], limit = psum_elements(c);
  const int64_t parts = (columns + limit - 1) / limit, part = (columns + parts - 1) / parts;
  const int64_t step_rows = parts == 1 ? std::max<int64_t>(1, limit / columns) : 1;
  for (int64_t n = 0; n < out.shape[0]; ++n) {
    const Packed packed = load_packed(c, w, *packing, operand, in, n, out);
    int64_t m_begin = 0;
    for (size_t g = 0; g < out.groups.size(); m_begin += out.groups[g].partitions, ++g) {
      for (int64_t y = 0; y < rows; y += step_rows) {
        for (int64_t x = 0; x < columns; x += part) {
          Rectangle r{y, std::min(step_rows, rows - y), x, std::min(part, columns - x)};
          packed_tile(c, w, *packing, weights, packed, out, g, m_begin, n, r, epilogue);
        }
      }
    }
  }
}

}  // namespace presil::kernels
