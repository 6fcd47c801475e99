// A linear layer does not care in which order it sees its rows. Exporters of attention transpose batch and length
// before one projection and back after another; moved next to the attention's own views, these transposes cost nothing.
#include "graph/rewriter.h"

namespace presil::graph {
namespace {

bool is_view(const Node* node) { return node && (node->op == Op::reshape || node->op == Op::transpose); }

// A matmul by a constant matrix; its bias, if any, is one value per column.
bool multiplies_rows(const Rewriter& r, const Node& node) {
  if (node.op != Op::matmul || r.shape(node.inputs[1]).size() != 2 || !r.constant(node.inputs[1])) return false;
  return node.inputs.size() < 3 || r.shape(node.inputs[2]).size() == 1;
}

bool keeps_last_axis(const Node& transpose) {
  return !transpose.attrs.axes.empty() &&
         transpose.attrs.axes.back() == static_cast<int64_t>(transpose.attrs.axes.size()) - 1;
}

Node view_node(Op op, TensorId input, Attributes attrs, const Node& like) {
  Node node;
  node.op = op, node.inputs = {input}, node.attrs = std::move(attrs), node.source = like.source;
  return node;
}

}  // namespace

// linear(transpose(x)) = transpose(linear(x)), where x is not itself a view.
bool transpose_after_linear(Rewriter& r, Node& node) {
  if (!multiplies_rows(r, node) || !r.single_use(node.inputs[0])) return false;
  const Node* before = r.producer(node.inputs[0], Op::transpose);
  if (!before || !keeps_last_axis(*before) || is_view(r.producer(before->inputs[0]))) return false;
  const Attributes order = before->attrs;
  Node linear = node;
  linear.inputs[0] = before->inputs[0];
  const TensorId product = r.insert(std::move(linear));
  node.op = Op::transpose, node.attrs = order;
  r.set_inputs(node, {product});
  return true;
}

// transpose(reshape(linear(x))) = linear(transpose(reshape(x))), where x is a view and the reshape splits rows only.
bool transpose_before_linear(Rewriter& r, Node& node) {
  if (node.op != Op::transpose || !keeps_last_axis(node) || !r.single_use(node.inputs[0])) return false;
  const Shape split = r.shape(node.inputs[0]);
  const Node* linear = r.producer(node.inputs[0]);
  if (linear && linear->op == Op::reshape) {
    if (!r.single_use(linear->inputs[0]) || r.shape(linear->inputs[0]).back() != split.back()) return false;
    linear = r.producer(linear->inputs[0]);
  }
  if (!linear || !multiplies_rows(r, *linear) || !is_view(r.producer(linear->inputs[0]))) return false;
  std::vector<TensorId> inputs = linear->inputs;
  const Attributes attrs = linear->attrs;
  const std::string source = linear->source;
  Shape rows = split;
  rows.back() = r.shape(inputs[0]).back();
  inputs[0] = r.insert(view_node(Op::reshape, inputs[0], {}, node), {r.at(inputs[0]).dtype, rows});
  inputs[0] = r.insert(view_node(Op::transpose, inputs[0], node.attrs, node));
  node.op = Op::matmul, node.attrs = attrs, node.source = source;
  r.set_inputs(node, inputs);
  return true;
}

}  // namespace presil::graph
