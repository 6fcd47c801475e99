#include "kernels/narrow_gemm.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "kernels/kernels.h"
#include "kernels/narrow_layout.h"
#include "timing/cost.h"

namespace presil::kernels {
namespace {

using isa::View;
using Kind = NarrowGemm::Kind;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

constexpr DType kActivations = DType::bf16;
// M-tiles whose weights are on their way. Of 1, 4 and 8 the best for 4096^3 in mxfp8 (604, 491, 500 us on trn3).
constexpr int64_t kPanelsAhead = 4;

// One K-tile of the activations in SBUF, for columns [n0, n0 + columns) of b.
struct Moving {
  uint32_t numbers = 0, scales = 0;  // tiles
};

struct Panel {
  uint32_t numbers = 0, beside = 0;  // tiles: all K-tiles of the weights of one M-tile
};

// A tile of the output within a block of columns.
struct Out {
  int64_t m_tile = 0, n = 0, columns = 0;
  uint32_t psum = 0;
  Panel panel;
};

class Maker {
 public:
  Maker(const spec::ChipSpec& spec, const NarrowGemm& g, float unit)
      : g_(g), layout_(spec, g), unit_(unit), build_("gemm", name_of(g)), c_{build_, spec, {}} {}

  tile::TileProgram make(NarrowWeights weights) {
    build_.begin_layer("gemm", "gemm",
                       static_cast<uint64_t>(g_.m) * static_cast<uint64_t>(g_.n) * static_cast<uint64_t>(g_.k),
                       bytes());
    b_ = build_.tensor("b", kActivations, {g_.k, g_.n}, isa::TensorRole::input);
    a_ = build_.tensor("a", layout_.number_type, layout_.shape(layout_.row_numbers), isa::TensorRole::constant,
                       std::move(weights.numbers));
    if (layout_.row_beside > 0) {
      beside_ = build_.tensor("a.beside", layout_.beside_type, layout_.shape(layout_.row_beside),
                              isa::TensorRole::constant, std::move(weights.beside));
    }
    out_ = build_.tensor("out", kActivations, {g_.m, g_.n}, isa::TensorRole::output);
    block_ = columns_of_block();
    Columns block = columns_from(0);
    for (int64_t index = 0; block.count > 0; ++index) {
      Columns next = columns_from(std::min(g_.n, block.begin + block_));
      make_block(index, block, next);
      block = std::move(next);
    }
    return build_.take();
  }

 private:
  static std::string name_of(const NarrowGemm& g) {
    if (g.kind == Kind::sparse) return fmt::format("bf16 {}:{}", g.kept, g.of);
    return g.kind == Kind::fp8 ? "fp8" : "mxfp8";
  }
  uint64_t bytes() const { return layout_.bytes() + static_cast<uint64_t>(2 * g_.n * (g_.k + g_.m)); }
  int64_t columns_of_tile() const {
    const auto& s = c_.spec;
    return std::min<int64_t>(s.tensor.moving_max,
                             static_cast<int64_t>(s.psum.bytes_per_partition / s.psum.banks / sizeof(float)));
  }

  // Columns whose activations are resident: the slower of computing and moving, and what the first block waits for.
  int64_t columns_of_block() const {
    const auto& s = c_.spec;
    const double rate = std::min(static_cast<double>(s.dma.engines) * static_cast<double>(s.dma.engine_bytes_per_s),
                                 static_cast<double>(s.hbm.bytes_per_s));
    const int64_t n_tile = columns_of_tile(), k_tiles = layout_.k_tiles;
    const double pass = static_cast<double>(n_tile) / static_cast<double>(s.tensor.clock_hz);
    const double work = pass * static_cast<double>(k_tiles * layout_.m_tiles * ceil_div(g_.n, n_tile));
    int64_t best = n_tile;
    double least = 1e300;
    for (int64_t block = n_tile; block < g_.n + n_tile; block += n_tile) {
      const int64_t resident = block * layout_.moving_bytes(1) * k_tiles;
      const int64_t staged = 2 * block * layout_.staged_bytes(1) + (kPanelsAhead + 1) * k_tiles * layout_.panel_bytes();
      if (static_cast<double>(2 * resident + staged) > 0.8 * static_cast<double>(s.sbuf.bytes_per_partition)) break;
      const double traffic = static_cast<double>(ceil_div(g_.n, block)) * static_cast<double>(layout_.bytes()) +
                             static_cast<double>(2 * g_.n * (g_.k + g_.m));
      const double first =
          static_cast<double>(2 * g_.k * block) / rate - pass * static_cast<double>(k_tiles * s.psum.banks);
      const double seconds = std::max(work, traffic / rate) + std::max(0.0, first);
      if (seconds < least) least = seconds, best = block;
    }
    return best;
  }

