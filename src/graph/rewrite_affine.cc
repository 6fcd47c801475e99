// Constant factors and addends next to a convolution or matmul move into its weight and bias. New values are computed
// in double and rounded once; without data only the structure changes, in the same way.
#include <algorithm>

#include "graph/linear.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

// A constant of the given shape acts on a tensor per channel, or as one value, without enlarging it.
bool per_channel(const Shape& constant, const Shape& tensor, size_t channel) {
  if (constant.size() > tensor.size()) return false;
  size_t missing = tensor.size() - constant.size();
  for (size_t i = 0; i < constant.size(); ++i) {
    if (constant[i] != 1 && (i + missing != channel || constant[i] != tensor[channel])) return false;
  }
  return true;
}

// A weight as [rows, columns, taps]; which channel an element writes or reads depends on its row and column.
struct WeightView {
  int64_t rows = 1, columns = 1, taps = 1;
};
WeightView view_of(const Node& linear, const Shape& w) {
  if (linear.op == Op::matmul) return {element_count({w.begin(), w.end() - 1}), w.back(), 1};
  return {w[0], w[1], element_count({w.begin() + 2, w.end()})};
}

using ChannelOf = int64_t (*)(const Node&, const WeightView&, int64_t row, int64_t column);
int64_t output_channel(const Node& linear, const WeightView& v, int64_t row, int64_t column) {
  if (linear.op == Op::matmul) return column;
  if (linear.op == Op::conv) return row;
  return row / (v.rows / linear.attrs.group) * v.columns + column;
}
int64_t input_channel(const Node& linear, const WeightView& v, int64_t row, int64_t column) {
  if (linear.op != Op::conv) return row;
  return row / (v.rows / linear.attrs.group) * v.columns + column;
}

// One value per channel from a constant that holds one value or one per channel.
double channel_value(const std::vector<double>& values, int64_t channel) {
  return values.size() == 1 ? values[0] : values[channel];
}

enum class Action { scale, divide, shift, shift_down };
std::optional<Action> action_of(const Rewriter& r, const Node& node, const ConstantOperand& split) {
  if (node.op != Op::elementwise || !is_float(r.at(node.output).dtype)) return std::nullopt;
  bool constant_second = node.inputs[1] == split.constant;
  switch (node.attrs.fn) {
    case ElementwiseFn::mul:
      return Action::scale;
    case ElementwiseFn::add:
      return Action::shift;
    case ElementwiseFn::div:
      return constant_second ? std::optional(Action::divide) : std::nullopt;
    case ElementwiseFn::sub:
      return constant_second ? std::optional(Action::shift_down) : std::nullopt;
    default:
      return std::nullopt;
  }
}

double act(Action action, double x, double c) {
  switch (action) {
    case Action::scale:
      return x * c;
    case Action::divide:
      return x / c;
    case Action::shift:
      return x + c;
    case Action::shift_down:
      return x - c;
  }
  return x;
}

bool scales(Action action) { return action == Action::scale || action == Action::divide; }

// weight (*|/) c[channel]
TensorId scaled_weight(Rewriter& r, const Node& linear, Action action, const ConstantValues& c, ChannelOf channel) {
  Tensor t = r.at(linear.inputs[1]);
  bool opaque = t.opaque || c.opaque;
  if (!t.data || !c.values) return r.add_constant(t.name, {t.dtype, t.shape}, nullptr, opaque);
  std::vector<float> values = read_weight(t);
  WeightView v = view_of(linear, t.shape);
  float* at = values.data();
  for (int64_t row = 0; row < v.rows; ++row) {
    for (int64_t column = 0; column < v.columns; ++column) {
      double factor = channel_value(*c.values, channel(linear, v, row, column));
      for (int64_t tap = 0; tap < v.taps; ++tap, ++at) *at = static_cast<float>(act(action, *at, factor));
    }
  }
  return write_weight(r, t, values, opaque);
}

// Sum over a weight's elements of weight * c[input channel], added to the bias per output channel.
ConstantValues shifted_bias(const Rewriter& r, const Node& linear, Action action, const ConstantValues& c) {
  const Tensor& t = r.at(linear.inputs[1]);
  ConstantValues bias = bias_of(r, linear);
  bias.opaque |= t.opaque || c.opaque;
  if (!t.data || !c.values) bias.values.reset();
  if (!bias.values) return bias;
  std::vector<float> values = read_weight(t);
  WeightView v = view_of(linear, t.shape);
  const float* at = values.data();
  for (int64_t row = 0; row < v.rows; ++row) {
    for (int64_t column = 0; column < v.columns; ++column) {
      double addend = act(action, 0, channel_value(*c.values, input_channel(linear, v, row, column)));
      double& sum = (*bias.values)[output_channel(linear, v, row, column)];
      for (int64_t tap = 0; tap < v.taps; ++tap, ++at) sum += *at * addend;
    }
  }
  return bias;
}

}  // namespace

