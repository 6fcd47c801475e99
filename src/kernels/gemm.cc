#include "kernels/gemm.h"

#include <algorithm>

#include "kernels/kernels.h"

namespace presil::kernels {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// K-tiles of an operand panel [K, width] in SBUF, K on partitions.
struct Panel {
  std::vector<uint32_t> tiles;
  int64_t width = 0;
};

struct Shape {
  int64_t m, n, k, k_tile, m_tile, n_tile;
};

isa::View k_tile_view(Context& c, const Panel& panel, DType dtype, const Shape& s, int64_t kt, int64_t begin,
                      int64_t count) {
  int64_t depth = std::min(s.k_tile, s.k - kt * s.k_tile);
  return c.build.tile_view(panel.tiles[static_cast<size_t>(kt)], dtype, 0, static_cast<uint32_t>(depth),
                           begin * static_cast<int64_t>(dtype_bytes(dtype)), {{1, static_cast<uint32_t>(count)}});
}

void load_a(Context& c, Panel& panel, DType dtype, const Shape& s, const HbmView& a, int64_t kt, int64_t m0,
            int64_t count) {
  int64_t depth = std::min(s.k_tile, s.k - kt * s.k_tile);
  uint32_t tile = c.build.sbuf(static_cast<uint32_t>(depth),
                               static_cast<uint32_t>(count * static_cast<int64_t>(dtype_bytes(dtype))), "a");
  panel.tiles[static_cast<size_t>(kt)] = tile;
  c.build.dma_transpose(c.build.tile_view(tile, dtype),
                        c.build.hbm_view(a.tensor, a.offset + m0 * a.strides[0] + kt * s.k_tile * a.strides[1],
                                         {{static_cast<int32_t>(a.strides[0]), static_cast<uint32_t>(count)},
                                          {static_cast<int32_t>(a.strides[1]), static_cast<uint32_t>(depth)}}));
}

void load_b(Context& c, Panel& panel, DType dtype, const Shape& s, const HbmView& b, int64_t kt, int64_t n0,
            int64_t count) {
  int64_t depth = std::min(s.k_tile, s.k - kt * s.k_tile);
  uint32_t tile = c.build.sbuf(static_cast<uint32_t>(depth),
                               static_cast<uint32_t>(count * static_cast<int64_t>(dtype_bytes(dtype))), "b");
  panel.tiles[static_cast<size_t>(kt)] = tile;
  c.build.dma(c.build.tile_view(tile, dtype),
              c.build.hbm_view(b.tensor, b.offset + kt * s.k_tile * b.strides[0] + n0 * b.strides[1],
                               {{static_cast<int32_t>(b.strides[0]), static_cast<uint32_t>(depth)},
                                {static_cast<int32_t>(b.strides[1]), static_cast<uint32_t>(count)}}));
}

// PSUM tile (i, j) of a block: rows m0 + i * m_tile.., columns n0 + j * n_tile...
struct OutTile {
  int64_t m, m_count, n, n_count;  // relative to the block
  uint32_t psum;
};

std::vector<OutTile> tiles_of_block(const Shape& s, int64_t m_count, int64_t n_count) {
  std::vector<OutTile> tiles;
  for (int64_t m = 0; m < m_count; m += s.m_tile) {
    for (int64_t n = 0; n < n_count; n += s.n_tile) {
      tiles.push_back({m, std::min(s.m_tile, m_count - m), n, std::min(s.n_tile, n_count - n), 0});
    }
  }
  return tiles;
}

void start_tile(Context& c, OutTile& t) {
  t.psum = c.build.psum(static_cast<uint32_t>(t.m_count), static_cast<uint32_t>(4 * t.n_count), "c");
}

void step(Context& c, DType dtype, const Shape& s, const Panel& a, const Panel& b, const OutTile& t, int64_t kt) {
  c.build.matmul({.dst = c.build.tile_view(t.psum, DType::fp32),
                  .stationary = k_tile_view(c, a, dtype, s, kt, t.m, t.m_count),
                  .moving = k_tile_view(c, b, dtype, s, kt, t.n, t.n_count),
                  .accumulate = kt > 0});
}

void finish_tile(Context& c, const OutTile& t, const HbmView& out, int64_t m0, int64_t n0) {
  uint32_t tile = c.build.sbuf(static_cast<uint32_t>(t.m_count),
                               static_cast<uint32_t>(t.n_count * static_cast<int64_t>(dtype_bytes(out.dtype))), "c");
  isa::View v = c.build.tile_view(tile, out.dtype);
  evacuate(c, {c.build.tile_view(t.psum, DType::fp32), v, {}, {}});
  c.build.dma(c.build.hbm_view(out.tensor, out.offset + (m0 + t.m) * out.strides[0] + (n0 + t.n) * out.strides[1],
                               {{static_cast<int32_t>(out.strides[0]), static_cast<uint32_t>(t.m_count)},
                                {static_cast<int32_t>(out.strides[1]), static_cast<uint32_t>(t.n_count)}}),
              v);
}

}  // namespace

