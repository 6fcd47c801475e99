// Two linear nodes in a row are one: W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2). Done where the product needs no
// more multiply-adds than the two.
#include <algorithm>

#include "graph/linear.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

constexpr int64_t kProductWorkMax = int64_t{1} << 28;

bool all_equal(const std::vector<int64_t>& values, int64_t to) {
  return std::ranges::all_of(values, [&](int64_t v) { return v == to; });
}

// A 1x1 convolution without padding, stride or groups, or a matmul by a matrix.
bool is_pointwise(const Rewriter& r, const Node& node) {
  const Shape& w = r.shape(node.inputs[1]);
  if (node.op == Op::matmul) return w.size() == 2;
  return node.op == Op::conv && node.attrs.group == 1 && all_equal({w.begin() + 2, w.end()}, 1) &&
         all_equal(node.attrs.pads, 0) && all_equal(node.attrs.strides, 1);
}

// The second node's weight as [outputs, middle, taps] and the first one's as [middle, inputs], whatever their layout.
struct Product {
  int64_t outputs = 0, middle = 0, taps = 1, inputs = 0;
  bool matmul = false;
  int64_t second(int64_t o, int64_t m, int64_t t) const {
    return matmul ? m * outputs + o : (o * middle + m) * taps + t;
  }
  int64_t first(int64_t m, int64_t i) const { return matmul ? i * middle + m : m * inputs + i; }
  int64_t result(int64_t o, int64_t i, int64_t t) const {
    return matmul ? i * outputs + o : (o * inputs + i) * taps + t;
  }
};
Product product_of(const Rewriter& r, const Node& first, const Node& second) {
  const Shape &a = r.shape(first.inputs[1]), &b = r.shape(second.inputs[1]);
  if (second.op == Op::matmul) return {.outputs = b[1], .middle = b[0], .inputs = a[0], .matmul = true};
  return {.outputs = b[0], .middle = b[1], .taps = element_count({b.begin() + 2, b.end()}), .inputs = a[1]};
}

// Multiply-adds per batch, by the positions at which each weight is applied.
bool saves_work(const Rewriter& r, const Node& first, const Node& second, const Product& p) {
  double before = static_cast<double>(element_count(r.shape(first.output))) * static_cast<double>(p.inputs);
  double per_output = static_cast<double>(element_count(r.shape(second.output))) * static_cast<double>(p.taps);
  return per_output * static_cast<double>(p.inputs) <= before + per_output * static_cast<double>(p.middle);
}

std::vector<float> multiply(const Product& p, const std::vector<float>& first, const std::vector<float>& second) {
  std::vector<float> out(p.outputs * p.inputs * p.taps);
  std::vector<double> row(p.inputs);
  for (int64_t o = 0; o < p.outputs; ++o) {
    for (int64_t t = 0; t < p.taps; ++t) {
      std::ranges::fill(row, 0.0);
      for (int64_t m = 0; m < p.middle; ++m) {
        double factor = second[p.second(o, m, t)];
        for (int64_t i = 0; i < p.inputs; ++i) row[i] += factor * first[p.first(m, i)];
      }
      for (int64_t i = 0; i < p.inputs; ++i) out[p.result(o, i, t)] = static_cast<float>(row[i]);
    }
  }
  return out;
}

ConstantValues merged_bias(const Rewriter& r, const Node& first, const Node& second, const Product& p) {
  ConstantValues inner = bias_of(r, first), bias = bias_of(r, second);
  const Tensor& weight = r.at(second.inputs[1]);
  bias.opaque |= inner.opaque || weight.opaque;
  if (!inner.values || !weight.data) bias.values.reset();
  if (!bias.values) return bias;
  std::vector<float> w = read_weight(weight);
  for (int64_t o = 0; o < p.outputs; ++o) {
    for (int64_t m = 0; m < p.middle; ++m) {
      for (int64_t t = 0; t < p.taps; ++t) (*bias.values)[o] += w[p.second(o, m, t)] * (*inner.values)[m];
    }
  }
  return bias;
}

}  // namespace

bool merge_linear(Rewriter& r, Node& node) {
  if (node.op != Op::conv && node.op != Op::matmul) return false;
  const Node* first = r.producer(node.inputs[0], node.op);
  if (!first || !r.single_use(node.inputs[0]) || !has_constant_weight(r, node) || !has_constant_weight(r, *first))
    return false;
  bool reads_matrix = node.op == Op::matmul ? r.shape(node.inputs[1]).size() == 2 : node.attrs.group == 1;
  // Padding is zero after the first node's bias, not before it.
  bool padded = !all_equal(node.attrs.pads, 0);
  if (!reads_matrix || !is_pointwise(r, *first) || (padded && first->inputs.size() == 3)) return false;
  Product p = product_of(r, *first, node);
  std::optional<int64_t> work = checked_count({p.outputs, p.taps, p.middle, p.inputs});
  if (!work || *work > kProductWorkMax || !saves_work(r, *first, node, p)) return false;
  Tensor outer = r.at(node.inputs[1]), inner = r.at(first->inputs[1]);
  bool has_bias = first->inputs.size() == 3 || node.inputs.size() == 3;
  std::vector<TensorId> inputs = {first->inputs[0], TensorId()};
  if (has_bias) inputs.push_back(write_bias(r, node, merged_bias(r, *first, node, p)));
  bool opaque = outer.opaque || inner.opaque;
  outer.shape[node.op == Op::matmul ? 0 : 1] = p.inputs;
  inputs[1] = outer.data && inner.data
                  ? write_weight(r, outer, multiply(p, read_weight(inner), read_weight(r.at(node.inputs[1]))), opaque)
                  : r.add_constant(outer.name, {outer.dtype, outer.shape}, nullptr, opaque);
  r.set_inputs(node, inputs);
  return true;
}

}  // namespace presil::graph
