#include "compiler/ranges.h"

#include <gtest/gtest.h>

#include "graph/builder.h"

namespace presil::compiler {
namespace {

using graph::Builder;
using graph::ElementwiseFn;
using graph::Op;
using graph::TensorId;

constexpr int64_t kLow = INT32_MIN, kHigh = INT32_MAX;

struct Ids {
  Builder b;
  TensorId ids = b.input("ids", {DType::int64, {2, 5}});
  Interval of(TensorId t) { return integer_ranges(b.graph())[t.value]; }
  // The message about the node that makes t, or nothing.
  std::string refused(TensorId t) {
    for (const graph::Node& node : b.graph().nodes) {
      if (node.output != t) continue;
      auto checked = check_exact(b.graph(), node, integer_ranges(b.graph()));
      return checked ? "" : checked.error().message;
    }
    return "no node";
  }
};

TEST(Ranges, InputsHaveTheirTypesAndConstantsTheirValues) {
  Ids g;
  EXPECT_EQ(g.of(g.ids), (Interval{kLow, kHigh}));
  EXPECT_EQ(g.of(g.b.input("m", {DType::boolean, {2}})), (Interval{0, 1}));
  EXPECT_EQ(g.of(g.b.input("u", {DType::uint8, {2}})), (Interval{0, 255}));
  EXPECT_EQ(g.of(g.b.constant_integers(DType::int64, {3}, {4, -7, 2})), (Interval{-7, 4}));
  EXPECT_EQ(g.of(*g.b.cast(g.b.input("x", {DType::fp32, {2}}), DType::int64)), (Interval{kLow, kHigh}));
}

// position = cumsum(ids != 1) * (ids != 1) + 1, as encoders compute it.
TEST(Ranges, PositionsOfAPaddedBatchAreSmall) {
  Ids g;
  TensorId is_pad = *g.b.binary(ElementwiseFn::equal, g.ids, 1);
  TensorId real = *g.b.cast(*g.b.unary(ElementwiseFn::logical_not, is_pad), DType::int64);
  TensorId ones = g.b.constant_integers(DType::int64, {5, 5}, std::vector<int64_t>(25, 1));
  TensorId parts = *g.b.binary(ElementwiseFn::mul, *g.b.reshape(real, {2, 1, 5}), ones);
  TensorId sums = *g.b.reduce(graph::ReduceKind::sum, parts, {2}, false);
  TensorId places = *g.b.binary(ElementwiseFn::add, *g.b.binary(ElementwiseFn::mul, sums, real), 1);
  EXPECT_EQ(g.of(sums), (Interval{0, 5}));
  EXPECT_EQ(g.of(places), (Interval{1, 6}));
  for (TensorId t : {is_pad, real, parts, sums, places}) EXPECT_EQ(g.refused(t), "") << t.value;
}

TEST(Ranges, OperatorsOnBounds) {
  Ids g;
  TensorId a = g.b.constant_integers(DType::int64, {2}, {-3, 5}), b = g.b.constant_integers(DType::int64, {2}, {2, 7});
  auto of = [&](ElementwiseFn fn, std::vector<TensorId> inputs) {
    // Not folded: the shapes are wrong on purpose only for a run, not for bounds.
    graph::Node node{.op = Op::elementwise, .inputs = std::move(inputs), .attrs = {.fn = fn}};
    node.output = TensorId(static_cast<uint32_t>(g.b.graph().tensors.size()));
    g.b.graph().tensors.push_back({.name = "t", .dtype = DType::int64, .shape = {2}});
    g.b.graph().nodes.push_back(node);
    return g.of(node.output);
  };
  EXPECT_EQ(of(ElementwiseFn::add, {a, b}), (Interval{-1, 12}));
  EXPECT_EQ(of(ElementwiseFn::sub, {a, b}), (Interval{-10, 3}));
  EXPECT_EQ(of(ElementwiseFn::mul, {a, b}), (Interval{-21, 35}));
  EXPECT_EQ(of(ElementwiseFn::neg, {a}), (Interval{-5, 3}));
  EXPECT_EQ(of(ElementwiseFn::abs, {a}), (Interval{0, 5}));
  EXPECT_EQ(of(ElementwiseFn::square, {a}), (Interval{-15, 25}));
  EXPECT_EQ(of(ElementwiseFn::max, {a, b}), (Interval{2, 7}));
  EXPECT_EQ(of(ElementwiseFn::min, {a, b}), (Interval{-3, 5}));
  EXPECT_EQ(of(ElementwiseFn::relu, {a}), (Interval{0, 5}));
}

// 2^24 is exact, and the number after it is not.
TEST(Ranges, RefusesWhatFp32WouldRound) {
  for (int64_t c : {int64_t{1} << 24, (int64_t{1} << 24) + 1}) {
    Ids g;
    TensorId small = *g.b.cast(*g.b.binary(ElementwiseFn::equal, g.ids, 1), DType::int64);
    TensorId product = *g.b.binary(ElementwiseFn::mul, small, g.b.constant_integers(DType::int64, {}, {c}));
    EXPECT_EQ(g.refused(product).empty(), c == int64_t{1} << 24) << g.refused(product);
    // A comparison needs one operand below 2^24.
    EXPECT_NE(g.refused(*g.b.binary(ElementwiseFn::less, g.ids, g.b.constant_integers(DType::int64, {}, {c}))), "");
    EXPECT_EQ(g.refused(*g.b.binary(ElementwiseFn::less, g.ids, g.b.constant_integers(DType::int64, {}, {c - 2}))), "");
  }
  Ids g;
  EXPECT_EQ(g.refused(*g.b.reduce(graph::ReduceKind::mean, g.ids, {1}, false)), "mean of int64 while the model runs");
  EXPECT_NE(g.refused(*g.b.reduce(graph::ReduceKind::sum, g.ids, {1}, false)), "");
}

}  // namespace
}  // namespace presil::compiler
