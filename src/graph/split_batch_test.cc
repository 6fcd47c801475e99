#include "graph/split_batch.h"

#include <gtest/gtest.h>

#include <numeric>

#include "graph/builder.h"
#include "graph/host_tensor.h"
#include "graph/interpret.h"

namespace presil::graph {
namespace {

HostTensor counted(const Tensor& t) {
  std::vector<double> values(static_cast<size_t>(element_count(t.shape)));
  std::iota(values.begin(), values.end(), -3.0);
  return {t.dtype, t.shape, store_floats(t.dtype, values)};
}

// In `parts` the graph computes what it did, with tensors that are smaller.
void expect_same(Graph graph, int64_t parts) {
  std::optional<Graph> split = split_batch(graph, parts);
  ASSERT_TRUE(split);
  for (const Finding& f : verify(*split)) ADD_FAILURE() << f.where << ": " << f.message << "\n" << print(*split);
  std::vector<HostTensor> inputs;
  for (TensorId t : graph.inputs) inputs.push_back(counted(graph.at(t)));
  auto before = *interpret(graph, inputs), after = *interpret(*split, inputs);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i].bytes, after[i].bytes) << print(*split);
}

// Windows of an image as batch entries, as shifted-window attention cuts them, and heads in front.
TEST(SplitBatch, FollowsReshapesAndTransposes) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {4, 6, 6, 5}});
  TensorId windows = *b.transpose(*b.reshape(x, {4, 2, 3, 2, 3, 5}), {0, 1, 3, 2, 4, 5});
  TensorId rows = *b.reshape(windows, {16, 9, 5});
  TensorId w = b.constant_floats(DType::fp32, {5, 6}, std::vector<double>(30, 0.5));
  TensorId heads = *b.transpose(*b.reshape(*b.add(Op::matmul, {rows, w}), {16, 9, 3, 2}), {2, 0, 1, 3});
  TensorId mask = b.constant_floats(DType::fp32, {4, 1, 1}, {1, 2, 3, 4});
  TensorId masked = *b.binary(ElementwiseFn::mul, *b.reshape(heads, {3, 4, 4, 9, 2}), mask);
  TensorId total = *b.reduce(ReduceKind::sum, masked, {0}, false);
  b.graph().outputs = {total, rows};
  expect_same(b.graph(), 2);
  expect_same(b.graph(), 4);
}

// Rows of a sequence with the batch inside, as multi-head attention flattens them.
TEST(SplitBatch, FollowsABatchThatLiesInsideAnAxis) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {4, 3, 6}});
  TensorId rows = *b.reshape(*b.transpose(x, {1, 0, 2}), {12, 6});
  TensorId w = b.constant_floats(DType::fp32, {6, 2}, std::vector<double>(12, 0.25));
  TensorId y = *b.reshape(*b.add(Op::matmul, {rows, w}), {3, 4, 2});
  b.graph().outputs = {*b.transpose(y, {1, 0, 2})};
  expect_same(b.graph(), 2);
  expect_same(b.graph(), 4);
  b.graph().outputs = {rows};  // the parts are not side by side
  EXPECT_FALSE(split_batch(b.graph(), 2));
}

// A constant token for each image is cut with the images.
TEST(SplitBatch, CutsConstantsThatStretchOverTheBatch) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {2, 3, 4}});
  TensorId token = b.constant_floats(DType::fp32, {2, 1, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  b.graph().outputs = {*b.add(Op::softmax, {*b.concat({token, x}, 1)}, {.axes = {2}})};
  expect_same(b.graph(), 2);
}

TEST(SplitBatch, RefusesWhatMixesOrDoesNotDivide) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {4, 3}});
  b.graph().outputs = {*b.unary(ElementwiseFn::relu, x)};
  EXPECT_EQ(batch_of(b.graph()), 4);
  EXPECT_TRUE(split_batch(b.graph(), 2));
  EXPECT_FALSE(split_batch(b.graph(), 3));
  EXPECT_FALSE(split_batch(b.graph(), 1));
  // The maximum of everything, as a spectrogram uses it.
  TensorId most = *b.reduce(ReduceKind::max, x, {0, 1}, true);
  b.graph().outputs = {*b.binary(ElementwiseFn::max, x, most)};
  EXPECT_FALSE(split_batch(b.graph(), 2));
  b.input("other", {DType::fp32, {2, 3}});
  EXPECT_EQ(batch_of(b.graph()), 1);
}

}  // namespace
}  // namespace presil::graph
