// A filter tap of few channels fills few of the array's rows, and few outputs few of its columns. So `in_rows` rows of
// the input lie beside each other on partitions, and `out_rows` rows of the result are computed at once: neighbouring
// outputs share most of their inputs, so that one matmul does the work of several taps of several rows. What a row of
// the result does not take of an input row is a zero of the weights.
//
// The grid: partition (p, c) of grid row j holds row pitch * j + p of channel c, rows outside the image being zero. A
// DMA per p builds it out of the block, while other engines work.
#include "kernels/row_conv.h"

#include <algorithm>
#include <numeric>

namespace presil::kernels {
namespace {

struct Grid {
  uint32_t tile = 0;
  int64_t rows = 0;
};

Grid load_grid(Context& c, const Window& w, const RowPacking& p, const Block& in, int64_t n, const Block& out) {
  const int64_t channels = in.shape[1], width = in.shape[3], item = static_cast<int64_t>(dtype_bytes(in.dtype));
  const int64_t blocks = (out.shape[2] + p.out_rows - 1) / p.out_rows;
  Grid grid{0, ((blocks - 1) * p.out_rows * w.stride[0] + (p.passes - 1) * p.in_rows) / p.pitch + 1};
  grid.tile = c.build.sbuf(static_cast<uint32_t>(p.in_rows * channels), static_cast<uint32_t>(grid.rows * width * item),
                           "rows beside rows");
  const int64_t first = out.row_begin * w.stride[0] - w.pad_begin[0] - in.row_begin;  // of the grid, in the block
  // Grid rows of which some part lies outside of the block: at both ends.
  const int64_t low = first >= 0 ? 0 : std::min(grid.rows, (-first + p.pitch - 1) / p.pitch);
  const int64_t last = in.shape[2] - p.in_rows - first;  // where the last whole grid row may begin
  const int64_t high = std::clamp<int64_t>(last < 0 ? 0 : last / p.pitch + 1, low, grid.rows);
  auto rows_view = [&](int64_t part, int64_t parts, int64_t begin, int64_t count) {
    return c.build.tile_view(
        grid.tile, in.dtype, static_cast<uint32_t>(part * channels), static_cast<uint32_t>(parts * channels),
        begin * width * item,
        {{static_cast<int32_t>(width), static_cast<uint32_t>(count)}, {1, static_cast<uint32_t>(width)}});
  };
  for (const auto& [begin, end] : {std::pair(int64_t{0}, low), std::pair(high, grid.rows)}) {
    if (begin == end) continue;
    c.build.memset(
        {.dst = rows_view(0, p.in_rows, begin, end - begin), .value = 0.0f, .engine = isa::EngineKind::gpsimd});
  }
  for (int64_t part = 0; part < p.in_rows; ++part) {
    const int64_t row = first + part;  // of grid row 0
    const int64_t begin = row >= 0 ? 0 : (-row + p.pitch - 1) / p.pitch;
    const int64_t end = row >= in.shape[2] ? 0 : std::min(grid.rows, (in.shape[2] - 1 - row) / p.pitch + 1);
    if (end <= begin) continue;
    c.build.dma(
        rows_view(part, 1, begin, end - begin),
        view(in, 0, {{n, 1, 1}, {0, channels, 1}, {row + begin * p.pitch, end - begin, p.pitch}, {0, width, 1}}));
  }
  return grid;
}

void rows_tile(Context& c, const Window& w, const RowPacking& p, const Weights& weights, const Block& in,
               const Grid& grid, const Block& out, int64_t n, const RowBlocks& blocks, const Rectangle& r,
               const Epilogue& epilogue) {
  const int64_t k = p.in_rows * in.shape[1], m = p.out_rows * p.m_step, width = in.shape[3];
  const auto item = static_cast<int64_t>(dtype_bytes(in.dtype));
  const int64_t step = p.out_rows * w.stride[0] / p.pitch;  // grid rows from block to block
  const auto elements = static_cast<uint32_t>(4 * blocks.count * r.columns);
  uint32_t psum = c.build.psum(static_cast<uint32_t>(m), elements, "conv");
  // Columns behave as in any window: all rows exist.
  Window columns = w;
  columns.kernel[0] = columns.stride[0] = columns.dilation[0] = 1, columns.pad_begin[0] = columns.pad_end[0] = 0;
  const Rectangle area{0, blocks.count, r.column, r.columns};
  std::vector<Tap> taps = taps_of(columns, area, blocks.count, width);
  bool started = false;
  auto stationary = [&](int64_t pass, int64_t column) {
    return view(weights.weights, 0, {{0, k, 1}, {pass, 1, 1}, {column, 1, 1}, {0, m, 1}});
  };
  if (taps.empty() || !covers(taps[0], area)) {
    c.build.matmul({.dst = c.build.tile_view(psum, DType::fp32),
                    .stationary = stationary(0, 0),
                    .moving = zeros(c, in.dtype, k, blocks.count * r.columns)});
    started = true;
  }
  for (const Tap& tap : taps) {
    for (int64_t pass = 0; pass < p.passes; ++pass) {
      const int64_t row = blocks.begin * step + pass * (p.in_rows / p.pitch);
      isa::View moving =
          c.build.tile_view(grid.tile, in.dtype, 0, static_cast<uint32_t>(k), item * (row * width + tap.columns.input),
                            {{static_cast<int32_t>(step * width), static_cast<uint32_t>(blocks.count)},
                             {static_cast<int32_t>(w.stride[1]), static_cast<uint32_t>(tap.columns.count)}});
      c.build.matmul({.dst = tile_window(c, psum, m, area, tap),
                      .stationary = stationary(pass, tap.column),
                      .moving = moving,
                      .accumulate = started});
      started = true;
    }
  }
  evacuate_rows(c, psum, blocks, r, weights, out, 0, n, epilogue);
}

// The array's time, and that of the transfers that build a grid, which other work may hide, but not for free.
double seconds(const spec::ChipSpec& spec, const Window& w, const RowPacking& p, int64_t channels, double pixels,
               DType operand) {
  const auto rows = static_cast<double>(p.out_rows);
  const double hardware_passes = operand == DType::fp32 ? spec.tensor.fp32_passes : 1;
  const double array =
      static_cast<double>(p.passes * w.kernel[1]) * hardware_passes / rows / static_cast<double>(spec.tensor.clock_hz);
  if (p.in_rows == 1) return array * pixels;
  const double bytes = static_cast<double>(p.in_rows * channels * w.stride[1] * p.out_rows * w.stride[0] / p.pitch) *
                       static_cast<double>(dtype_bytes(operand)) / rows;
  const double rate = static_cast<double>(spec.dma.engine_bytes_per_s) * spec.dma.engines;
  return (array + bytes / rate) * pixels + to_seconds(spec.dma.start_latency_from_sbuf + spec.dma.completion);
}

}  // namespace

RowsBeside rows_beside(const spec::ChipSpec& spec, int64_t outputs) {
  const int64_t total = spec.psum.partitions;
  const int64_t step = outputs > total / 2 ? total : outputs > total / 4 ? total / 2 : std::max<int64_t>(1, total / 4);
  return {std::max<int64_t>(1, std::min<int64_t>(total, spec.tensor.columns) / step), step};
}

std::optional<RowPacking> row_packing(const spec::ChipSpec& spec, const Window& w, int64_t channels, int64_t outputs,
                                      int64_t rows, int64_t columns, DType operand) {
  const int64_t array = std::min<int64_t>(spec.tensor.rows, group_partitions(spec));  // one group holds the weights
  const RowsBeside beside = rows_beside(spec, outputs);
  if (w.dilation[0] != 1 || channels > array || outputs > beside.step) return std::nullopt;
  auto time = [&](const RowPacking& p) {
    return seconds(spec, w, p, channels, static_cast<double>(rows * columns), operand);
  };
  RowPacking best{.passes = w.kernel[0]};
  for (int64_t out_rows = 1; out_rows <= std::min(beside.most, rows); ++out_rows) {
    const int64_t need = (out_rows - 1) * w.stride[0] + w.kernel[0], advance = out_rows * w.stride[0];
    for (int64_t in_rows = 2; in_rows <= std::min(need, array / channels); ++in_rows) {
      const int64_t passes = (need + in_rows - 1) / in_rows;
      const int64_t pitch = passes == 1 ? advance : std::gcd(in_rows, advance);
      const RowPacking p{out_rows, in_rows, passes, pitch, out_rows == 1 ? outputs : beside.step};
      if (time(p) < time(best)) best = p;
    }
  }
  if (best.in_rows == 1) return std::nullopt;
  return best;
}

void evacuate_rows(Context& c, uint32_t psum, const RowBlocks& blocks, const Rectangle& r, const Weights& weights,
                   const Block& out, size_t group, int64_t n, const Epilogue& epilogue) {
  const int64_t m = out.groups[group].partitions;
  for (int64_t i = 0; i < blocks.out_rows; ++i) {
    const int64_t row = blocks.begin * blocks.out_rows + i;
    const int64_t count = std::min(blocks.count, (out.shape[2] - row + blocks.out_rows - 1) / blocks.out_rows);
    if (row >= out.shape[2]) break;
    const isa::View result =
        c.build.tile_view(psum, DType::fp32, static_cast<uint32_t>(i * blocks.m_step), static_cast<uint32_t>(m), 0,
                          {{1, static_cast<uint32_t>(count * r.columns)}});
    const std::vector<Range> where = {{n, 1, 1}, {0, m, 1}, {row, count, blocks.out_rows}, {r.column, r.columns, 1}};
    Evacuation leaving{result, view(out, group, where), bias_of(weights, group), {}};
    if (epilogue.addend) leaving.addend = view(*epilogue.addend, group, where);
    evacuate(c, leaving, epilogue);
  }
}

void conv_rows(Context& c, const Window& w, const RowPacking& p, const Weights& weights, const Block& in,
               const Block& out, const Epilogue& epilogue) {
  const int64_t columns = out.shape[3], limit = psum_elements(c);
  const int64_t parts = (columns + limit - 1) / limit, part = (columns + parts - 1) / parts;
  const int64_t blocks = (out.shape[2] + p.out_rows - 1) / p.out_rows;
  const int64_t tiles = (blocks * part + limit - 1) / limit, step = (blocks + tiles - 1) / tiles;
  for (int64_t n = 0; n < out.shape[0]; ++n) {
    const Grid grid = load_grid(c, w, p, in, n, out);
    for (int64_t b = 0; b < blocks; b += std::min(step, limit / part)) {
      for (int64_t x = 0; x < columns; x += part) {
        const RowBlocks rows{b, std::min(std::min(step, limit / part), blocks - b), p.out_rows, p.m_step};
        rows_tile(c, w, p, weights, in, grid, out, n, rows, Rectangle{0, 1, x, std::min(part, columns - x)}, epilogue);
      }
    }
  }
}

}  // namespace presil::kernels
