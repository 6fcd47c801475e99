#include "compiler/lower_bound.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/attention.h"
#include "compiler/stages.h"

namespace presil::compiler {
namespace {

using graph::ElementwiseFn;
using graph::Graph;
using graph::Node;
using graph::Op;
using graph::TensorId;

// `count` products of [m, k] by [k, n], of which `share` is wanted.
struct Product {
  int64_t count = 1, m = 1, k = 1, n = 1;
  double share = 1;
};

// What a causal mask leaves of a tensor or a product: the diagonal and what lies below it. By the node's output.
std::map<uint32_t, double> causal_shares(const Graph& graph) {
  std::map<uint32_t, double> shares;
  const TensorUses uses = uses_of(graph);
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    const auto attention = find_attention(graph, uses, i);
    if (!attention || !attention->causal) continue;
    const auto keys = static_cast<double>(attention->keys);
    for (uint32_t n : attention->nodes) {
      const Node& node = graph.nodes[n];
      if (node.op == Op::matmul || node.op == Op::softmax) shares[node.output.value] = (keys + 1) / (2 * keys);
    }
  }
  return shares;
}
double share_of(const std::map<uint32_t, double>& shares, TensorId t) {
  const auto found = shares.find(t.value);
  return found == shares.end() ? 1 : found->second;
}

int64_t product_of(const graph::Shape& shape, size_t from, size_t to) {
  int64_t n = 1;
  for (size_t i = from; i < to; ++i) n *= shape[i];
  return n;
}

// What the tensor engine multiplies; a convolution with taps and channels contracted together.
std::optional<Product> product(const Graph& graph, const Node& node) {
  if (node.op != Op::matmul && node.op != Op::conv && node.op != Op::conv_transpose) return std::nullopt;
  const graph::Shape &in = graph.at(node.inputs[0]).shape, &w = graph.at(node.inputs[1]).shape,
                     &out = graph.at(node.output).shape;
  if (node.op == Op::matmul) {
    if (in.size() < 2 || w.size() < 2) return std::nullopt;
    const int64_t rows = product_of(out, 0, out.size() - 1);
    if (w.size() == 2) return Product{1, rows, in.back(), out.back()};
    return Product{product_of(out, 0, out.size() - 2), out[out.size() - 2], in.back(), out.back()};
  }
  const int64_t taps = product_of(w, 2, w.size()), group = node.attrs.group;
  const graph::Shape& pixels = node.op == Op::conv ? out : in;
  const int64_t places = pixels[0] * product_of(pixels, 2, pixels.size());
  if (node.op == Op::conv) return Product{group, w[0] / group, w[1] * taps, places};
  return Product{group, w[1] * taps, in[1] / group, places};
}

// Instructions stream few vectors each, and an instruction takes its overhead and its least time, fp32 in passes.
double stream_cycles(int64_t vectors, bool wide, const spec::TensorSpec& t) {
  const int64_t passes = wide ? t.fp32_passes : 1, parts = (vectors + t.moving_max - 1) / t.moving_max;
  return static_cast<double>(std::max<int64_t>(vectors * passes + parts * t.issue_overhead_cycles,
                                               parts * static_cast<int64_t>(t.initiation_min_cycles)));
}

// Cycles of the array; several small products side by side where they fit along both of its sides.
double array_cycles(const Product& p, bool wide, const spec::TensorSpec& t) {
  auto passes = [](int64_t extent, int64_t side) { return (extent + side - 1) / side; };
  const int64_t rows = t.rows, columns = t.columns;
  // One instruction may stream for several small products.
  auto stream = [&](int64_t n) {
    return p.count == 1 ? stream_cycles(n, wide, t) : static_cast<double>(n * (wide ? t.fp32_passes : 1));
  };
  auto stationary = [&](int64_t m, int64_t n) {  // m columns stand still, n vectors stream
    const int64_t beside = std::max<int64_t>(1, std::min(rows / std::min(p.k, rows), columns / std::min(m, columns)));
    return static_cast<double>(passes(p.count, beside)) * static_cast<double>(passes(p.k, rows)) *
           static_cast<double>(passes(m, columns)) * stream(n);
  };
  return std::min(stationary(p.m, p.n), stationary(p.n, p.m));
}

bool is_transcendental(ElementwiseFn fn) {
  switch (fn) {
    case ElementwiseFn::exp:
    case ElementwiseFn::log:
    case ElementwiseFn::sigmoid:
    case ElementwiseFn::tanh:
    case ElementwiseFn::erf:
    case ElementwiseFn::gelu:
    case ElementwiseFn::gelu_tanh:
    case ElementwiseFn::silu:
    case ElementwiseFn::softplus:
    case ElementwiseFn::mish:
    case ElementwiseFn::sin:
    case ElementwiseFn::cos:
      return true;
    default:
      return false;
  }
}

double elements(const Graph& graph, TensorId t) { return static_cast<double>(graph::element_count(graph.at(t).shape)); }

// Products by the tensor that they make. Those that are added could be contracted together, as one of their joint
// depth.
std::map<uint32_t, Product> products_of(const Graph& graph, const Plan& plan, const std::map<uint32_t, double>& shares,
                                        std::map<uint32_t, bool>& wide) {
  std::map<uint32_t, Product> products;
  for (const Node& node : graph.nodes) {
    if (auto p = product(graph, node)) {
      p->share = share_of(shares, node.output);
      products.emplace(node.output.value, *p);
      wide[node.output.value] = plan.precision != "tf32" && value_dtype(graph, plan, node.inputs[0]) == DType::fp32;
    }
    if (node.op != Op::elementwise || node.attrs.fn != ElementwiseFn::add) continue;
    const auto a = products.find(node.inputs[0].value), b = products.find(node.inputs[1].value);
    if (a == products.end() || b == products.end() || a == b) continue;
    Product sum = a->second;
    if (sum.count != b->second.count || sum.m != b->second.m || sum.n != b->second.n) continue;
    sum.k += b->second.k;
    wide[node.output.value] = wide[a->first] && wide[b->first];
    products.erase(a), products.erase(b);
    products.emplace(node.output.value, sum);
  }
  return products;
}

double tensor_seconds(const Graph& graph, const Plan& plan, const spec::ChipSpec& spec,
                      const std::map<uint32_t, double>& shares) {
  double cycles = 0;
  std::map<uint32_t, bool> wide;
  for (const auto& [tensor, p] : products_of(graph, plan, shares, wide))
    cycles += p.share * array_cycles(p, wide[tensor], spec.tensor);
  return cycles / (static_cast<double>(spec.tensor.clock_hz) * spec.tensor.count);
}

double elementwise_seconds(const Graph& graph, const spec::ChipSpec& spec, const std::map<uint32_t, double>& shares) {
  std::set<uint32_t> products;  // tensors that are yet in PSUM
  double either = 0, scalar = 0;
  auto wanted = [&](TensorId t) { return elements(graph, t) * share_of(shares, t); };
  for (const Node& node : graph.nodes) {
    const bool fn = node.op == Op::elementwise && is_transcendental(node.attrs.fn);
    const bool from_product = fn && products.contains(node.inputs[0].value);
    if (product(graph, node)) {
      products.insert(node.output.value);
      either += wanted(node.output);
    }
    if (!fn && node.op != Op::softmax) continue;
    scalar += wanted(node.output);
    if (!from_product && !products.contains(node.inputs[0].value)) either += wanted(node.output);
  }
  const auto lanes = static_cast<double>(spec.sbuf.partitions);
  const double vector_hz = static_cast<double>(spec.vector.clock_hz) * spec.vector.count,
               scalar_hz = static_cast<double>(spec.scalar.clock_hz) * spec.scalar.count;
  return std::max(scalar / scalar_hz, either / (vector_hz + scalar_hz)) / lanes;
}

}  // namespace

double LowerBound::seconds() const { return std::max({tensor, elementwise, hbm}); }
const char* LowerBound::resource() const {
  return tensor == seconds() ? "tensor" : elementwise == seconds() ? "vector and scalar" : "hbm";
}

LowerBound lower_bound(const Graph& graph, const Plan& plan, const spec::ChipSpec& spec, double hbm_seconds) {
  const std::map<uint32_t, double> shares = causal_shares(graph);
  return {tensor_seconds(graph, plan, spec, shares), elementwise_seconds(graph, spec, shares), hbm_seconds};
}

}  // namespace presil::compiler
