// Layer normalization spelled out: (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon), then factors and addends.
#include "graph/host_tensor.h"
#include "graph/rewriter.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

// Scale and bias are made as constants; no network normalizes over more.
constexpr int64_t kNormalizedMax = int64_t{1} << 24;

// The first of the trailing axes that a mean with kept dimensions runs over; nothing if it is not that.
std::optional<int64_t> trailing_mean(const Rewriter& r, const Node* node) {
  if (!node || node->attrs.reduce != ReduceKind::mean || !node->attrs.keepdims || node->attrs.axes.empty()) return {};
  int64_t rank = static_cast<int64_t>(r.shape(node->inputs[0]).size());
  int64_t first = rank - static_cast<int64_t>(node->attrs.axes.size());
  for (int64_t axis : node->attrs.axes) {
    if (axis < first) return std::nullopt;
  }
  return first;
}

// x when `id` is x - mean(x) over the axes from `axis` on.
std::optional<TensorId> centered(const Rewriter& r, TensorId id, std::optional<int64_t>& axis) {
  const Node* sub = r.producer(id, ElementwiseFn::sub);
  if (!sub) return std::nullopt;
  const Node* mean = r.producer(sub->inputs[1], Op::reduce);
  axis = trailing_mean(r, mean);
  return axis && mean->inputs[0] == sub->inputs[0] ? std::optional(sub->inputs[0]) : std::nullopt;
}

// The variance's tensor and epsilon when `id` is variance + epsilon.
std::optional<ConstantOperand> with_epsilon(const Rewriter& r, TensorId id) {
  const Node* add = r.producer(id, ElementwiseFn::add);
  std::optional<ConstantOperand> split = add ? split_constant(r, *add) : std::nullopt;
  return split && r.scalar(split->constant) ? split : std::nullopt;
}

// What stands under the root: `node` divides inputs[0] by sqrt(it), or multiplies one input by rsqrt(it).
struct Quotient {
  TensorId numerator, radicand;
};
std::optional<Quotient> root_quotient(const Rewriter& r, const Node& node) {
  if (is_elementwise(node, ElementwiseFn::div)) {
    const Node* root = r.producer(node.inputs[1], ElementwiseFn::sqrt);
    return root ? std::optional(Quotient{node.inputs[0], root->inputs[0]}) : std::nullopt;
  }
  if (!is_elementwise(node, ElementwiseFn::mul)) return std::nullopt;
  for (int i = 0; i < 2; ++i) {
    if (const Node* root = r.producer(node.inputs[i], ElementwiseFn::rsqrt)) {
      return Quotient{node.inputs[1 - i], root->inputs[0]};
    }
  }
  return std::nullopt;
}

TensorId filled(Rewriter& r, std::string name, DType dtype, const Shape& shape, double value) {
  std::vector<double> values(element_count(shape), value);
  auto data = std::make_shared<const std::vector<std::byte>>(store_floats(dtype, values));
  return r.add_constant(std::move(name), {dtype, shape}, std::move(data), false);
}

}  // namespace

bool match_layer_norm(Rewriter& r, Node& node) {
  std::optional<Quotient> q = root_quotient(r, node);
  std::optional<ConstantOperand> variance = q ? with_epsilon(r, q->radicand) : std::nullopt;
  if (!variance) return false;
  std::optional<int64_t> axis, variance_axis, square_axis;
  std::optional<TensorId> x = centered(r, q->numerator, axis);
  const Node* mean = r.producer(variance->variable, Op::reduce);
  variance_axis = trailing_mean(r, mean);
  const Node* square = variance_axis ? r.producer(mean->inputs[0], ElementwiseFn::square) : nullptr;
  if (!x || !square || variance_axis != axis) return false;
  // The deviation may be computed twice.
  if (centered(r, square->inputs[0], square_axis) != x || square_axis != axis) return false;
  if (r.shape(*x) != r.shape(node.output)) return false;
  Shape normalized(r.shape(*x).begin() + *axis, r.shape(*x).end());
  if (element_count(normalized) > kNormalizedMax) return false;
  DType dtype = r.at(*x).dtype;
  double epsilon = *r.scalar(variance->constant);
  TensorId input = *x;
  TensorId scale = filled(r, node.source + ".scale", dtype, normalized, 1);
  TensorId bias = filled(r, node.source + ".bias", dtype, normalized, 0);
  node.op = Op::layer_norm;
  node.attrs = {.axes = {*axis}, .epsilon = static_cast<float>(epsilon)};
  r.set_inputs(node, {input, scale, bias});
  return true;
}

// A constant factor or addend over the normalized axes joins scale and bias.
bool fold_into_layer_norm(Rewriter& r, Node& node) {
  bool factor = is_elementwise(node, ElementwiseFn::mul);
  if (!factor && !is_elementwise(node, ElementwiseFn::add)) return false;
  std::optional<ConstantOperand> split = split_constant(r, node);
  const Node* norm = split ? r.producer(split->variable, Op::layer_norm) : nullptr;
  if (!norm || !r.single_use(split->variable) || r.shape(split->variable) != r.shape(node.output)) return false;
  TensorId scale = norm->inputs[1], bias = norm->inputs[2], x = norm->inputs[0];
  if (!r.constant(scale) || !r.constant(bias)) return false;
  const Shape& normalized = r.shape(scale);
  if (broadcast(r.shape(split->constant), normalized) != normalized) return false;
  Attributes attrs = norm->attrs;
  std::string source = norm->source;
  auto combine = [&](TensorId a) {
    return r.insert({.op = Op::elementwise, .inputs = {a, split->constant}, .attrs = node.attrs, .source = source});
  };
  bias = combine(bias);
  if (factor) scale = combine(scale);
  node.op = Op::layer_norm;
  node.attrs = attrs;
  node.source = source;
  r.set_inputs(node, {x, scale, bias});
  return true;
}

}  // namespace presil::graph
