// Functions that models spell out in elementary ones.
#include <cmath>

#include "graph/rewriter.h"

namespace presil::graph {
namespace {

// Constants in models are rounded to fp32 and sometimes to fewer digits.
bool close(double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); }

bool turn_into(Rewriter& r, Node& node, ElementwiseFn fn, TensorId x, double alpha = 0, double beta = 0) {
  if (r.shape(x) != r.shape(node.output)) return false;
  node.op = Op::elementwise;
  node.attrs = {.fn = fn, .alpha = static_cast<float>(alpha), .beta = static_cast<float>(beta)};
  r.set_inputs(node, {x});
  return true;
}

// `id` is variable * c or variable / c with a constant of one element: the variable and the factor.
struct Scaled {
  TensorId variable;
  double factor = 1;
};
std::optional<Scaled> scaled(const Rewriter& r, const Node& node) {
  std::optional<ConstantOperand> split = split_constant(r, node);
  if (!split || node.op != Op::elementwise) return std::nullopt;
  std::optional<double> c = r.scalar(split->constant);
  if (!c) return std::nullopt;
  if (node.attrs.fn == ElementwiseFn::mul) return Scaled{split->variable, *c};
  bool divides = node.attrs.fn == ElementwiseFn::div && node.inputs[1] == split->constant && *c != 0;
  return divides ? std::optional(Scaled{split->variable, 1 / *c}) : std::nullopt;
}
std::optional<Scaled> scaled(const Rewriter& r, TensorId id) {
  const Node* node = r.producer(id);
  return node ? scaled(r, *node) : std::nullopt;
}

// `id` is variable + c.
struct Shifted {
  TensorId variable;
  double offset = 0;
};
std::optional<Shifted> shifted(const Rewriter& r, TensorId id) {
  const Node* node = r.producer(id, ElementwiseFn::add);
  std::optional<ConstantOperand> split = node ? split_constant(r, *node) : std::nullopt;
  std::optional<double> c = split ? r.scalar(split->constant) : std::nullopt;
  return c ? std::optional(Shifted{split->variable, *c}) : std::nullopt;
}

// `id` is clip(variable + offset, 0, top).
struct Ramp {
  TensorId variable;
  double offset = 0, top = 0;
};
std::optional<Ramp> ramp(const Rewriter& r, TensorId id) {
  const Node* clip = r.producer(id, ElementwiseFn::clip);
  if (!clip || clip->attrs.alpha != 0 || !(clip->attrs.beta > 0) || std::isinf(clip->attrs.beta)) return std::nullopt;
  std::optional<Shifted> inner = shifted(r, clip->inputs[0]);
  if (!inner) return std::nullopt;
  return Ramp{inner->variable, inner->offset, clip->attrs.beta};
}

// Tries both orders of a product's operands.
template <class Match>
bool either_order(const Node& node, Match match) {
  return match(node.inputs[0], node.inputs[1]) || match(node.inputs[1], node.inputs[0]);
}

}  // namespace

bool simplify_power(Rewriter& r, Node& node) {
  if (is_elementwise(node, ElementwiseFn::mul) && node.inputs[0] == node.inputs[1]) {
    return turn_into(r, node, ElementwiseFn::square, node.inputs[0]);
  }
  if (!is_elementwise(node, ElementwiseFn::pow)) return false;
  std::optional<double> exponent = r.scalar(node.inputs[1]);
  if (!exponent) return false;
  TensorId x = node.inputs[0];
  if (*exponent == 2) return turn_into(r, node, ElementwiseFn::square, x);
  if (*exponent == 0.5) return turn_into(r, node, ElementwiseFn::sqrt, x);
  if (*exponent == -0.5) return turn_into(r, node, ElementwiseFn::rsqrt, x);
  if (*exponent == -1) return turn_into(r, node, ElementwiseFn::reciprocal, x);
  if (*exponent == 1) return turn_into(r, node, ElementwiseFn::identity, x);
  return false;
}

bool match_clip(Rewriter& r, Node& node) {
  if (node.op != Op::elementwise || !is_float(r.at(node.output).dtype)) return false;
  if (node.attrs.fn == ElementwiseFn::clip) {
    bool relu = node.attrs.alpha == 0 && std::isinf(node.attrs.beta) && node.attrs.beta > 0;
    return relu && turn_into(r, node, ElementwiseFn::relu, node.inputs[0]);
  }
  bool max = node.attrs.fn == ElementwiseFn::max;
  if (!max && node.attrs.fn != ElementwiseFn::min) return false;
  std::optional<ConstantOperand> split = split_constant(r, node);
  std::optional<double> bound = split ? r.scalar(split->constant) : std::nullopt;
  if (!bound) return false;
  double infinity = HUGE_VAL;
  return turn_into(r, node, ElementwiseFn::clip, split->variable, max ? *bound : -infinity, max ? infinity : *bound);
}

