#include "graph/fold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/builder.h"
#include "graph/interpret.h"
#include "graph/narrow.h"
#include "graph/resize.h"

namespace presil::graph {
namespace {

using ::testing::ElementsAre;

TEST(Fold, IntegersFoldAsTheyAreBuilt) {
  Builder b;
  TensorId shape = b.constant_integers(DType::int64, {4}, {2, 3, 48, 320});
  TensorId part = *b.slice(shape, 0, 1, 3);
  TensorId product = *b.reduce(ReduceKind::prod, part, {0}, true);
  TensorId half = *b.binary(ElementwiseFn::div, product, 2.0);
  TensorId joined = *b.concat({half, b.constant_integers(DType::int64, {1}, {-7})}, 0);
  EXPECT_THAT(*b.integer_values(joined), ElementsAre(72, -7));
  EXPECT_TRUE(b.graph().nodes.empty());
}

TEST(Fold, IntegerDivisionTruncatesAndModFollowsTheDivisor) {
  Builder b;
  TensorId a = b.constant_integers(DType::int64, {4}, {7, -7, 7, -7});
  TensorId d = b.constant_integers(DType::int64, {4}, {2, 2, -2, -2});
  EXPECT_THAT(*b.integer_values(*b.binary(ElementwiseFn::div, a, d)), ElementsAre(3, -3, -3, 3));
  EXPECT_THAT(*b.integer_values(*b.binary(ElementwiseFn::mod, a, d)), ElementsAre(1, 1, -1, -1));
  b.set_source("n");
  Result<TensorId> zero = b.binary(ElementwiseFn::div, a, 0.0);
  ASSERT_FALSE(zero);
  EXPECT_EQ(zero.error().text(), "n: div: integer division by zero");
}

TEST(Fold, ABroadcastThatGrowsStaysANode) {
  Builder b;
  TensorId one = b.scalar(DType::fp32, 1);
  TensorId small = *b.expand(one, {kSmallConstantBytes / 4});
  TensorId large = *b.expand(one, {kSmallConstantBytes / 4 + 1});
  EXPECT_TRUE(b.at(small).constant);
  EXPECT_FALSE(b.at(large).constant);
}

TEST(Fold, WhatComesFromLargeConstantsIsOpaque) {
  Builder b;
  int64_t count = kSmallConstantBytes / 4 + 1;
  TensorId big = b.constant_floats(DType::fp32, {count}, std::vector<double>(count, 1));
  TensorId sum = *b.reduce(ReduceKind::sum, big, {0}, false);
  EXPECT_TRUE(b.at(big).opaque);
  EXPECT_TRUE(b.at(sum).constant && b.at(sum).opaque && b.at(sum).data);
  EXPECT_EQ(b.float_values(sum), std::nullopt);
  TensorId unread = b.constant("w", {DType::fp32, {count}}, nullptr);
  TensorId unknown = *b.reduce(ReduceKind::sum, unread, {0}, false);
  EXPECT_TRUE(b.at(unknown).constant && b.at(unknown).opaque && !b.at(unknown).data);
}

TEST(Fold, RemoveDeadKeepsInputsAndWhatOutputsNeed) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {2}});
  b.input("unused", {DType::fp32, {3}});
  TensorId y = *b.unary(ElementwiseFn::relu, x);
  (void)*b.unary(ElementwiseFn::exp, y);
  b.scalar(DType::fp32, 4);
  b.graph().outputs = {y};
  Graph g = remove_dead(b.graph());
  EXPECT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.tensors.size(), 3u);
  EXPECT_TRUE(verify(g).empty());
}

TEST(Narrow, ChecksTheRangeOfConstants) {
  for (int64_t value : {int64_t{INT32_MAX}, int64_t{INT32_MIN}, int64_t{INT32_MAX} + 1, int64_t{INT32_MIN} - 1}) {
    Builder b;
    TensorId c = b.constant_integers(DType::int64, {1}, {value});
    b.at(c).name = "k";
    b.graph().outputs = {*b.binary(ElementwiseFn::add, b.input("i", {DType::int64, {1}}), c)};
    Result<Graph> narrowed = narrow_int64(b.graph());
    EXPECT_EQ(narrowed.has_value(), value == static_cast<int32_t>(value));
    if (narrowed) {
      EXPECT_TRUE(verify(*narrowed).empty());
    } else {
      EXPECT_EQ(narrowed.error().text(),
                "constant 'k': int64 value " + std::to_string(value) + " does not fit into int32");
    }
  }
}

TEST(Interpret, RefusesWrongInputs) {
  Builder b;
  b.graph().outputs = {*b.unary(ElementwiseFn::relu, b.input("x", {DType::fp32, {2}}))};
  EXPECT_EQ(interpret(b.graph(), {}).error().text(), "0 inputs were given, the graph has 1");
  HostTensor wrong{DType::fp32, {3}, std::vector<std::byte>(12)};
  EXPECT_EQ(interpret(b.graph(), {&wrong, 1}).error().text(), "input 'x': is fp32 [3] of 12 bytes, expected fp32 [2]");
}

TEST(Interpret, RefusesConstantsWithoutData) {
  Builder b;
  TensorId w = b.constant("w", {DType::fp32, {2}}, nullptr);
  b.graph().outputs = {*b.binary(ElementwiseFn::add, b.input("x", {DType::fp32, {2}}), w)};
  HostTensor x{DType::fp32, {2}, std::vector<std::byte>(8)};
  EXPECT_EQ(interpret(b.graph(), {&x, 1}).error().text(), "constant 'w': has no data");
}

TEST(Resize, TiesAndEdges) {
  Attributes a{.coordinates = ResizeCoordinates::half_pixel, .scales = {0.5f}};
  auto low = [&](int64_t in, int64_t out) {
    std::vector<int64_t> indices;
    for (const ResizeTap& tap : resize_taps(a, 0, in, out)) indices.push_back(tap.low);
    return indices;
  };
  EXPECT_THAT(low(4, 2), ElementsAre(0, 2));  // 0.5 and 2.5 go down
  a.rounding = ResizeRounding::round_prefer_ceil;
  EXPECT_THAT(low(4, 2), ElementsAre(1, 3));
  a.scales = {2};
  a.coordinates = ResizeCoordinates::asymmetric;
  a.rounding = ResizeRounding::ceil;
  EXPECT_THAT(low(2, 4), ElementsAre(0, 1, 1, 1));  // clamped at the end
}

}  // namespace
}  // namespace presil::graph
