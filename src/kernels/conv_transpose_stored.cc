// Transposed convolution to few channels, straight to HBM. Channels on partitions would leave most lanes of every
// engine idle, so pixels lie there instead: the stationary operand is a set of input pixels, the filter streams past
// them, and a partition receives all outputs of its pixels. Each partition holds a segment of an input row; what it
// computes is a run of contiguous elements in each of `stride` output rows.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/kernels.h"
#include "kernels/pieces.h"

namespace presil::kernels {
namespace {

constexpr int64_t kRunBytesMin = 256;  // a shorter run to HBM costs as much

struct Stored {
  Context& context;
  const Window& window;
  const Weights& weights;
  const Block& in;
  const HbmView& out;
  const Epilogue& epilogue;
  int64_t channels, results;  // of one pixel: channels * filter elements
  int64_t segments, length;   // of an input row
};

// Input rows [row, +rows) of image n.
struct Chunk {
  int64_t n, row, rows;
  int64_t partitions;
};

// Pixels `column` of all segments of the chunk, as stationary operand.
isa::View pixels(const Stored& s, const Chunk& chunk, const Cut& k, int64_t column) {
  isa::View v = origin(s.in, k.group, k.partition, k.count, {chunk.n, 0, chunk.row - s.in.row_begin, column});
  v.rank = 2;
  v.dims[0] = {static_cast<int32_t>(s.in.strides[2]), static_cast<uint32_t>(chunk.rows)};
  v.dims[1] = {static_cast<int32_t>(s.in.strides[3] * s.length), static_cast<uint32_t>(s.segments)};
  return v;
}

// Outputs of columns [column, +columns) of every segment: PSUM [pixels, column, ky, kx, channel] to `tile`
// [pixels, channel, ky, output column].
void columns_of(const Stored& s, const Chunk& chunk, uint32_t tile, int64_t column, int64_t columns) {
  tile::Builder& build = s.context.build;
  const auto partitions = static_cast<uint32_t>(chunk.partitions);
  const uint32_t psum = build.psum(partitions, static_cast<uint32_t>(columns * s.results * 4), "conv_transpose");
  const std::vector<Cut> cut = cuts(s.in, s.context.spec.tensor.rows);
  for (int64_t j = 0; j < columns; ++j) {
    for (size_t k = 0; k < cut.size(); ++k) {
      isa::View filter = origin(s.weights.weights, cut[k].group, cut[k].partition, cut[k].count, {});
      filter.rank = 1, filter.dims[0] = {1, static_cast<uint32_t>(s.results)};
      build.matmul({.dst = build.tile_view(psum, DType::fp32, 0, partitions, j * s.results * 4,
                                           {{1, static_cast<uint32_t>(s.results)}}),
                    .stationary = pixels(s, chunk, cut[k], column + j),
                    .moving = filter,
                    .accumulate = k > 0});
    }
  }
  const int64_t m = s.channels, ky = s.window.kernel[0], kx = s.window.kernel[1], run = s.length * kx;
  const auto size = static_cast<int64_t>(dtype_bytes(s.out.dtype));
  for (int64_t c = 0; c < m; ++c) {
    std::optional<isa::View> bias;
    if (s.weights.bias) bias = origin(*s.weights.bias, 0, 0, chunk.partitions, {0, c});
    const isa::View to = build.tile_view(tile, s.out.dtype, 0, partitions, (c * ky * run + column * kx) * size, {});
    const isa::View from = build.tile_view(psum, DType::fp32, 0, partitions, c * 4, {});
    for_each_piece({to, from}, {{ky, {run, kx * m}}, {columns, {kx, s.results}}, {kx, {1, m}}}, {},
                   [&](std::span<const isa::View> v) {
                     evacuate(s.context, {v[1], v[0], bias, {}}, s.epilogue);
                   });
  }
}

// Filter rows [first, last) of the chunk's input rows [row, +rows) to HBM.
void store_rows(const Stored& s, const Chunk& chunk, uint32_t tile, int64_t row, int64_t rows, int64_t first,
                int64_t last) {
  const int64_t run = s.length * s.window.kernel[1], ky = s.window.kernel[0];
  const auto size = static_cast<int64_t>(dtype_bytes(s.out.dtype));
  for (int64_t c = 0; c < s.channels; ++c) {
    const isa::View from =
        s.context.build.tile_view(tile, s.out.dtype, static_cast<uint32_t>((row - chunk.row) * s.segments),
                                  static_cast<uint32_t>(rows * s.segments), (c * ky + first) * run * size,
                                  {{1, static_cast<uint32_t>((last - first) * run)}});
    const std::vector<int64_t>& step = s.out.strides;
    const int64_t offset = s.out.offset + chunk.n * step[0] + c * step[1] + (row * ky + first) * step[2];
    const isa::View to =
        s.context.build.hbm_view(s.out.tensor, offset,
                                 {{static_cast<int32_t>(ky * step[2]), static_cast<uint32_t>(rows)},
                                  {static_cast<int32_t>(run * step[3]), static_cast<uint32_t>(s.segments)},
                                  {static_cast<int32_t>(step[2]), static_cast<uint32_t>(last - first)},
                                  {static_cast<int32_t>(step[3]), static_cast<uint32_t>(run)}});
    s.context.build.dma(to, from);
  }
}

// Output rows of the chunk within [begin, end): whole input rows together, the first and last apart where they are cut.
void store_chunk(const Stored& s, const Chunk& chunk, uint32_t tile, int64_t begin, int64_t end) {
  const int64_t ky = s.window.kernel[0];
  int64_t whole_begin = chunk.row, whole_end = chunk.row + chunk.rows;
  auto cut_row = [&](int64_t row) {
    const int64_t first = std::max(begin - row * ky, int64_t{0}), last = std::min(end - row * ky, ky);
    if (first == 0 && last == ky) return false;
    store_rows(s, chunk, tile, row, 1, first, last);
    return true;
  };
  if (cut_row(whole_begin)) ++whole_begin;
  if (whole_begin < whole_end && cut_row(whole_end - 1)) --whole_end;
  if (whole_begin < whole_end) store_rows(s, chunk, tile, whole_begin, whole_end - whole_begin, 0, ky);
}

// Most segments of a row of `columns` such that `rows` rows of them fit `most` partitions with long enough runs.
int64_t segments_of(int64_t columns, int64_t rows, int64_t most, int64_t bytes_per_column) {
  int64_t best = 1;
  for (int64_t n = 1; n <= columns && n * rows <= most; ++n) {
    if (columns % n == 0 && columns / n * bytes_per_column >= kRunBytesMin) best = n;
  }
  return best;
}

}  // namespace

bool can_store_conv_transpose(const spec::ChipSpec& spec, const Window& w, int64_t channels) {
  const int64_t results = w.kernel[0] * w.kernel[1] * channels;
  bool tiles = true;
  for (int i = 0; i < 2; ++i) {
    tiles = tiles && w.kernel[i] == w.stride[i] && w.pad_begin[i] == 0 && w.pad_end[i] == 0 && w.dilation[i] == 1;
  }
  // Beyond this many results of a pixel, channels on partitions keep the engines as busy.
  return tiles && results <= std::min<int64_t>(64, spec.tensor.moving_max);
}

void conv_transpose_stored(Context& context, const Window& window, const Weights& weights, const Block& in,
                           const HbmView& out, Range rows, const Epilogue& epilogue) {
  CHECK(can_store_conv_transpose(context.spec, window, out.shape[1]) && in.partition_axis == 1 &&
            same_cut(in, weights.weights) && out.shape[2] == in.full_rows * window.kernel[0],
        fmt::format("conv_transpose of [{}] to [{}] in HBM", fmt::join(in.shape, ", "), fmt::join(out.shape, ", ")));
  const spec::ChipSpec& spec = context.spec;
  const int64_t ky = window.kernel[0], first = rows.begin / ky, last = (rows.begin + rows.count + ky - 1) / ky;
  CHECK(first >= in.row_begin && last <= in.row_begin + in.shape[2], "the caller provides the rows that are needed");
  const int64_t most = std::min({spec.tensor.columns, spec.psum.partitions, spec.sbuf.partitions});
  const int64_t chunk_rows = std::min(last - first, most);
  const auto size = static_cast<int64_t>(dtype_bytes(out.dtype));
  Stored s{context, window, weights, in, out, epilogue, out.shape[1], ky * window.kernel[1] * out.shape[1], 1, 0};
  s.segments = segments_of(in.shape[3], chunk_rows, most, window.kernel[1] * size);
  s.length = in.shape[3] / s.segments;
  const int64_t bank = static_cast<int64_t>(spec.psum.bytes_per_partition / spec.psum.banks / 4);
  const int64_t columns = std::max<int64_t>(1, bank / s.results);
  for (int64_t n = 0; n < in.shape[0]; ++n) {
    for (int64_t row = first; row < last; row += chunk_rows) {
      const int64_t count = std::min(chunk_rows, last - row);
      const Chunk chunk{n, row, count, count * s.segments};
      const uint32_t tile =
          context.build.sbuf(static_cast<uint32_t>(chunk.partitions),
                             static_cast<uint32_t>(s.length * s.results * size), "conv_transpose rows");
      for (int64_t column = 0; column < s.length; column += columns) {
        columns_of(s, chunk, tile, column, std::min(columns, s.length - column));
      }
      store_chunk(s, chunk, tile, rows.begin, rows.begin + rows.count);
    }
  }
}

}  // namespace presil::kernels
