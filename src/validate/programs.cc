#include "validate/programs.h"

#include "tile/builder.h"

namespace presil::validate {
namespace {

using isa::EngineKind;
using isa::TensorRole;
using tile::Builder;
using tile::View;

constexpr uint32_t kPartitions = 128;
constexpr uint8_t kLoadQueue = 0, kStoreQueue = 8;

uint32_t size_of(DType t) { return static_cast<uint32_t>(dtype_bytes(t)); }

// A new tile, dense.
struct Tile {
  uint32_t id = 0;
  View view{};
};
Tile sbuf(Builder& b, DType t, uint32_t partitions, uint32_t elements, const char* name) {
  const uint32_t id = b.sbuf(partitions, elements * size_of(t), name);
  return {id, b.tile_view(id, t, 0, partitions, 0, {{1, elements}})};
}
Tile psum(Builder& b, uint32_t partitions, uint32_t elements, const char* name) {
  const uint32_t id = b.psum(partitions, elements * 4, name);
  return {id, b.tile_view(id, DType::fp32, 0, partitions, 0, {{1, elements}})};
}
Tile filled(Builder& b, DType t, uint32_t partitions, uint32_t elements, const char* name) {
  Tile out = sbuf(b, t, partitions, elements, name);
  b.set_source("fill");
  b.memset({.dst = out.view, .value = 1.0f});
  return out;
}

// rows x columns at (row, column) of a row-major matrix.
View block(const Builder& b, uint32_t tensor, uint32_t pitch, uint32_t row, uint32_t column, uint32_t rows,
           uint32_t columns) {
  return b.hbm_view(tensor, int64_t{row} * pitch + column, {{static_cast<int32_t>(pitch), rows}, {1, columns}});
}

}  // namespace

tile::TileProgram load_exp_store(bool warm_table) {
  constexpr DType kType = DType::bf16;
  Builder b("load_exp_store", "bf16");
  const uint32_t x = b.tensor("x", kType, {kPartitions, 128}, TensorRole::input);
  const uint32_t y = b.tensor("y", kType, {kPartitions, 128}, TensorRole::output);
  b.begin_layer("exp", "elementwise", 0, 2 * kPartitions * 128 * 2);
  uint32_t warm = 0;
  if (warm_table) {
    const Tile small = filled(b, kType, kPartitions, 1, "small");
    b.set_source("warm");
    warm =
        b.activation({.dst = sbuf(b, kType, kPartitions, 1, "warm").view, .data = small.view, .op = Activation::exp});
  }
  const Tile in = sbuf(b, kType, kPartitions, 128, "in"), out = sbuf(b, kType, kPartitions, 128, "out");
  b.set_source("load");
  const uint32_t load = b.dma(in.view, b.whole(x), {.engine = EngineKind::gpsimd});
  if (warm_table) b.order(warm, load);
  b.set_source("exp");
  b.activation({.dst = out.view, .data = in.view, .op = Activation::exp});
  b.set_source("store");
  b.dma(b.whole(y), out.view, {.engine = EngineKind::scalar});
  return b.take();
}

tile::TileProgram activation_chain(uint32_t length) {
  Builder b("activation_chain");
  b.begin_layer("chain", "elementwise");
  Tile last = filled(b, DType::fp32, kPartitions, 1, "x");
  const Tile bias = filled(b, DType::fp32, kPartitions, 1, "bias");
  b.set_source("chain");
  for (uint32_t i = 0; i < length; ++i) {
    const Tile next = sbuf(b, DType::fp32, kPartitions, 1, "x");
    b.activation({.dst = next.view, .data = last.view, .op = Activation::copy, .scale = 2.0f, .bias = bias.view});
    last = next;
  }
  return b.take();
}

tile::TileProgram matmul_stream(const MatmulStream& m) {
  Builder b("matmul_stream");
  b.begin_layer("matmul", "matmul", uint64_t{m.rows} * m.columns * m.moving * m.count);
  const Tile stationary = filled(b, m.dtype, m.rows, m.columns, "stationary");
  const Tile moving = filled(b, m.dtype, m.rows, m.moving, "moving");
  for (uint32_t i = 0; i < m.count; ++i) {
    const Tile out = psum(b, m.columns, m.moving, "out");
    b.set_source("matmul");
    b.matmul({.dst = out.view, .stationary = stationary.view, .moving = moving.view});
  }
  return b.take();
}

tile::TileProgram vector_add(uint32_t partitions, uint32_t elements) {
  Builder b("vector_add");
  b.begin_layer("add", "elementwise");
  const Tile x = filled(b, DType::fp32, partitions, elements, "x");
  const Tile y = filled(b, DType::fp32, partitions, elements, "y");
  const Tile out = sbuf(b, DType::fp32, partitions, elements, "out");
  b.set_source("add");
  b.tensor_tensor({.dst = out.view, .data1 = x.view, .data2 = y.view, .op = AluOp::add});
  return b.take();
}

tile::TileProgram psum_copy(uint32_t elements) {
  Builder b("psum_copy");
  b.begin_layer("copy", "elementwise");
  const Tile x = psum(b, kPartitions, elements, "x");
  b.set_source("fill");
  b.memset({.dst = x.view, .value = 1.0f});
  const Tile out = sbuf(b, DType::fp32, kPartitions, elements, "out");
  b.set_source("copy");
  b.tensor_copy({.dst = out.view, .src = x.view});
  return b.take();
}

tile::TileProgram quantize(uint32_t elements) {
  Builder b("quantize");
  b.begin_layer("quantize", "elementwise");
  const Tile x = filled(b, DType::bf16, 80, elements, "x");
  const Tile out = sbuf(b, DType::fp8_e4m3, 80, elements, "out");
  b.set_source("quantize");
  b.tensor_scalar({.dst = out.view, .data = x.view, .op0 = AluOp::multiply, .operand0 = 0.5f});
  return b.take();
}

tile::TileProgram load_stream(uint32_t bytes_per_partition, uint32_t count) {
  constexpr uint32_t kTiles = 4;  // written in turn
  const uint32_t elements = bytes_per_partition / 4;
  Builder b("load_stream");
  const uint32_t x = b.tensor("x", DType::fp32, {kPartitions, elements}, TensorRole::input);
  b.begin_layer("load", "elementwise", 0, uint64_t{count} * kPartitions * bytes_per_partition);
  std::vector<Tile> tiles;
  for (uint32_t i = 0; i < kTiles; ++i) tiles.push_back(sbuf(b, DType::fp32, kPartitions, elements, "x"));
  b.set_source("load");
  for (uint32_t i = 0; i < count; ++i) b.dma(tiles[i % kTiles].view, b.whole(x), {.queue = kLoadQueue});
  return b.take();
}

namespace {

// What the three GEMMs share: tensors, and the pieces of their loops.
struct GemmBuilder {
  const Gemm g;
  Builder b;
  uint32_t lhs, rhs, out;

