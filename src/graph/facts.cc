#include "graph/facts.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "graph/fold.h"

namespace presil::graph {
namespace {

// How far back one answer looks, and at how many nodes; beyond, nothing is known.
constexpr int kDepthMax = 16;
constexpr size_t kNodesMax = 400;

Facts hull(const Facts& a, const Facts& b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high), a.integral && b.integral};
}

class Walk {
 public:
  Walk(const Graph& graph, const ProducerOf& producer) : graph_(graph), producer_(producer) {}

  Facts of(TensorId id) {
    const Tensor& t = graph_.at(id);
    if (t.constant) return of_constant(id);
    auto known = known_.find(id.value);
    if (known != known_.end()) return known->second;
    const Node* node = depth_ < kDepthMax && known_.size() < kNodesMax ? producer_(id) : nullptr;
    ++depth_;
    Facts facts = node ? of_node(*node) : Facts{};
    --depth_;
    if (is_integer(t.dtype)) {
      Facts type = range_of(t.dtype);
      facts = {std::max(facts.low, type.low), std::min(facts.high, type.high), true};
    }
    if (node) known_[id.value] = facts;
    return facts;
  }

 private:
  Facts of_constant(TensorId id) const {
    if (auto values = small_integers(graph_, id); values && !values->empty()) {
      auto [low, high] = std::ranges::minmax(*values);
      return {static_cast<double>(low), static_cast<double>(high), true};
    }
    auto values = small_floats(graph_, id);
    if (!values || values->empty()) return {};
    Facts facts{values->front(), values->front(), true};
    for (double v : *values) {
      if (v != v) return {};
      facts = hull(facts, {v, v, std::trunc(v) == v});
    }
    return facts;
  }

  Facts of_node(const Node& node) {
    switch (node.op) {
      case Op::elementwise:
        return of_elementwise(node);
      case Op::cast:
        return of_cast(node);
      case Op::conv:
      case Op::matmul:
        return node.attrs.integers ? of_product(node) : Facts{};
      case Op::pool:
        return of_pool(node);
      case Op::reduce:
        return of_reduce(node);
      case Op::softmax:
        return {0, 1, false};
      case Op::resize: {
        Facts x = of(node.inputs[0]);
        return {x.low, x.high, x.integral && node.attrs.resize == ResizeMode::nearest};
      }
      case Op::reshape:
      case Op::transpose:
      case Op::slice:
      case Op::gather:
      case Op::expand:
        return of(node.inputs[0]);
      case Op::select:
        return node.inputs.size() == 2 ? of(node.inputs[1]) : hull(of(node.inputs[1]), of(node.inputs[2]));
      case Op::concat: {
        Facts all = of(node.inputs[0]);
        for (size_t i = 1; i < node.inputs.size(); ++i) all = hull(all, of(node.inputs[i]));
        return all;
      }
      default:
        return {};
    }
  }

  Facts of_cast(const Node& node) {
    DType to = graph_.at(node.output).dtype;
    Facts x = of(node.inputs[0]);
    if (to == DType::boolean) return {0, 1, true};
    if (is_integer(to)) return {std::trunc(x.low), std::trunc(x.high), true};
    // Rounding may leave the range of what has more digits.
    double exact = to == DType::bf16 ? 0x1p8 : to == DType::fp16 ? 0x1p11 : to == DType::fp32 ? 0x1p24 : 0;
    return x.integral && x.within(-exact, exact) ? x : Facts{x.low >= 0 ? 0 : -HUGE_VAL, HUGE_VAL, x.integral};
  }

  // Sums of K products of integers up to 255.
  Facts of_product(const Node& node) {
    const Shape &a = graph_.at(node.inputs[0]).shape, &w = graph_.at(node.inputs[1]).shape;
    double count = static_cast<double>(node.op == Op::matmul ? a.back() : element_count({w.begin() + 1, w.end()}));
    double most = count * 255 * 255;
    return {-most, most, true};
  }

  Facts of_pool(const Node& node) {
    Facts x = of(node.inputs[0]);
    if (node.attrs.pool == PoolKind::max) return x;
    return {std::min(x.low, 0.0), std::max(x.high, 0.0), false};
  }

