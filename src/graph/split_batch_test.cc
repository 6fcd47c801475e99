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

// One part computes rows of what the whole graph does.
void expect_part(const Graph& graph, int64_t parts, const std::vector<int>& input_axes,
                 const std::vector<int>& output_axes) {
  std::optional<BatchPart> part = batch_part(graph, parts);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->input_axes, input_axes);
  EXPECT_EQ(part->output_axes, output_axes);
  for (const Finding& f : verify(part->graph)) ADD_FAILURE() << f.where << ": " << f.message << print(part->graph);
  auto piece = [&](const HostTensor& whole, int axis, int64_t n) {
    if (axis == BatchPart::kWhole) return whole;
    HostTensor own = whole;
    const int64_t rows = element_count(Shape(whole.shape.begin(), whole.shape.begin() + axis));
    const size_t row = whole.bytes.size() / static_cast<size_t>(rows), size = row / static_cast<size_t>(parts);
    own.shape[static_cast<size_t>(axis)] /= parts;
    own.bytes.clear();
    for (size_t r = 0; r < static_cast<size_t>(rows); ++r) {
      const auto begin = whole.bytes.begin() + static_cast<ptrdiff_t>(r * row + static_cast<size_t>(n) * size);
      own.bytes.insert(own.bytes.end(), begin, begin + static_cast<ptrdiff_t>(size));
    }
    return own;
  };
  std::vector<HostTensor> inputs;
  for (TensorId t : graph.inputs) inputs.push_back(counted(graph.at(t)));
  const auto whole = *interpret(graph, inputs);
  for (int64_t n = 0; n < parts; ++n) {
    std::vector<HostTensor> own;
    for (size_t i = 0; i < inputs.size(); ++i) own.push_back(piece(inputs[i], input_axes[i], n));
    const auto computed = *interpret(part->graph, own);
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(computed[i].bytes, piece(whole[i], output_axes[i], n).bytes) << "part " << n << print(part->graph);
    }
  }
}

TEST(BatchPart, ComputesItsRows) {
  Builder b;
  TensorId x = b.input("x", {DType::fp32, {4, 3, 6}});
  TensorId token = *b.expand(b.constant_floats(DType::fp32, {1, 1, 6}, std::vector<double>(6, 2.0)), {4, 1, 6});
  TensorId all = *b.add(Op::concat, {token, x}, {.axes = {1}});
  b.graph().outputs = {*b.reduce(ReduceKind::sum, all, {2}, false)};
  expect_part(b.graph(), 2, {0}, {0});
  expect_part(b.graph(), 4, {0}, {0});
  EXPECT_FALSE(batch_part(b.graph(), 3));
}

// A product of two inputs: rows of the first, all of the second, although both have as many rows.
TEST(BatchPart, RowsOfAProduct) {
  Builder b;
  TensorId left = b.input("a", {DType::fp32, {4, 4}}), right = b.input("b", {DType::fp32, {4, 6}});
  b.graph().outputs = {*b.add(Op::matmul, {left, right})};
  expect_part(b.graph(), 2, {0, BatchPart::kWhole}, {0});
  EXPECT_FALSE(split_batch(b.graph(), 2));
}

// Queries of one sequence against all of its keys.
TEST(BatchPart, QueriesOfAttention) {
  Builder b;
  TensorId q = b.input("q", {DType::fp32, {1, 4, 3}}), k = b.input("k", {DType::fp32, {1, 3, 5}});
  TensorId v = b.input("v", {DType::fp32, {1, 5, 3}});
  TensorId scores = *b.add(Op::matmul, {q, k});
  b.graph().outputs = {*b.add(Op::matmul, {scores, v})};
  expect_part(b.graph(), 4, {1, BatchPart::kWhole, BatchPart::kWhole}, {1});
}

// Constants that differ from image to image belong to one part each.
TEST(BatchPart, ConstantsThatDifferAreRefused) {
  for (double second : {1.0, 2.0}) {
    Builder b;
    TensorId x = b.input("x", {DType::fp32, {2, 3}});
    TensorId c = b.constant_floats(DType::fp32, {2, 3}, {1, 1, 1, second, second, second});
    b.graph().outputs = {*b.add(Op::elementwise, {x, c}, {.fn = ElementwiseFn::add})};
    if (second == 1.0) expect_part(b.graph(), 2, {0}, {0});
    EXPECT_EQ(batch_part(b.graph(), 2).has_value(), second == 1.0);
  }
}

}  // namespace
}  // namespace presil::graph
