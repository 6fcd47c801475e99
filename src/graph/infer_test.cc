// One row per rule: inputs, attributes, and the output's shape or the exact message.
#include <gtest/gtest.h>

#include "graph/graph.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

struct Row {
  Op op;
  std::vector<Shape> inputs;
  Attributes attrs;
  std::string expected;  // shape or message
  Shape wanted = {};
};

std::string infer_text(const Row& row) {
  Graph g;
  Node node{.op = row.op, .attrs = row.attrs, .source = "n"};
  for (const Shape& shape : row.inputs) {
    node.inputs.push_back(TensorId(static_cast<uint32_t>(g.tensors.size())));
    g.tensors.push_back({.name = std::string(1, static_cast<char>('a' + g.tensors.size())), .shape = shape});
  }
  node.output = TensorId(static_cast<uint32_t>(g.tensors.size()));
  g.tensors.push_back({.name = "y", .shape = row.wanted});
  Result<TensorType> type = infer(g, node);
  return type ? shape_text(type->shape) : type.error().text();
}

Attributes window(std::vector<int64_t> strides, std::vector<int64_t> pads, std::vector<int64_t> kernel = {}) {
  return {.strides = strides, .dilations = std::vector<int64_t>(strides.size(), 1), .pads = pads, .kernel = kernel};
}
Attributes transposed(std::vector<int64_t> strides, std::vector<int64_t> pads, std::vector<int64_t> output_padding) {
  Attributes a = window(strides, pads);
  a.output_padding = output_padding;
  return a;
}