// (linear(x) op c): the elementwise node becomes the linear one.
bool fold_affine_after(Rewriter& r, Node& node) {
  std::optional<ConstantOperand> split = split_constant(r, node);
  std::optional<Action> action = split ? action_of(r, node, *split) : std::nullopt;
  const Node* linear = action ? r.producer(split->variable) : nullptr;
  if (!linear || !has_constant_weight(r, *linear) || !r.single_use(split->variable)) return false;
  const Shape& shape = r.shape(split->variable);
  if (shape != r.shape(node.output)) return false;
  if (!per_channel(r.shape(split->constant), shape, channel_axis(*linear, shape.size()))) return false;
  ConstantValues c = read_values(r, split->constant);
  Node folded = *linear;
  if (scales(*action)) folded.inputs[1] = scaled_weight(r, *linear, *action, c, output_channel);
  if (!scales(*action) || linear->inputs.size() == 3) {
    ConstantValues bias = bias_of(r, *linear);
    bias.opaque |= c.opaque;
    if (!c.values) bias.values.reset();
    for (size_t i = 0; bias.values && i < bias.values->size(); ++i) {
      (*bias.values)[i] = act(*action, (*bias.values)[i], channel_value(*c.values, static_cast<int64_t>(i)));
    }
    TensorId id = write_bias(r, *linear, bias);
    folded.inputs.resize(2);
    folded.inputs.push_back(id);
  }
  node.op = folded.op;
  node.attrs = folded.attrs;
  node.source = folded.source;
  r.set_inputs(node, folded.inputs);
  return true;
}

// linear(x op c): a factor always moves into the weight; an addend into the bias where no padding mixes with it.
bool fold_affine_before(Rewriter& r, Node& node) {
  if (!has_constant_weight(r, node) || !r.single_use(node.inputs[0])) return false;
  const Node* before = r.producer(node.inputs[0]);
  std::optional<ConstantOperand> split = before ? split_constant(r, *before) : std::nullopt;
  std::optional<Action> action = split ? action_of(r, *before, *split) : std::nullopt;
  if (!action || r.shape(split->variable) != r.shape(node.inputs[0])) return false;
  if (node.op == Op::matmul && r.shape(node.inputs[1]).size() != 2) return false;
  const Shape& shape = r.shape(node.inputs[0]);
  if (!per_channel(r.shape(split->constant), shape, channel_axis(node, shape.size()))) return false;
  bool padded = std::ranges::any_of(node.attrs.pads, [](int64_t p) { return p != 0; });
  if (!scales(*action) && (padded || node.op == Op::conv_transpose)) return false;
  ConstantValues c = read_values(r, split->constant);
  std::vector<TensorId> inputs = node.inputs;
  inputs[0] = split->variable;
  if (scales(*action)) {
    inputs[1] = scaled_weight(r, node, *action, c, input_channel);
  } else {
    TensorId bias = write_bias(r, node, shifted_bias(r, node, *action, c));
    inputs.resize(2);
    inputs.push_back(bias);
  }
  r.set_inputs(node, inputs);
  return true;
}

// (x * c1) * c2 and (x + c1) + c2, where one constant covers the other's shape.
bool merge_constants(Rewriter& r, Node& node) {
  std::optional<ConstantOperand> outer = split_constant(r, node);
  if (!outer || node.op != Op::elementwise || !is_float(r.at(node.output).dtype)) return false;
  if (node.attrs.fn != ElementwiseFn::mul && node.attrs.fn != ElementwiseFn::add) return false;
  const Node* before = r.producer(outer->variable, node.attrs.fn);
  std::optional<ConstantOperand> inner = before ? split_constant(r, *before) : std::nullopt;
  if (!inner || !r.single_use(outer->variable) || r.shape(inner->variable) != r.shape(node.output)) return false;
  const Shape &a = r.shape(inner->constant), &b = r.shape(outer->constant);
  std::optional<Shape> joined = broadcast(a, b);
  if (!joined || element_count(*joined) > std::max(element_count(a), element_count(b))) return false;
  TensorId variable = inner->variable, left = inner->constant, right = outer->constant;
  TensorId merged =
      r.insert({.op = Op::elementwise, .inputs = {left, right}, .attrs = node.attrs, .source = node.source});
  r.set_inputs(node, {variable, merged});
  return true;
}

}  // namespace presil::graph
