// Convolution with few input channels: filter taps are packed into partitions, so that one matmul contracts over
// taps x channels. Partition (s, ky, c) of the packed block holds the input row that tap row ky needs, shifted by s
// columns; the remaining shifts are different begins of the moving operand over the same block, so that the array's
// rows are filled with as few copies of the input as possible. DMA builds the block from whole rows (a stride along
// columns is left to the moving operand's view, long runs being cheap and elements dear).
#include "kernels/packed_conv.h"

#include <algorithm>

#include "kernels/row_conv.h"

namespace presil::kernels {
namespace {

// Blocks of out_rows rows of the result.
int64_t blocks_of(const TapPacking& p, const Block& out) { return (out.shape[2] + p.out_rows - 1) / p.out_rows; }

struct Rows {
  int64_t begin = 0, count = 0, input = 0;  // blocks that have input, and the first one's input row
};

// Input row `part` of those that a block needs.
Rows rows_of_part(const Window& w, const TapPacking& p, int64_t part, const Block& out, int64_t full_rows) {
  const int64_t step = p.out_rows * w.stride[0];
  const int64_t first = out.row_begin * w.stride[0] + part * w.dilation[0] - w.pad_begin[0];  // of the first block
  const int64_t low = first >= 0 ? 0 : (-first + step - 1) / step;
  const int64_t high = first >= full_rows ? -1 : std::min(blocks_of(p, out) - 1, (full_rows - 1 - first) / step);
  if (high < low) return {};
  return {low, high - low + 1, first + low * step};
}

// The packed block of one image.
struct Packed {
  uint32_t tile = 0;
  DType dtype = DType::fp32;
  int64_t width = 0;
};

// Of a band, per partition: well above what one descriptor moves, so that bands cost little.
constexpr int64_t kBandBytes = 6 << 10;

// What no part brings is padding: columns and rows at the ends, on all partitions, so that what they have of the input
// comes later.
struct Padding {
  int64_t low = 0, high = INT64_MAX;  // all parts bring [low, high)
  void without(int64_t begin, int64_t end) { low = std::max(low, begin), high = std::min(high, end); }
};

void clear(Context& c, const Packed& packed, int64_t partitions, const Padding& columns, const Padding& rows,
           int64_t count) {
  const auto item = static_cast<int64_t>(dtype_bytes(packed.dtype));
  auto zero = [&](int64_t row, int64_t row_end, int64_t column, int64_t column_end) {
    if (row >= row_end || column >= column_end) return;
    const isa::View dst = c.build.tile_view(packed.tile, packed.dtype, 0, static_cast<uint32_t>(partitions),
                                            item * (row * packed.width + column),
                                            {{static_cast<int32_t>(packed.width), static_cast<uint32_t>(row_end - row)},
                                             {1, static_cast<uint32_t>(column_end - column)}});
    c.build.memset({.dst = dst, .value = 0.0f, .engine = isa::EngineKind::gpsimd});
  };
  zero(0, std::min(rows.low, count), 0, packed.width);
  zero(std::max(rows.low, rows.high), count, 0, packed.width);
  zero(rows.low, std::max(rows.low, rows.high), 0, columns.low);
  zero(rows.low, std::max(rows.low, rows.high), std::max(columns.low, columns.high), packed.width);
}

// Blocks [begin, end) of what the unshifted columns hold, from HBM.
void load_columns(Context& c, const Window& w, const TapPacking& packing, const Packed& packed, const HbmView& in,
                  int64_t n, const std::vector<Rows>& parts, int64_t begin, int64_t end) {
  const auto item = static_cast<int64_t>(dtype_bytes(packed.dtype));
  const auto channels = static_cast<uint32_t>(in.shape[1]), columns = static_cast<uint32_t>(in.shape[3]);
  const int64_t step = packing.out_rows * w.stride[0];  // input rows of a block
  for (size_t part = 0; part < parts.size(); ++part) {
    const Rows& r = parts[part];
    const int64_t from = std::max(begin, r.begin), to = std::min(end, r.begin + r.count);
    if (from >= to) continue;
    const auto rows = static_cast<uint32_t>(to - from);
    c.build.dma(
        c.build.tile_view(packed.tile, packed.dtype, static_cast<uint32_t>(part) * channels, channels,
                          item * (from * packed.width + w.pad_begin[1]),
                          {{static_cast<int32_t>(packed.width), rows}, {1, columns}}),
        c.build.hbm_view(in.tensor, in.offset + n * in.strides[0] + (r.input + (from - r.begin) * step) * in.strides[2],
                         {{static_cast<int32_t>(in.strides[1]), channels},
                          {static_cast<int32_t>(in.strides[2] * step), rows},
                          {static_cast<int32_t>(in.strides[3]), columns}}));
  }
}

// The same blocks of the shifted columns, from the unshifted ones: these are fewer bytes than from HBM in a wider type,
// and runs are long. The last columns of a row come from the next one; no tap reads them.
void shift_columns(Context& c, const Window& w, const TapPacking& packing, const Packed& packed, int64_t begin,
                   int64_t end) {
  const auto item = static_cast<int64_t>(dtype_bytes(packed.dtype));
  const auto partitions = static_cast<uint32_t>(packing.partitions / packing.columns);
  for (int64_t s = 1; s < packing.columns; ++s) {
    const int64_t shift = s * w.dilation[1], first = begin * packed.width;
    const isa::Dim run{1, static_cast<uint32_t>((end - begin) * packed.width - shift)};
    c.build.dma(c.build.tile_view(packed.tile, packed.dtype, static_cast<uint32_t>(s) * partitions, partitions,
                                  item * first, {run}),
                c.build.tile_view(packed.tile, packed.dtype, 0, partitions, item * (first + shift), {run}));
  }
}

// It comes in bands of blocks, so that the first matmuls need not wait for the last rows.
Packed load_packed(Context& c, const Window& w, const TapPacking& packing, DType operand, const HbmView& in, int64_t n,
                   const Block& out) {
  const int64_t blocks = blocks_of(packing, out), width = packed_columns(w, in.shape[3]);
  const auto bytes = blocks * width * static_cast<int64_t>(dtype_bytes(operand));
  const Packed packed{
      c.build.sbuf(static_cast<uint32_t>(packing.partitions), static_cast<uint32_t>(bytes), "packed taps"), operand,
      width};
  std::vector<Rows> parts;
  Padding outside;
  for (int64_t part = 0; part < packing.in_rows; ++part) {
    const Rows& r = parts.emplace_back(rows_of_part(w, packing, part, out, in.shape[2]));
    outside.without(r.begin, r.begin + r.count);
  }
  clear(c, packed, packing.partitions / packing.columns, {w.pad_begin[1], w.pad_begin[1] + in.shape[3]}, outside,
        blocks);
  const int64_t bands = std::clamp<int64_t>(bytes / kBandBytes, 1, blocks);
  for (int64_t band = 0; band < bands; ++band) {
    const int64_t begin = blocks * band / bands, end = blocks * (band + 1) / bands;
    load_columns(c, w, packing, packed, in, n, parts, begin, end);
    shift_columns(c, w, packing, packed, begin, end);
  }
  return packed;
}

// Some blocks of rows and some columns of outputs: a matmul per pass.
void packed_tile(Context& c, const Window& w, const TapPacking& packing, const Weights& weights, const Packed& packed,
                 const Block& out, size_t group, int64_t m_begin, int64_t n, const RowBlocks& blocks,
                 const Rectangle& r, const Epilogue& epilogue) {
  const int64_t m = packing.out_rows == 1 ? out.groups[group].partitions : packing.out_rows * packing.m_step;
  const auto item = static_cast<int64_t>(dtype_bytes(packed.dtype));
  uint32_t psum = c.build.psum(static_cast<uint32_t>(m), static_cast<uint32_t>(4 * blocks.count * r.columns), "conv");
  isa::View result = c.build.tile_view(psum, DType::fp32);
  for (int64_t pass = 0; pass < packing.passes; ++pass) {
    const int64_t first = pass * packing.columns, count = std::min(packing.columns, w.kernel[1] - first);
    const int64_t k = packing.partitions / packing.columns * count;
    isa::View moving =
        c.build.tile_view(packed.tile, packed.dtype, 0, static_cast<uint32_t>(k),
                          item * (blocks.begin * packed.width + r.column * w.stride[1] + first * w.dilation[1]),
                          {{static_cast<int32_t>(packed.width), static_cast<uint32_t>(blocks.count)},
                           {static_cast<int32_t>(w.stride[1]), static_cast<uint32_t>(r.columns)}});
    c.build.matmul({.dst = result,
                    .stationary = view(weights.weights, static_cast<size_t>(pass), {{0, k, 1}, {m_begin, m, 1}}),
                    .moving = moving,
                    .accumulate = pass > 0});
  }
  evacuate_rows(c, psum, blocks, r, weights, out, group, n, epilogue);
}

// Matmuls per row of the result.
double work(const TapPacking& p) { return static_cast<double>(p.passes) / static_cast<double>(p.out_rows); }

}  // namespace

int64_t packed_columns(const Window& w, int64_t in_columns) { return in_columns + w.pad_begin[1] + w.pad_end[1]; }

std::optional<TapPacking> tap_packing(const spec::ChipSpec& spec, const Window& w, int64_t channels, int64_t outputs,
                                      int64_t rows) {
  const RowsBeside beside = rows_beside(spec, outputs);
  std::optional<TapPacking> best;
  for (int64_t out_rows = 1; out_rows <= std::min(beside.most, rows); ++out_rows) {
    if (out_rows > 1 && w.dilation[0] != 1) break;
    const int64_t in_rows = (out_rows - 1) * w.stride[0] + w.kernel[0];
    const int64_t column = in_rows * channels, most = std::min(w.kernel[1], group_partitions(spec) / column);
    if (most == 0) break;
    const int64_t passes = (w.kernel[1] + most - 1) / most, columns = (w.kernel[1] + passes - 1) / passes;
    const TapPacking p{columns, passes, columns * column, out_rows, in_rows, out_rows == 1 ? outputs : beside.step};
    if (!best || work(p) < work(*best)) best = p;
  }
  return best;
}

void conv_packed(Context& c, const Window& w, const TapPacking& packing, DType operand, const Weights& weights,
                 const HbmView& in, const Block& out, const Epilogue& epilogue) {
  const int64_t columns = out.shape[3], limit = psum_elements(c), blocks = blocks_of(packing, out);
  const int64_t parts = (columns + limit - 1) / limit, part = (columns + parts - 1) / parts;
  const int64_t step = parts == 1 ? std::max<int64_t>(1, limit / columns) : 1;
  for (int64_t n = 0; n < out.shape[0]; ++n) {
    const Packed packed = load_packed(c, w, packing, operand, in, n, out);
    int64_t m_begin = 0;
    for (size_t g = 0; g < out.groups.size(); m_begin += out.groups[g].partitions, ++g) {
      for (int64_t b = 0; b < blocks; b += step) {
        for (int64_t x = 0; x < columns; x += part) {
          const RowBlocks rows{b, std::min(step, blocks - b), packing.out_rows, packing.m_step};
          packed_tile(c, w, packing, weights, packed, out, g, m_begin, n, rows,
                      Rectangle{0, 1, x, std::min(part, columns - x)}, epilogue);
        }
      }
    }
  }
}

}  // namespace presil::kernels