TEST(Infer, Rows) {
  const Row rows[] = {
      {Op::elementwise, {{2, 1}, {3}}, {.fn = ElementwiseFn::add}, "[2, 3]"},
      {Op::elementwise,
       {{2}, {3}},
       {.fn = ElementwiseFn::mul},
       "n: elementwise: mul of 'a' [2] and 'b' [3]: the shapes do not broadcast"},
      {Op::elementwise, {{2}}, {.fn = ElementwiseFn::add}, "n: elementwise: has 1 inputs, takes 2"},
      {Op::elementwise,
       {{2}, {2}},
       {.fn = ElementwiseFn::logical_and},
       "n: elementwise: logical_and needs a boolean operand, 'a' is fp32"},
      {Op::matmul, {{5, 1, 2, 3}, {4, 3, 6}}, {}, "[5, 4, 2, 6]"},
      {Op::matmul, {{2, 3}, {3, 4}, {4}}, {}, "[2, 4]"},
      {Op::matmul, {{2, 3}, {4, 4}}, {}, "n: matmul: operands [2, 3] and [4, 4] do not fit"},
      {Op::matmul, {{2, 3}, {3, 4}, {3}}, {}, "n: matmul: bias [3] should be [4]"},
      {Op::matmul, {{3}, {3, 4}}, {}, "n: matmul: operands [3] and [3, 4] need at least two dimensions"},
      {Op::conv, {{1, 3, 48, 320}, {16, 3, 3, 3}}, window({2, 2}, {1, 1, 1, 1}), "[1, 16, 24, 160]"},
      {Op::conv,
       {{1, 3, 2, 9}, {16, 3, 3, 3}},
       window({1, 1}, {0, 0, 0, 0}),
       "n: conv: a window of 3 does not fit into 2 (with padding) on spatial axis 0"},
      {Op::conv,
       {{1, 3, 9, 9}, {16, 3, 3, 3}},
       window({1}, {0, 0}),
       "n: conv: strides, dilations or pads do not have 2 spatial axes"},
      {Op::conv,
       {{1, 3, 9, 9}, {16, 3, 3, 3}},
       window({1, 0}, {0, 0, 0, 0}),
       "n: conv: stride 0 and dilation 1 must be from 1 to 1048576"},
      {Op::conv, {{1, 3, 9, 9}, {16, 3, 3, 3}, {3}}, window({1, 1}, {0, 0, 0, 0}), "n: conv: bias [3] should be [16]"},
      {Op::conv_transpose, {{1, 4, 5, 5}, {4, 2, 2, 2}}, transposed({2, 2}, {0, 0, 0, 0}, {0, 0}), "[1, 2, 10, 10]"},
      {Op::conv_transpose, {{1, 4, 5, 5}, {4, 2, 3, 3}}, transposed({2, 2}, {1, 1, 1, 1}, {1, 0}), "[1, 2, 10, 9]"},
      {Op::conv_transpose,
       {{1, 4, 1, 1}, {4, 2, 3, 3}},
       transposed({1, 1}, {2, 2, 2, 2}, {0, 0}),
       "n: conv_transpose: padding leaves nothing of spatial axis 0"},
      {Op::pool, {{1, 3, 7, 7}}, window({2, 2}, {0, 0, 1, 1}, {2, 2}), "[1, 3, 4, 4]"},
      {Op::pool,
       {{1, 3, 7, 7}},
       window({2, 2}, {0, 0, 1, 1}, {2}),
       "n: pool: input [1, 3, 7, 7] and a kernel of 1 axes do not fit"},
      {Op::reduce, {{2, 3, 4}}, {.axes = {0, 2}}, "[1, 3, 1]"},
      {Op::reduce, {{2, 3, 4}}, {.axes = {0, 2}, .keepdims = false}, "[3]"},
      {Op::reduce, {{2, 3}}, {.axes = {1, 1}}, "n: reduce: axis 1 is repeated or outside a tensor of rank 2"},
      {Op::softmax, {{2, 3}}, {.axes = {1}}, "[2, 3]"},
      {Op::softmax, {{2, 3}}, {.axes = {-1}}, "n: softmax: axis -1 is outside a tensor of rank 2"},
      {Op::layer_norm, {{2, 3, 4}, {3, 4}, {3, 4}}, {.axes = {1}}, "[2, 3, 4]"},
      {Op::layer_norm, {{2, 3, 4}, {4}, {3, 4}}, {.axes = {1}}, "n: layer_norm: 'b' is [4], expected [3, 4]"},
      {Op::resize, {{1, 1, 4, 5}}, {.scales = {1, 1, 2, 1.5f}}, "[1, 1, 8, 7]", {1, 1, 8, 7}},
      {Op::resize,
       {{1, 1, 4, 5}},
       {.scales = {1, 1, 2, 1.5f}},
       "n: resize: axis 2 of 4 scaled by 2 does not give 10",
       {1, 1, 10, 7}},
      {Op::reshape, {{2, 6}}, {}, "[3, 4]", {3, 4}},
      {Op::reshape, {{2, 6}}, {}, "n: reshape: [2, 6] does not become [5]: the element counts differ", {5}},
      {Op::transpose, {{2, 3, 4}}, {.axes = {2, 0, 1}}, "[4, 2, 3]"},
      {Op::transpose, {{2, 3, 4}}, {.axes = {0, 0, 1}}, "n: transpose: [0, 0, 1] is no permutation of rank 3"},
      {Op::slice, {{10}}, {.axes = {0}, .starts = {1}, .ends = {8}, .steps = {3}}, "[3]"},
      {Op::slice, {{10}}, {.axes = {0}, .starts = {9}, .ends = {-1}, .steps = {-1}}, "[10]"},
      {Op::slice, {{10}}, {.axes = {0}, .starts = {5}, .ends = {2}, .steps = {1}}, "[0]"},
      {Op::slice,
       {{10}},
       {.axes = {0}, .starts = {0}, .ends = {11}, .steps = {1}},
       "n: slice: [0:11:1] is not resolved for a dimension of 10"},
      {Op::slice,
       {{10}},
       {.axes = {0, 0}, .starts = {9, 9}, .ends = {10, 10}, .steps = {1, 1}},
       "n: slice: axis 0 is repeated or outside a tensor of rank 1"},
      {Op::concat, {{2, 3}, {2, 4}}, {.axes = {1}}, "[2, 7]"},
      {Op::concat, {{2, 3}, {3, 3}}, {.axes = {1}}, "n: concat: 'b' [3, 3] does not fit 'a' [2, 3] on axis 1"},
      {Op::pad, {{2, 3}}, {.pads = {1, 0, 0, 2}}, "[3, 5]"},
      {Op::pad,
       {{2, 3}},
       {.pads = {2, 0, 0, 0}, .pad_mode = PadMode::reflect},
       "n: pad: pads 2 and 0 need more than the 2 elements of axis 0"},
      {Op::expand, {{3, 1}}, {}, "[2, 3, 4]", {2, 3, 4}},
      {Op::expand, {{3}}, {}, "n: expand: [3] does not broadcast to [4]", {4}},
      {Op::gather, {{3}, {2}}, {.axes = {0}}, "n: gather: indices 'b' are fp32, expected int32 or int64"},
      {Op::matmul,
       {{int64_t{1} << 39, 1}, {1, 4}},
       {},
       "n: matmul: its output [549755813888, 4] has more than 1099511627776 elements"},
  };
  for (const Row& row : rows) EXPECT_EQ(infer_text(row), row.expected);
}

TEST(Infer, TypesOfElementwise) {
  Graph g;
  g.tensors = {
      {.name = "f"}, {.name = "b", .dtype = DType::boolean}, {.name = "i", .dtype = DType::int32}, {.name = "y"}};
  auto type = [&](ElementwiseFn fn, std::vector<uint32_t> ids) {
    Node node{.op = Op::elementwise, .output = TensorId(3), .attrs = {.fn = fn}};
    for (uint32_t id : ids) node.inputs.push_back(TensorId(id));
    return infer(g, node)->dtype;
  };
  EXPECT_EQ(type(ElementwiseFn::less, {2, 2}), DType::boolean);
  EXPECT_EQ(type(ElementwiseFn::add, {2, 2}), DType::int32);
  EXPECT_EQ(type(ElementwiseFn::where, {1, 0, 0}), DType::fp32);
  EXPECT_EQ(type(ElementwiseFn::logical_not, {1}), DType::boolean);
}

}  // namespace
}  // namespace presil::graph