  struct Columns {
    int64_t begin = 0, count = 0;
    std::vector<Moving> moving;  // by K-tile, as far as made
  };
  Columns columns_from(int64_t n0) const { return {n0, std::min(block_, g_.n - n0), {}}; }

  // K-tiles of a block's activations up to `count`.
  void make_until(Columns& block, int64_t count) {
    for (auto kt = static_cast<int64_t>(block.moving.size()); kt < count && block.count > 0; ++kt)
      block.moving.push_back(make_moving(kt, block.begin, block.count));
  }

  // Weights of later M-tiles arrive while one is worked on; they begin anew with every block.
  const Panel& panel_of(int64_t index) {
    const int64_t last = ceil_div(g_.n, block_) * layout_.m_tiles;
    for (; next_panel_ <= std::min(index + kPanelsAhead, last - 1); ++next_panel_)
      panels_[static_cast<size_t>(next_panel_ % kPanels)] = load_panel(next_panel_ % layout_.m_tiles);
    return panels_[static_cast<size_t>(index % kPanels)];
  }

  // The very first tiles advance together, as many as there are banks, K-tile by K-tile as they arrive. Later ones
  // finish one by one, and between them the next block's activations are made.
  void make_block(int64_t index, Columns& block, Columns& next) {
    std::vector<Out> tiles;
    for (int64_t m = 0; m < layout_.m_tiles; ++m) {
      for (int64_t n = 0; n < block.count; n += columns_of_tile())
        tiles.push_back({m, n, std::min(columns_of_tile(), block.count - n), 0});
    }
    const auto count = static_cast<int64_t>(tiles.size());
    int64_t together = index == 0 ? std::min<int64_t>(c_.spec.psum.banks, count) : 1;
    for (int64_t begin = 0, end = 0; begin < count; begin = end, together = 1) {
      end = std::min(count, begin + together);
      const std::span<Out> some(tiles.data() + begin, tiles.data() + end);
      for (Out& t : some) {
        t.psum = build_.psum(layout_.m_count(t.m_tile), static_cast<uint32_t>(4 * t.columns), "out");
        t.panel = panel_of(index * layout_.m_tiles + t.m_tile);
      }
      for (int64_t kt = 0; kt < layout_.k_tiles; ++kt) {
        make_until(block, kt + 1);
        build_.set_source("matmul");
        for (const Out& t : some) multiply(kt, t.panel, block.moving[static_cast<size_t>(kt)], block.count, t);
      }
      for (const Out& t : some) store(t, block.begin);
      make_until(next, layout_.k_tiles * end / count);
    }
  }

  Panel load_panel(int64_t m_tile) {
    build_.set_source("load weights");
    const auto load = [&](uint32_t tensor, DType t, int64_t row) {
      const auto whole = static_cast<uint32_t>(row * layout_.k_tiles);
      const uint32_t tile =
          build_.sbuf(layout_.rows, static_cast<uint32_t>(whole * dtype_bytes(t)), "a", {.partition = 0});
      const int64_t from = m_tile * layout_.rows * whole;
      build_.dma(build_.tile_view(tile, t), build_.hbm_view(tensor, from, {{1, layout_.rows * whole}}));
      return tile;
    };
    Panel p;
    p.numbers = load(a_, layout_.number_type, layout_.row_numbers);
    if (layout_.row_beside > 0) p.beside = load(beside_, layout_.beside_type, layout_.row_beside);
    return p;
  }

