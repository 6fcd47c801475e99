#include <algorithm>

#include "graph/rewriter.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

// x op c leaves x as it is: multiplying or dividing by one, adding or subtracting zero.
std::optional<TensorId> neutral_operand(const Rewriter& r, const Node& node) {
  std::optional<ConstantOperand> split = split_constant(r, node);
  if (!split) return std::nullopt;
  std::optional<double> value = r.scalar(split->constant);
  bool constant_second = node.inputs[1] == split->constant, neutral = false;
  switch (node.attrs.fn) {
    case ElementwiseFn::mul:
      neutral = value == 1.0;
      break;
    case ElementwiseFn::add:
      neutral = value == 0.0;
      break;
    case ElementwiseFn::div:
      neutral = value == 1.0 && constant_second;
      break;
    case ElementwiseFn::sub:
      neutral = value == 0.0 && constant_second;
      break;
    default:
      break;
  }
  return neutral ? std::optional(split->variable) : std::nullopt;
}

bool all_equal(const std::vector<int64_t>& values, int64_t to) {
  return std::ranges::all_of(values, [&](int64_t v) { return v == to; });
}

bool does_nothing(const Rewriter& r, const Node& node) {
  const Attributes& a = node.attrs;
  if (r.at(node.inputs[0]).dtype != r.at(node.output).dtype) return false;
  if (r.shape(node.inputs[0]) != r.shape(node.output)) return false;
  switch (node.op) {
    case Op::elementwise:
      return a.fn == ElementwiseFn::identity;
    case Op::cast:
    case Op::reshape:
    case Op::expand:
    case Op::pad:
    case Op::resize:
      return true;
    case Op::concat:
      return node.inputs.size() == 1;
    case Op::slice:
      return all_equal(a.steps, 1);
    case Op::transpose:
      return std::ranges::is_sorted(a.axes);
    case Op::pool:
      return all_equal(a.kernel, 1) && all_equal(a.strides, 1) && all_equal(a.pads, 0);
    default:
      return false;
  }
}

}  // namespace

bool remove_identity(Rewriter& r, Node& node) {
  if (does_nothing(r, node)) return r.replace_with(node, node.inputs[0]);
  if (node.op != Op::elementwise) return false;
  std::optional<TensorId> same = neutral_operand(r, node);
  return same && r.shape(*same) == r.shape(node.output) && r.replace_with(node, *same);
}

bool merge_reshapes(Rewriter& r, Node& node) {
  if (node.op != Op::reshape) return false;
  const Node* before = r.producer(node.inputs[0], Op::reshape);
  if (!before) return false;
  r.set_inputs(node, before->inputs);
  return true;
}

bool merge_transposes(Rewriter& r, Node& node) {
  if (node.op != Op::transpose) return false;
  const Node* before = r.producer(node.inputs[0], Op::transpose);
  if (!before) return false;
  for (int64_t& axis : node.attrs.axes) axis = before->attrs.axes[axis];
  r.set_inputs(node, before->inputs);
  return true;
}

// A permutation that keeps the order of all axes longer than one moves nothing.
bool transpose_to_reshape(Rewriter& r, Node& node) {
  if (node.op != Op::transpose) return false;
  std::vector<int64_t> moving = node.attrs.axes;
  std::erase_if(moving, [&](int64_t axis) { return r.shape(node.inputs[0])[axis] == 1; });
  if (!std::ranges::is_sorted(moving)) return false;
  node.op = Op::reshape;
  node.attrs = {};
  return true;
}

bool reduce_to_reshape(Rewriter& r, Node& node) {
  if (node.op != Op::reduce) return false;
  for (int64_t axis : node.attrs.axes) {
    if (r.shape(node.inputs[0])[axis] != 1) return false;
  }
  node.op = Op::reshape;
  node.attrs = {};
  return true;
}

}  // namespace presil::graph
