#include "graph/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/builder.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Graph relu_graph() {
  Builder b;
  b.set_source("n");
  TensorId x = b.input("x", {DType::fp32, {2, 3}});
  b.graph().outputs = {*b.unary(ElementwiseFn::relu, x)};
  return b.graph();
}

std::vector<std::string> messages(const Graph& g) {
  std::vector<std::string> out;
  for (const Finding& f : verify(g)) out.push_back(f.where + ": " + f.message);
  return out;
}

TEST(Graph, EveryOpAndFunctionHasADistinctName) {
  std::set<std::string_view> names;
  for (int i = 0; i < kOpCount; ++i) names.insert(op_name(static_cast<Op>(i)));
  for (int i = 0; i < kElementwiseFnCount; ++i) names.insert(elementwise_name(static_cast<ElementwiseFn>(i)));
  EXPECT_EQ(names.size(), static_cast<size_t>(kOpCount + kElementwiseFnCount));
  EXPECT_EQ(elementwise_name(ElementwiseFn::clip), "clip");
  EXPECT_EQ(elementwise_name(ElementwiseFn::add), "add");
  EXPECT_EQ(elementwise_arity(ElementwiseFn::clip), 1);
  EXPECT_EQ(elementwise_arity(ElementwiseFn::add), 2);
  EXPECT_EQ(elementwise_arity(ElementwiseFn::logical_xor), 2);
  EXPECT_EQ(elementwise_arity(ElementwiseFn::where), 3);
}

TEST(Graph, PrintsAsText) {
  EXPECT_EQ(print(relu_graph()),
            "graph \"\"\n"
            "input %0 fp32[2, 3] \"x\"\n"
            "%1 fp32[2, 3] \"n.t1\" = relu(%0) from \"n\"\n"
            "output %1\n");
  EXPECT_EQ(op_histogram(relu_graph()), "elementwise.relu 1");
}

TEST(Verify, AcceptsASoundGraph) { EXPECT_THAT(messages(relu_graph()), IsEmpty()); }

TEST(Verify, ReportsEveryFinding) {
  Graph g = relu_graph();
  g.at(TensorId(1)).shape = {2, 4};
  g.nodes.push_back({.op = Op::elementwise, .inputs = {TensorId(9)}, .output = TensorId(1), .source = "late"});
  g.outputs.push_back(TensorId(7));
  EXPECT_THAT(messages(g),
              ElementsAre("n: output 'n.t1' is fp32 [2, 4], inferred fp32 [2, 3]", "late: input 9 does not exist",
                          "late: output 'n.t1' is produced twice", "outputs: 7 does not exist"));
}

TEST(Verify, ReportsReadsBeforeProduction) {
  Builder b;
  b.set_source("a");
  TensorId x = b.input("x", {DType::fp32, {1}});
  TensorId y = *b.unary(ElementwiseFn::relu, x);
  b.set_source("b");
  TensorId z = *b.unary(ElementwiseFn::exp, y);
  Graph g = b.graph();
  g.outputs = {z};
  std::swap(g.nodes[0], g.nodes[1]);
  EXPECT_THAT(messages(g), ElementsAre("b: input 'a.t1' is read before it is produced"));
}

TEST(Verify, ReportsConstantsWhoseBytesDoNotFit) {
  Graph g = relu_graph();
  g.tensors.push_back({.name = "w", .shape = {4}, .constant = true});
  g.tensors.back().data = std::make_shared<const std::vector<std::byte>>(15);
  EXPECT_THAT(messages(g), ElementsAre("w: has 15 bytes of data, fp32 [4] needs 16"));
}

TEST(Shape, CountsWithoutOverflow) {
  EXPECT_EQ(checked_count({}), 1);
  EXPECT_EQ(checked_count({3, 0, 5}), 0);
  EXPECT_EQ(checked_count({kElementsMax}), kElementsMax);
  EXPECT_EQ(checked_count({kElementsMax, 2}), std::nullopt);
  EXPECT_EQ(checked_count({INT64_MAX, INT64_MAX, 0}), std::nullopt);
  EXPECT_EQ(checked_count({-1}), std::nullopt);
}

TEST(Shape, BroadcastsLikeNumpy) {
  EXPECT_EQ(broadcast({2, 1, 3}, {4, 1}), (Shape{2, 4, 3}));
  EXPECT_EQ(broadcast({}, {5}), (Shape{5}));
  EXPECT_EQ(broadcast({0, 1}, {1, 3}), (Shape{0, 3}));
  EXPECT_EQ(broadcast({2}, {3}), std::nullopt);
}

}  // namespace
}  // namespace presil::graph