  // Activations of one K-tile: as they are, converted, or quantized with their scales.
  Moving make_moving(int64_t kt, int64_t n0, int64_t columns) {
    build_.set_source("load activations");
    const uint32_t p = layout_.partitions(kt), parts = layout_.parts;
    const auto n = static_cast<uint32_t>(columns);
    const uint32_t staged = build_.sbuf(p, parts * n * 2, "b", {.partition = 0});
    const auto [partition_rows, part_rows] = layout_.row_steps(kt);
    const auto width = static_cast<int32_t>(g_.n);
    build_.dma(build_.tile_view(staged, kActivations),
               build_.hbm_view(b_, kt * layout_.depth * g_.n + n0,
                               {{partition_rows * width, p}, {part_rows * width, parts}, {1, n}}));
    if (g_.kind == Kind::sparse) return {staged, 0};
    build_.set_source("convert activations");
    if (g_.kind == Kind::fp8) {
      const uint32_t tile = build_.sbuf(p, parts * n, "b fp8", {.partition = 0});
      const View to = build_.tile_view(tile, layout_.number_type), from = build_.tile_view(staged, kActivations);
      if (lighter_engine(c_, to, from) == isa::EngineKind::scalar) {
        build_.activation({.dst = to, .data = from, .op = Activation::copy});
      } else {
        build_.tensor_copy({.dst = to, .src = from});
      }
      return {tile, 0};
    }
    const uint32_t tile = build_.sbuf(p, 4 * n, "b mx", {.partition = 0});
    const uint32_t scales = build_.sbuf(p, n, "b scales", {.partition = 0});
    build_.quantize_mx({.dst = build_.tile_view(tile, layout_.number_type),
                        .src = build_.tile_view(staged, kActivations, 0, p, 0, {{1, n}, {static_cast<int32_t>(n), 4}}),
                        .dst_scale = build_.tile_view(scales, DType::fp8_e8m0)});
    return {tile, scales};
  }

  // Columns [t.n, t.n + t.columns) of a moving tile, part by part.
  View moving_view(uint32_t tile, DType t, uint32_t p, int64_t columns, const Out& out, uint32_t parts) const {
    const auto n = static_cast<uint32_t>(out.columns);
    const int64_t offset = out.n * static_cast<int64_t>(dtype_bytes(t));
    if (parts == 1) return build_.tile_view(tile, t, 0, p, offset, {{1, n}});
    return build_.tile_view(tile, t, 0, p, offset, {{static_cast<int32_t>(columns), parts}, {1, n}});
  }
  View weights_view(uint32_t tile, DType t, int64_t kt, int64_t row, uint32_t count, uint32_t parts) const {
    const int64_t offset = kt * row * static_cast<int64_t>(dtype_bytes(t));
    const auto step = static_cast<int32_t>(layout_.columns);
    if (parts == 1) return build_.tile_view(tile, t, 0, layout_.partitions(kt), offset, {{1, count}});
    return build_.tile_view(tile, t, 0, layout_.partitions(kt), offset, {{step, parts}, {1, count}});
  }