  Facts of_reduce(const Node& node) {
    Facts x = of(node.inputs[0]);
    switch (node.attrs.reduce) {
      case ReduceKind::max:
      case ReduceKind::min:
        return x;
      case ReduceKind::mean:
        return {x.low, x.high, false};
      default:
        return {x.low >= 0 ? 0 : -HUGE_VAL, HUGE_VAL, x.integral};
    }
  }

  Facts of_elementwise(const Node& node) {
    const Attributes& a = node.attrs;
    // The end of most searches: what an activation reads would not tell more that is wanted.
    if (a.fn == ElementwiseFn::relu) return {0, HUGE_VAL, false};
    Facts x = of(node.inputs[a.fn == ElementwiseFn::where ? 1 : 0]);
    Facts y = node.inputs.size() == 1 ? Facts{} : of(node.inputs[a.fn == ElementwiseFn::where ? 2 : 1]);
    switch (a.fn) {
      case ElementwiseFn::sigmoid:
      case ElementwiseFn::hard_sigmoid:
        return {0, 1, false};
      case ElementwiseFn::abs:
        return {std::max(x.low, 0.0), std::max(-x.low, x.high), x.integral};
      case ElementwiseFn::exp:
      case ElementwiseFn::sqrt:
      case ElementwiseFn::square:
      case ElementwiseFn::softplus:
        return {0, HUGE_VAL, false};
      case ElementwiseFn::neg:
        return {-x.high, -x.low, x.integral};
      case ElementwiseFn::round:
        return {std::nearbyint(x.low), std::nearbyint(x.high), true};
      case ElementwiseFn::floor:
      case ElementwiseFn::ceil:
      case ElementwiseFn::trunc:
        return {std::floor(x.low), std::ceil(x.high), true};
      case ElementwiseFn::saturate:
        return {std::clamp<double>(std::nearbyint(x.low), a.alpha, a.beta),
                std::clamp<double>(std::nearbyint(x.high), a.alpha, a.beta), whole(a)};
      case ElementwiseFn::clip:
        return {std::min<double>(std::max<double>(x.low, a.alpha), a.beta),
                std::min<double>(std::max<double>(x.high, a.alpha), a.beta), x.integral && whole(a)};
      case ElementwiseFn::max:
        return {std::max(x.low, y.low), std::max(x.high, y.high), x.integral && y.integral};
      case ElementwiseFn::min:
        return {std::min(x.low, y.low), std::min(x.high, y.high), x.integral && y.integral};
      case ElementwiseFn::where:
        return hull(x, y);
      case ElementwiseFn::add:
        return exact({x.low + y.low, x.high + y.high, x.integral && y.integral});
      case ElementwiseFn::sub:
        return exact({x.low - y.high, x.high - y.low, x.integral && y.integral});
      case ElementwiseFn::mul:
        return {x.low >= 0 && y.low >= 0 ? 0 : -HUGE_VAL, HUGE_VAL, x.integral && y.integral};
      case ElementwiseFn::div:
        if (x.low == 0 && x.high == 0) return {0, 0, true};
        return {x.low >= 0 && y.low >= 0 ? 0 : -HUGE_VAL, HUGE_VAL, false};
      default:
        return {};
    }
  }

  static bool whole(const Attributes& a) {
    return std::nearbyint(a.alpha) == a.alpha && std::nearbyint(a.beta) == a.beta;
  }
  // Sums whose bounds could round say nothing.
  static Facts exact(Facts f) {
    if (f.integral && f.within(-0x1p24, 0x1p24)) return f;
    return {f.low >= 0 ? 0 : -HUGE_VAL, HUGE_VAL, f.integral};
  }

  const Graph& graph_;
  const ProducerOf& producer_;
  std::map<uint32_t, Facts> known_;
  int depth_ = 0;
};

}  // namespace

Facts facts_of(const Graph& graph, const ProducerOf& producer, TensorId id) { return Walk(graph, producer).of(id); }

Facts range_of(DType integer) {
  switch (integer) {
    case DType::uint8:
      return {0, 255, true};
    case DType::int8:
      return {-128, 127, true};
    case DType::uint16:
      return {0, 65535, true};
    case DType::int16:
      return {-32768, 32767, true};
    case DType::uint32:
      return {0, 0x1p32 - 1, true};
    case DType::int32:
      return {-0x1p31, 0x1p31 - 1, true};
    default:
      return {-0x1p63, 0x1p63, true};
  }
}

}  // namespace presil::graph
