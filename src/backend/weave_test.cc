#include "backend/weave.h"

#include <gtest/gtest.h>

#include "backend/test_chip.h"
#include "tile/builder.h"

namespace presil::backend {
namespace {

using tile::Builder;

// A layer of products, piece by piece in PSUM, and one that works on each piece's result for as long elsewhere.
struct Layers {
  Builder b{"weave"};
  uint32_t stationary = b.sbuf(128, 256, "stationary"), moving = b.sbuf(128, 1024, "moving");
  std::vector<uint32_t> results;

  isa::View half(uint32_t tile) { return b.tile_view(tile, DType::bf16); }
  isa::View full(uint32_t tile) { return b.tile_view(tile, DType::fp32); }
  void clear() {
    b.begin_layer("operands", "memset");
    b.set_source("memset");
    for (uint32_t t : {stationary, moving}) b.memset({.dst = half(t)});
  }
  void products(int pieces) {
    b.begin_layer("products", "linear");
    b.set_source("linear");
    for (int p = 0; p < pieces; ++p) {
      const uint32_t bank = b.psum(128, 2048, "bank");
      for (int k = 0; k < 4; ++k)
        b.matmul({.dst = full(bank), .stationary = half(stationary), .moving = half(moving), .accumulate = k > 0});
      results.push_back(b.sbuf(128, 2048, "result"));
      b.tensor_copy({.dst = full(results.back()), .src = full(bank)});
    }
  }
  void passes(bool all_first) {
    b.begin_layer("passes", "chain");
    b.set_source("chain");
    const uint32_t total = b.sbuf(128, 2048, "total");
    if (all_first) b.tensor_tensor({.dst = full(total), .data1 = full(results[0]), .data2 = full(results.back())});
    for (uint32_t r : results) {
      const uint32_t bank = b.psum(128, 2048, "bank"), out = b.sbuf(128, 2048, "out");
      const isa::View row = b.tile_view(r, DType::bf16, 0, 128, 0, {{1, 512}});
      const isa::View weights = b.tile_view(all_first ? total : stationary, DType::bf16, 0, 128, 0, {{1, 128}});
      b.matmul({.dst = full(bank), .stationary = weights, .moving = row});
      for (int n = 0; n < 3; ++n) b.activation({.dst = full(out), .data = full(bank), .op = Activation::exp});
    }
  }
  Woven weave() {
    return backend::weave(b.program, dependence_graph(b.program), work_of(b.program, testing::chip()), testing::chip());
  }
};

// The place of each instruction in `order`.
std::vector<uint32_t> places(const std::vector<uint32_t>& order) {
  std::vector<uint32_t> at(order.size(), UINT32_MAX);
  for (uint32_t n = 0; n < order.size(); ++n) at[order[n]] = n;
  return at;
}

TEST(Weave, EveryInstructionOnceAfterWhatItDependsOn) {
  Layers l;
  l.clear(), l.products(12), l.passes(false);
  const std::vector<uint32_t> at = places(l.weave().order);
  ASSERT_EQ(at.size(), l.b.program.code.code.size());
  const Graph graph = dependence_graph(l.b.program);
  for (uint32_t i = 0; i < at.size(); ++i) {
    EXPECT_LT(at[i], at.size());
    for (const Edge& e : graph.before(i)) EXPECT_LT(at[e.from], at[i]);
  }
}

// Two layers that use different engines take about as long as one.
TEST(Weave, LayersTakeTurns) {
  Layers l;
  l.clear(), l.products(12), l.passes(false);
  const Woven woven = l.weave();
  const std::vector<uint32_t> at = places(woven.order);
  const uint32_t passes = 2 + 12 * 5;  // the first instruction of the third layer
  EXPECT_LT(at[passes], at[passes - 1]);
  EXPECT_LT(woven.elapsed, woven.alone * 3 / 4);
}

// What needs all of a layer waits for all of it.
TEST(Weave, NothingOvertakesWhatItNeeds) {
  Layers l;
  l.clear(), l.products(12), l.passes(true);
  const Woven woven = l.weave();
  EXPECT_TRUE(std::ranges::is_sorted(woven.order));
  EXPECT_EQ(woven.elapsed, woven.alone);
}

}  // namespace
}  // namespace presil::backend