GemmBlocking gemm_blocking(const spec::ChipSpec& spec, int64_t m, int64_t n, int64_t k, DType dtype) {
  const auto item = static_cast<double>(dtype_bytes(dtype));
  const int64_t m_tile = spec.tensor.columns,
                n_tile = std::min<int64_t>(spec.tensor.moving_max,
                                           static_cast<int64_t>(spec.psum.bytes_per_partition / spec.psum.banks / 4));
  const auto k_tiles = static_cast<double>(ceil_div(k, spec.tensor.rows));
  const double budget = 0.7 * static_cast<double>(spec.sbuf.bytes_per_partition);
  const double bytes_per_s =
      std::min(static_cast<double>(spec.dma.engines) * static_cast<double>(spec.dma.engine_bytes_per_s),
               static_cast<double>(spec.hbm.bytes_per_s));
  const double pass_seconds = static_cast<double>(n_tile * (dtype == DType::fp32 ? spec.tensor.fp32_passes : 1)) /
                              static_cast<double>(spec.tensor.clock_hz);
  // Seconds of a blocking: the slower of computing and moving, plus what the first block waits for its operands.
  auto seconds = [&](int64_t mb, int64_t nb) {
    double first_passes = k_tiles * static_cast<double>(ceil_div(mb, m_tile) * ceil_div(nb, n_tile));
    double passes = k_tiles * static_cast<double>(ceil_div(m, m_tile) * ceil_div(n, n_tile));
    double first_bytes = item * static_cast<double>(k) * static_cast<double>(mb + nb);
    double bytes = item * (static_cast<double>(k) * static_cast<double>(n + m * ceil_div(n, nb)) +
                           static_cast<double>(m) * static_cast<double>(n));
    return std::max(passes * pass_seconds, bytes / bytes_per_s) +
           std::max(0.0, first_bytes / bytes_per_s - first_passes * pass_seconds);
  };
  GemmBlocking best{m_tile, n_tile};
  double best_seconds = 1e300;
  for (int64_t mb = m_tile; mb <= std::min(8 * m_tile, ceil_div(m, m_tile) * m_tile); mb += m_tile) {
    for (int64_t nb = n_tile; nb <= ceil_div(n, n_tile) * n_tile; nb += n_tile) {
      // While a block is worked on, the next one's A panel arrives: B and two A panels.
      if (k_tiles * item * static_cast<double>(2 * std::min(mb, m) + std::min(nb, n)) > budget) break;
      double t = seconds(std::min(mb, m), std::min(nb, n));
      if (t < best_seconds) best_seconds = t, best = {mb, nb};
    }
  }
  return best;
}

