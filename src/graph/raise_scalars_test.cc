#include "graph/raise_scalars.h"

#include <gtest/gtest.h>

#include "graph/builder.h"
#include "graph/host_tensor.h"
#include "graph/interpret.h"

namespace presil::graph {
namespace {

HostTensor floats(Shape shape, const std::vector<double>& values) {
  return {DType::fp32, std::move(shape), store_floats(DType::fp32, values)};
}

// max of everything, a scalar input, a lookup by a scalar; the meaning stays, and only ends have rank 0.
TEST(RaiseScalars, ScalarsBecomeVectorsInside) {
  Builder b;
  b.set_source("n");
  TensorId x = b.input("x", {DType::fp32, {2, 3}}), s = b.input("s", {DType::fp32, {}});
  TensorId at = b.input("at", {DType::int64, {}});
  TensorId most = *b.reduce(ReduceKind::max, x, {0, 1}, false);
  TensorId shifted = *b.binary(ElementwiseFn::sub, *b.binary(ElementwiseFn::mul, most, s), 80.0);
  TensorId y = *b.binary(ElementwiseFn::max, x, shifted);
  TensorId row = *b.add(Op::gather, {x, at}, {.axes = {0}});
  b.graph().outputs = {y, shifted, row, *b.reshape(most, {1, 1})};
  ASSERT_TRUE(verify(b.graph()).empty());
  Graph raised = *raise_scalars(b.graph());
  for (const Finding& f : verify(raised)) ADD_FAILURE() << f.where << f.message;
  for (const Node& node : raised.nodes) {
    if (node.op == Op::reshape) continue;
    EXPECT_FALSE(raised.at(node.output).shape.empty()) << print(raised);
    for (TensorId t : node.inputs) EXPECT_TRUE(raised.at(t).constant || !raised.at(t).shape.empty()) << print(raised);
  }
  std::vector<HostTensor> inputs{floats({2, 3}, {1, 50, -3, 4, 5, 6}),
                                 floats({}, {1.5}),
                                 {DType::int64, {}, store_integers(DType::int64, std::vector<int64_t>{1})}};
  auto before = *interpret(b.graph(), inputs), after = *interpret(raised, inputs);
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].shape, after[i].shape);
    EXPECT_EQ(before[i].bytes, after[i].bytes);
  }
}

TEST(RaiseScalars, LeavesOtherGraphsAlone) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {2}});
  b.graph().outputs = {*b.binary(ElementwiseFn::add, x, 1.0)};
  EXPECT_EQ(print(*raise_scalars(b.graph())), print(b.graph()));
}

}  // namespace
}  // namespace presil::graph
