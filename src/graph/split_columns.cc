#include "graph/split_columns.h"

#include <fmt/format.h>

#include <algorithm>

namespace presil::graph {
namespace {

constexpr int kUnused = -2, kWhole = BatchPart::kWhole;

int rank_of(const Graph& g, TensorId t) { return static_cast<int>(g.at(t).shape.size()); }
int64_t extent(const Graph& g, TensorId t, int axis) { return g.at(t).shape[static_cast<size_t>(axis)]; }

// From the outputs back: which axis of each value a part has, or that it has all of it.
class Demand {
 public:
  Demand(const Graph& graph, int64_t parts) : g_(graph), parts_(parts), axes_(graph.tensors.size(), kUnused) {}

  bool find(bool channels) {
    for (TensorId t : g_.outputs) {
      const int axis = channels ? 1 : rank_of(g_, t) - 1;
      if (axis < 0 || axis >= rank_of(g_, t) || !ask(t, axis)) return false;
    }
    for (size_t n = g_.nodes.size(); n-- > 0;) {
      const Node& node = g_.nodes[n];
      const int axis = of(node.output);
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        if (!node.inputs[i].valid() || axis == kUnused) continue;
        const int asked = axis == kWhole ? kWhole : of_operand(node, i, axis);
        if (asked == kUnused || !ask(node.inputs[i], asked)) return false;
      }
    }
    return true;
  }

  // Of a value; constants are asked for by each node (of_operand).
  int of(TensorId t) const { return axes_[t.value]; }

  // Of operand `i` of a node whose output is in parts along `axis`; kUnused where that cannot be.
  int of_operand(const Node& node, size_t i, int axis) const {
    const TensorId t = node.inputs[i];
    const int rank = rank_of(g_, t), out = rank_of(g_, node.output);
    switch (node.op) {
      case Op::elementwise:
      case Op::cast: {
        const int at = axis - (out - rank);
        return at < 0 || extent(g_, t, at) == 1 ? kWhole : at;
      }
      case Op::matmul:
        if (axis != out - 1) return kUnused;
        return i == 0 ? kWhole : rank - 1;
      case Op::conv: {
        const bool each = node.attrs.group > 1;  // a channel of the result needs those of its group only
        if (axis != 1 || (each && node.attrs.group % parts_ != 0)) return kUnused;
        return i > 0 ? 0 : each ? 1 : kWhole;
      }
      case Op::pool:
        return axis == 1 ? 1 : kUnused;
      case Op::softmax:
        return std::ranges::count(node.attrs.axes, axis) > 0 ? kUnused : axis;
      case Op::transpose:
        return static_cast<int>(node.attrs.axes[static_cast<size_t>(axis)]);
      default:
        return kUnused;
    }
  }

 private:
  bool ask(TensorId t, int axis) {
    if (axis >= 0 && extent(g_, t, axis) % parts_ != 0) return false;
    if (g_.at(t).constant) return true;
    int& known = axes_[t.value];
    if (known == kUnused) known = axis;
    return known == axis;
  }

  const Graph& g_;
  int64_t parts_;
  std::vector<int> axes_;
};

BatchPart make_part(const Graph& old, const Demand& demand, int64_t parts, int64_t part) {
  BatchPart out{old, {}, {}};
  Graph& g = out.graph;
  g.nodes.clear();
  for (size_t t = 0; t < old.tensors.size(); ++t) {
    const TensorId id(static_cast<uint32_t>(t));
    if (const int axis = demand.of(id); axis >= 0) g.at(id).shape[static_cast<size_t>(axis)] /= parts;
  }
  for (const Node& node : old.nodes) {
    Node own = node;
    const int axis = demand.of(node.output);
    for (size_t i = 0; i < own.inputs.size() && axis >= 0; ++i) {
      const TensorId t = node.inputs[i];
      const int cut = !t.valid() || !old.at(t).constant ? kWhole : demand.of_operand(node, i, axis);
      if (cut < 0) continue;
      const Tensor& whole = old.at(t);
      Tensor piece{.name = fmt::format("{}.part", whole.name), .dtype = whole.dtype, .shape = whole.shape};
      const int64_t size = piece.shape[static_cast<size_t>(cut)] /= parts;
      g.tensors.push_back(std::move(piece));
      own.inputs[i] = TensorId(static_cast<uint32_t>(g.tensors.size() - 1));
      g.nodes.push_back({.op = Op::slice,
                         .inputs = {t},
                         .output = own.inputs[i],
                         .attrs = {.axes = {cut}, .starts = {part * size}, .ends = {(part + 1) * size}, .steps = {1}},
                         .source = node.source});
    }
    if (axis >= 0 && own.op == Op::conv && own.attrs.group > 1) own.attrs.group /= parts;
    g.nodes.push_back(std::move(own));
  }
  for (TensorId t : old.inputs) out.input_axes.push_back(std::max(kWhole, demand.of(t)));
  for (TensorId t : old.outputs) out.output_axes.push_back(demand.of(t));
  return out;
}

}  // namespace

std::optional<BatchPart> column_part(const Graph& graph, int64_t parts, int64_t part) {
  if (parts < 2) return std::nullopt;
  for (const bool channels : {false, true}) {
    Demand demand(graph, parts);
    if (demand.find(channels)) return make_part(graph, demand, parts, part);
  }
  return std::nullopt;
}

}  // namespace presil::graph