  GemmBuilder(const char* name, const Gemm& gemm) : g(gemm), b(name, std::string(dtype_name(gemm.dtype))) {
    lhs = b.tensor("lhsT", g.dtype, {g.k, g.m}, TensorRole::input);
    rhs = b.tensor("rhs", g.dtype, {g.k, g.n}, TensorRole::input);
    out = b.tensor("out", g.dtype, {g.m, g.n}, TensorRole::output);
    const uint64_t elements = uint64_t{g.k} * g.m + uint64_t{g.k} * g.n + uint64_t{g.m} * g.n;
    b.begin_layer(name, "matmul", uint64_t{g.m} * g.k * g.n, elements * size_of(g.dtype));
  }

  Tile load_lhs(uint32_t k, uint32_t m, uint32_t columns, uint8_t queue) {
    b.set_source("load lhsT");
    const Tile t = sbuf(b, g.dtype, kPartitions, columns, "lhsT");
    b.dma(t.view, block(b, lhs, g.m, k * kPartitions, m, kPartitions, columns), {.queue = queue});
    return t;
  }
  Tile load_rhs(uint32_t k, uint32_t n, uint32_t columns, uint8_t queue) {
    b.set_source("load rhs");
    const Tile t = sbuf(b, g.dtype, kPartitions, columns, "rhs");
    b.dma(t.view, block(b, rhs, g.n, k * kPartitions, n, kPartitions, columns), {.queue = queue});
    return t;
  }
  // 128 columns of `stationary` from `m`, 512 of `moving` from `n`.
  void multiply(const Tile& acc, const Tile& stationary, uint32_t m, const Tile& moving, uint32_t n, bool accumulate) {
    b.set_source("matmul");
    const int64_t size = size_of(g.dtype);
    b.matmul({.dst = acc.view,
              .stationary = b.tile_view(stationary.id, g.dtype, 0, kPartitions, m * size, {{1, 128}}),
              .moving = b.tile_view(moving.id, g.dtype, 0, kPartitions, n * size, {{1, 512}}),
              .accumulate = accumulate});
  }
  void store(const Tile& acc, uint32_t m, uint32_t n) {
    const Tile result = sbuf(b, g.dtype, kPartitions, 512, "result");
    b.set_source("copy");
    b.tensor_copy({.dst = result.view, .src = acc.view});
    b.set_source("store");
    b.dma(block(b, out, g.n, m, n, kPartitions, 512), result.view, {.queue = kStoreQueue});
  }
};

}  // namespace

tile::TileProgram gemm_tiled(const Gemm& g) {
  GemmBuilder x("gemm_tiled", g);
  for (uint32_t m = 0; m < g.m; m += 128) {
    for (uint32_t n = 0; n < g.n; n += 512) {
      const Tile acc = psum(x.b, 128, 512, "acc");
      for (uint32_t k = 0; k < g.k / kPartitions; ++k) {
        const Tile lhs = x.load_lhs(k, m, 128, kLoadQueue), rhs = x.load_rhs(k, n, 512, kLoadQueue);
        x.multiply(acc, lhs, 0, rhs, 0, k > 0);
      }
      x.store(acc, m, n);
    }
  }
  return x.b.take();
}

tile::TileProgram gemm_columns(const Gemm& g) {
  GemmBuilder x("gemm_columns", g);
  const uint32_t k_tiles = g.k / kPartitions;
  for (uint32_t m = 0; m < g.m; m += 128) {
    std::vector<Tile> lhs;
    for (uint32_t k = 0; k < k_tiles; ++k) lhs.push_back(x.load_lhs(k, m, 128, tile::kAnyQueue));
    for (uint32_t n = 0; n < g.n; n += 512) {
      const Tile acc = psum(x.b, 128, 512, "acc");
      for (uint32_t k = 0; k < k_tiles; ++k) {
        x.multiply(acc, lhs[k], 0, x.load_rhs(k, n, 512, tile::kAnyQueue), 0, k > 0);
      }
      x.store(acc, m, n);
    }
  }
  return x.b.take();
}

tile::TileProgram gemm_blocked(const Gemm& g) {
  GemmBuilder x("gemm_blocked", g);
  const uint32_t k_tiles = g.k / kPartitions;
  for (uint32_t m = 0; m < g.m; m += 256) {
    std::vector<Tile> lhs;
    for (uint32_t k = 0; k < k_tiles; ++k) lhs.push_back(x.load_lhs(k, m, 256, kLoadQueue));
    for (uint32_t n = 0; n < g.n; n += 1024) {
      std::vector<Tile> acc;
      for (int i = 0; i < 4; ++i) acc.push_back(psum(x.b, 128, 512, "acc"));
      for (uint32_t k = 0; k < k_tiles; ++k) {
        const Tile rhs = x.load_rhs(k, n, 1024, kLoadQueue);
        for (uint32_t i = 0; i < 4; ++i) x.multiply(acc[i], lhs[k], i / 2 * 128, rhs, i % 2 * 512, k > 0);
      }
      for (uint32_t i = 0; i < 4; ++i) x.store(acc[i], m + i / 2 * 128, n + i % 2 * 512);
    }
  }
  return x.b.take();
}

}  // namespace presil::validate