void gemm(Context& c, const GemmBlocking& blocking, DType dtype, const HbmView& a, const HbmView& b,
          const HbmView& out) {
  Shape s{a.shape[0],
          b.shape[1],
          a.shape[1],
          c.spec.tensor.rows,
          c.spec.tensor.columns,
          std::min<int64_t>(c.spec.tensor.moving_max,
                            static_cast<int64_t>(c.spec.psum.bytes_per_partition / c.spec.psum.banks / 4))};
  int64_t k_tiles = ceil_div(s.k, s.k_tile);
  auto banks = static_cast<size_t>(c.spec.psum.banks);
  for (int64_t n0 = 0; n0 < s.n; n0 += blocking.n_block) {
    int64_t n_count = std::min(blocking.n_block, s.n - n0);
    Panel b_panel{std::vector<uint32_t>(static_cast<size_t>(k_tiles)), n_count};
    for (int64_t m0 = 0; m0 < s.m; m0 += blocking.m_block) {
      int64_t m_count = std::min(blocking.m_block, s.m - m0);
      Panel a_panel{std::vector<uint32_t>(static_cast<size_t>(k_tiles)), m_count};
      std::vector<OutTile> tiles = tiles_of_block(s, m_count, n_count);
      bool first_block = n0 == 0 && m0 == 0;
      for (int64_t kt = 0; kt < k_tiles; ++kt) {
        load_a(c, a_panel, dtype, s, a, kt, m0, m_count);
        if (m0 == 0) load_b(c, b_panel, dtype, s, b, kt, n0, n_count);
      }
      // The very first block has nothing resident: as many output tiles as there are banks advance together, K-tile by
      // K-tile as they arrive. Later blocks find their panels and finish tile by tile, banks taking turns.
      size_t together = first_block ? banks : 1;
      for (size_t begin = 0, end = 0; begin < tiles.size(); begin = end, together = 1) {
        end = std::min(tiles.size(), begin + together);
        for (size_t i = begin; i < end; ++i) start_tile(c, tiles[i]);
        for (int64_t kt = 0; kt < k_tiles; ++kt) {
          for (size_t i = begin; i < end; ++i) step(c, dtype, s, a_panel, b_panel, tiles[i], kt);
        }
        for (size_t i = begin; i < end; ++i) finish_tile(c, tiles[i], out, m0, n0);
      }
    }
  }
}

Result<void> stream(Context& c, const Expression& expression, DType dtype, const std::vector<HbmView>& inputs,
                    const HbmView& out) {
  int64_t total = 1;
  for (int64_t d : out.shape) total *= d;
  int64_t lanes = c.spec.sbuf.partitions, item = static_cast<int64_t>(dtype_bytes(dtype));
  // Tiles of 8 KiB per partition (long DMA runs) as far as inputs, output and temporaries fit several times over.
  int64_t live = static_cast<int64_t>(inputs.size()) + 4;
  int64_t length =
      std::min<int64_t>(8192 / item, static_cast<int64_t>(c.spec.sbuf.bytes_per_partition) / (4 * live * item));
  length = std::max<int64_t>(1, std::min(length, ceil_div(total, lanes)));
  std::vector<InputKind> kinds(inputs.size(), InputKind::full);
  for (int64_t begin = 0; begin < total;) {
    int64_t left = total - begin;
    // Full tiles, then the rest in rows of the same length, then the last partial row.
    int64_t partitions = std::min(lanes, std::max<int64_t>(1, left / length));
    int64_t count = std::min(length, left);
    std::vector<Block> blocks;
    auto piece = [&](const HbmView& v) {
      HbmView part{.tensor = v.tensor,
                   .dtype = v.dtype,
                   .shape = {partitions, count},
                   .strides = {count, 1},
                   .offset = v.offset + begin};
      return part;
    };
    for (const HbmView& v : inputs) {
      blocks.push_back(allocate(c, dtype, {partitions, count}, 0, "stream in"));
      load(c, piece(v), blocks.back());
    }
    Block result = allocate(c, out.dtype, {partitions, count}, 0, "stream out");
    // Rounding between instructions, as operator by operator, keeps the vector engine at its 16-bit rate.
    TRY(elementwise(c, expression, blocks, kinds, result, dtype));
    store(c, result, piece(out));
    begin += partitions * count;
  }
  return {};
}

}  // namespace presil::kernels