// clip(x + a, 0, b) / b
bool match_hard_sigmoid(Rewriter& r, Node& node) {
  std::optional<Scaled> outer = scaled(r, node);
  std::optional<Ramp> inner = outer ? ramp(r, outer->variable) : std::nullopt;
  if (!inner || !close(outer->factor * inner->top, 1)) return false;
  return turn_into(r, node, ElementwiseFn::hard_sigmoid, inner->variable, 1 / inner->top, inner->offset / inner->top);
}

// (x clip(x + a, 0, b)) / b, or x hard_sigmoid(x)
bool match_hard_swish(Rewriter& r, Node& node) {
  if (is_elementwise(node, ElementwiseFn::mul)) {
    return either_order(node, [&](TensorId x, TensorId gate) {
      const Node* g = r.producer(gate, ElementwiseFn::hard_sigmoid);
      if (!g || g->inputs[0] != x) return false;
      return turn_into(r, node, ElementwiseFn::hard_swish, x, g->attrs.alpha, g->attrs.beta);
    });
  }
  std::optional<Scaled> outer = scaled(r, node);
  const Node* product = outer ? r.producer(outer->variable, ElementwiseFn::mul) : nullptr;
  if (!product) return false;
  return either_order(*product, [&](TensorId x, TensorId gate) {
    std::optional<Ramp> inner = ramp(r, gate);
    if (!inner || inner->variable != x || !close(outer->factor * inner->top, 1)) return false;
    return turn_into(r, node, ElementwiseFn::hard_swish, x, 1 / inner->top, inner->offset / inner->top);
  });
}

bool match_self_gated(Rewriter& r, Node& node) {
  if (!is_elementwise(node, ElementwiseFn::mul)) return false;
  return either_order(node, [&](TensorId x, TensorId gate) {
    const Node* sigmoid = r.producer(gate, ElementwiseFn::sigmoid);
    if (sigmoid && sigmoid->inputs[0] == x) return turn_into(r, node, ElementwiseFn::silu, x);
    const Node* tanh = r.producer(gate, ElementwiseFn::tanh);
    const Node* softplus = tanh ? r.producer(tanh->inputs[0], ElementwiseFn::softplus) : nullptr;
    return softplus && softplus->inputs[0] == x && turn_into(r, node, ElementwiseFn::mish, x);
  });
}

// x (1 + erf(x / sqrt 2)) / 2, with the half anywhere in the product
bool match_gelu(Rewriter& r, Node& node) {
  if (node.op != Op::elementwise) return false;
  double factor = 1;
  std::vector<TensorId> terms;
  // Flattens a product of up to three factors; constants are collected.
  auto flatten = [&](auto& self, const Node& n, int depth) -> void {
    if (std::optional<Scaled> s = scaled(r, n)) {
      factor *= s->factor;
      const Node* inner = r.producer(s->variable);
      bool product = inner && depth < 3 && (scaled(r, *inner) || is_elementwise(*inner, ElementwiseFn::mul));
      if (product) return self(self, *inner, depth + 1);
      return terms.push_back(s->variable);
    }
    for (TensorId id : n.inputs) {
      const Node* inner = r.producer(id);
      bool product = inner && depth < 3 && scaled(r, *inner).has_value();
      if (product)
        self(self, *inner, depth + 1);
      else
        terms.push_back(id);
    }
  };
  if (!is_elementwise(node, ElementwiseFn::mul) && !scaled(r, node)) return false;
  flatten(flatten, node, 0);
  if (terms.size() != 2 || !close(factor, 0.5)) return false;
  for (int order = 0; order < 2; ++order) {
    TensorId x = terms[order];
    std::optional<Shifted> sum = shifted(r, terms[1 - order]);
    const Node* erf = sum && sum->offset == 1 ? r.producer(sum->variable, ElementwiseFn::erf) : nullptr;
    std::optional<Scaled> inner = erf ? scaled(r, erf->inputs[0]) : std::nullopt;
    if (inner && inner->variable == x && std::abs(inner->factor - std::sqrt(0.5)) < 1e-4) {
      return turn_into(r, node, ElementwiseFn::gelu, x);
    }
  }
  return false;
}

bool match_rsqrt(Rewriter& r, Node& node) {
  TensorId root;
  if (is_elementwise(node, ElementwiseFn::reciprocal)) {
    root = node.inputs[0];
  } else if (is_elementwise(node, ElementwiseFn::div) && r.scalar(node.inputs[0]) == 1.0) {
    root = node.inputs[1];
  } else {
    return false;
  }
  const Node* sqrt = r.producer(root, ElementwiseFn::sqrt);
  return sqrt && turn_into(r, node, ElementwiseFn::rsqrt, sqrt->inputs[0]);
}

}  // namespace presil::graph