  void multiply(int64_t kt, const Panel& a, const Moving& b, int64_t columns, const Out& t) {
    const uint32_t m = layout_.m_count(t.m_tile), p = layout_.partitions(kt);
    const View dst = build_.tile_view(t.psum, DType::fp32);
    const DType number = layout_.number_type;
    if (g_.kind == Kind::fp8) {
      const auto mode = layout_.parts == 2 ? isa::MatmulMode::double_row : isa::MatmulMode::none;
      build_.matmul({.dst = dst,
                     .stationary = weights_view(a.numbers, number, kt, layout_.row_numbers, m, layout_.parts),
                     .moving = moving_view(b.numbers, number, p, columns, t, layout_.parts),
                     .accumulate = kt > 0,
                     .perf_mode = mode});
    } else if (g_.kind == Kind::mxfp8) {
      build_.matmul_mx({.dst = dst,
                        .stationary = weights_view(a.numbers, number, kt, layout_.row_numbers, m, 1),
                        .moving = moving_view(b.numbers, number, p, columns, t, 1),
                        .stationary_scale = weights_view(a.beside, layout_.beside_type, kt, layout_.row_beside, m, 1),
                        .moving_scale = moving_view(b.scales, DType::fp8_e8m0, p, columns, t, 1),
                        .accumulate = kt > 0});
    } else {
      const auto words = static_cast<uint32_t>(ceil_div(m, 4));
      build_.matmul_sparse({.dst = dst,
                            .stationary = weights_view(a.numbers, number, kt, layout_.row_numbers, m, 1),
                            .moving = moving_view(b.numbers, kActivations, p, columns, t, layout_.parts),
                            .tags = weights_view(a.beside, layout_.beside_type, kt, layout_.row_beside, words, 1),
                            .accumulate = kt > 0,
                            .kept = static_cast<int32_t>(g_.kept),
                            .of = static_cast<int32_t>(g_.of)});
    }
  }

  void store(const Out& t, int64_t n0) {
    build_.set_source("store");
    const uint32_t m = layout_.m_count(t.m_tile);
    const uint32_t tile = build_.sbuf(m, static_cast<uint32_t>(2 * t.columns), "out");
    const View v = build_.tile_view(tile, kActivations);
    evacuate(c_, {build_.tile_view(t.psum, DType::fp32), v, {}, {}}, {.scale = unit_});
    build_.dma(build_.hbm_view(out_, t.m_tile * layout_.columns * g_.n + n0 + t.n,
                               {{static_cast<int32_t>(g_.n), m}, {1, static_cast<uint32_t>(t.columns)}}),
               v);
  }

  NarrowGemm g_;
  NarrowLayout layout_;
  float unit_;
  tile::Builder build_;
  Context c_;
  uint32_t a_ = 0, b_ = 0, beside_ = 0, out_ = 0;
  int64_t block_ = 0, next_panel_ = 0;
  // The first tiles may use as many M-tiles as there are banks.
  static constexpr int64_t kPanels = 64;
  std::array<Panel, kPanels> panels_;
};

}  // namespace

Result<void> check_narrow_gemm(const spec::ChipSpec& spec, const NarrowGemm& g) {
  const auto needs = [&](uint32_t generation, std::string_view what) -> Result<void> {
    if (spec.generation >= generation) return {};
    return bad_input(fmt::format("{} needs generation {}, chip '{}' is generation {}", what, generation, spec.name,
                                 spec.generation));
  };
  const auto multiple = [&](const char* option, int64_t value, int64_t of, std::string_view why) -> Result<void> {
    if (value % of == 0) return {};
    return bad_input(fmt::format("{} is not a multiple of {}, {}", value, of, why), option);
  };
  if (g.kind == Kind::mxfp8) {
    TRY(needs(4, "mxfp8"));
    TRY(multiple("--m", g.m, 2, "as nc_matmul_mx takes columns"));
    return multiple("--k", g.k, 128, "32 partitions of 4 numbers, which share scales");
  }
  if (g.kind == Kind::sparse) {
    TRY(needs(3, "structured sparsity"));
    return multiple("--k", g.k, g.of, "a group of the pattern");
  }
  return spec.generation >= 3 ? multiple("--k", g.k, 2, "as double_row takes rows") : Result<void>{};
}

tile::TileProgram narrow_gemm(const spec::ChipSpec& spec, const NarrowGemm& g, NarrowWeights weights) {
  const float unit = weights.unit;
  return Maker(spec, g, unit).make(std::move(weights));
}

}  // namespace presil::kernels
