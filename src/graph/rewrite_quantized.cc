// What dynamic quantization leaves once its operators are primitives: integers that return to floats at once, and zero
// points of activations that are never negative.
#include <array>
#include <cmath>

#include "graph/facts.h"
#include "graph/host_tensor.h"
#include "graph/rewriter.h"

namespace presil::graph {
namespace {

Facts facts(const Rewriter& r, TensorId id) {
  return facts_of(
      r.graph(), [&](TensorId t) { return r.producer(t); }, id);
}

}  // namespace

// float(integer(x)) where x holds integers of that type: one cast, or none.
bool drop_integer_round_trip(Rewriter& r, Node& node) {
  if (node.op != Op::cast || !is_float(r.at(node.output).dtype)) return false;
  const Node* before = r.producer(node.inputs[0], Op::cast);
  if (!before || !is_integer(r.at(before->output).dtype) || !is_float(r.at(before->inputs[0]).dtype)) return false;
  Facts x = facts(r, before->inputs[0]), type = range_of(r.at(before->output).dtype);
  if (!x.integral || !x.within(type.low, type.high)) return false;
  TensorId from = before->inputs[0];
  r.set_inputs(node, {from});
  return true;
}

// A single number that can only be one value: the least of an activation that is never negative, together with 0.
bool fold_known_value(Rewriter& r, Node& node) {
  if (node.op != Op::elementwise || !is_float(r.at(node.output).dtype)) return false;
  if (element_count(r.shape(node.output)) != 1) return false;
  Facts x = facts_of(
      r.graph(), [&](TensorId t) { return t == node.output ? &node : r.producer(t); }, node.output);
  if (x.low != x.high) return false;
  DType dtype = r.at(node.output).dtype;
  std::array<double, 1> value{x.low + 0.0};
  auto data = std::make_shared<const std::vector<std::byte>>(store_floats(dtype, value));
  return r.replace_with(node, r.add_constant(r.at(node.output).name, {dtype, r.shape(node.output)}, data, false));
}

// clip(saturate(x)) with whole limits
bool merge_saturate(Rewriter& r, Node& node) {
  if (!is_elementwise(node, ElementwiseFn::clip)) return false;
  const Node* before = r.producer(node.inputs[0], ElementwiseFn::saturate);
  float low = node.attrs.alpha, high = node.attrs.beta;
  if (!before || std::nearbyint(low) != low || std::nearbyint(high) != high || low > high) return false;
  if (low > before->attrs.beta || high < before->attrs.alpha) return false;
  node.attrs.fn = ElementwiseFn::saturate;
  node.attrs.alpha = std::max(low, before->attrs.alpha), node.attrs.beta = std::min(high, before->attrs.beta);
  r.set_inputs(node, std::vector<TensorId>(before->inputs));
  return true;
}

}  // namespace presil::graph
