// What is known of values, and which quantization steps disappear by it.
#include <gtest/gtest.h>

#include "graph/builder.h"
#include "graph/facts.h"
#include "graph/simplify.h"

namespace presil::graph {
namespace {

Facts facts(const Graph& graph, TensorId id) {
  auto producer = [&](TensorId t) -> const Node* {
    for (const Node& node : graph.nodes) {
      if (node.output == t) return &node;
    }
    return nullptr;
  };
  return facts_of(graph, producer, id);
}

// x as 8-bit integers of scale `scale` and a zero point from its least element, and back.
struct Quantized {
  Builder b;
  TensorId zero, y;
  explicit Quantized(bool relu) {
    TensorId x = b.input("x", {DType::fp32, {2, 3}});
    if (relu) x = *b.unary(ElementwiseFn::relu, x);
    TensorId least = *b.binary(ElementwiseFn::min, *b.reduce(ReduceKind::min, x, {0, 1}, true), 0.0);
    TensorId below = *b.unary(ElementwiseFn::neg, *b.binary(ElementwiseFn::div, least, b.scalar(DType::fp32, 0.1)));
    zero = *b.unary(ElementwiseFn::saturate, below, 0, 255);
    TensorId r = *b.unary(ElementwiseFn::saturate, x, -65536, 65536);
    TensorId q = *b.unary(ElementwiseFn::clip, *b.binary(ElementwiseFn::add, r, zero), 0, 255);
    y = *b.cast(*b.cast(q, DType::uint8), DType::bf16);
  }
  Graph graph() {
    Graph g = b.graph();
    g.outputs = {y};
    return g;
  }
};

TEST(Facts, AreExactForIntegersAndSignsOtherwise) {
  Quantized q(false);
  Facts zero = facts(q.graph(), q.zero), y = facts(q.graph(), q.y);
  EXPECT_TRUE(zero.integral && y.integral);
  EXPECT_EQ(zero.low, 0);
  EXPECT_EQ(zero.high, 255);
  EXPECT_EQ(y.low, 0);
  EXPECT_EQ(y.high, 255);
  EXPECT_TRUE(facts(q.graph(), q.graph().inputs[0]).low < -1e300);
}

TEST(Quantized, IntegersReturnToFloatsAtOnce) {
  EXPECT_EQ(
      op_histogram(*simplify(Quantized(false).graph())),
      "elementwise.clip 2, elementwise.saturate 2, cast 1, elementwise.add 1, elementwise.div 1, elementwise.neg 1, "
      "reduce 1");
}

TEST(Quantized, TheZeroPointOfWhatIsNeverNegativeIsKnown) {
  Graph g = *simplify(Quantized(true).graph());
  EXPECT_EQ(op_histogram(g), "cast 1, elementwise.relu 1, elementwise.saturate 1");
  EXPECT_EQ(g.nodes[1].attrs.alpha, 0);
  EXPECT_EQ(g.nodes[1].attrs.beta, 255);
}

TEST(Quantized, WholeValuesBeyondTheTypeKeepTheirCasts) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {4}});
  TensorId wide = *b.unary(ElementwiseFn::saturate, x, -300, 300);
  TensorId y = *b.cast(*b.cast(wide, DType::int8), DType::fp32);
  Graph g = b.graph();
  g.outputs = {y};
  EXPECT_EQ(op_histogram(*simplify(g)), "cast 2, elementwise.saturate 1");
}

}  // namespace
}  // namespace presil::graph
