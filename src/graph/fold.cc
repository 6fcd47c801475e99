#include "graph/fold.h"

#include <algorithm>

#include "graph/evaluate.h"
#include "graph/host_tensor.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

int64_t byte_count(const Tensor& t) { return element_count(t.shape) * static_cast<int64_t>(dtype_bytes(t.dtype)); }

// Multiply-adds beyond which a constant is rather computed at run time than while importing.
constexpr int64_t kFoldWorkMax = int64_t{1} << 26;

// What may become of constants whose values are known anyway. Repetition costs nothing at run time, so that it is not
// written out.
constexpr int64_t kKnownBytesMax = int64_t{2} << 20;

// Primitives whose work grows faster than their operands.
bool is_heavy(const Graph& graph, const Node& node) {
  Shape factors = graph.at(node.output).shape;
  switch (node.op) {
    case Op::matmul:
      factors.push_back(graph.at(node.inputs[0]).shape.back());
      break;
    case Op::conv:
    case Op::conv_transpose: {
      const Shape& weight = graph.at(node.inputs[1]).shape;
      factors.insert(factors.end(), weight.begin(), weight.end());
      break;
    }
    case Op::pool:
      factors.insert(factors.end(), node.attrs.kernel.begin(), node.attrs.kernel.end());
      break;
    default:
      return false;
  }
  std::optional<int64_t> work = checked_count(factors);
  return !work || *work > kFoldWorkMax;
}

bool readable(const Tensor& t) { return t.constant && !t.opaque && t.data; }

}  // namespace

TensorId add_constant(Graph& graph, std::string name, TensorType type, Bytes data, bool opaque) {
  Tensor t{.name = std::move(name), .dtype = type.dtype, .shape = std::move(type.shape), .constant = true};
  t.opaque = opaque || byte_count(t) > kSmallConstantBytes;
  t.data = std::move(data);
  graph.tensors.push_back(std::move(t));
  return TensorId(static_cast<uint32_t>(graph.tensors.size() - 1));
}

std::optional<std::vector<int64_t>> small_integers(const Graph& graph, TensorId id) {
  const Tensor& t = graph.at(id);
  if (!readable(t) || is_float(t.dtype)) return std::nullopt;
  return load_integers(t.dtype, *t.data);
}

std::optional<std::vector<double>> small_floats(const Graph& graph, TensorId id) {
  const Tensor& t = graph.at(id);
  if (!readable(t) || !is_float(t.dtype)) return std::nullopt;
  return load_floats(t.dtype, *t.data);
}

bool foldable(const Graph& graph, const Node& node) {
  if (node.op == Op::enter || node.op == Op::leave) return false;  // other values in other iterations
  int64_t inputs = 0;
  bool known = node.op != Op::expand;
  for (TensorId id : node.inputs) {
    if (!graph.at(id).constant) return false;
    inputs += byte_count(graph.at(id));
    known = known && !graph.at(id).opaque;
  }
  // Quantized weights widen on their way to what the machine multiplies.
  if (node.op == Op::cast) inputs *= 8;
  const int64_t most = known ? kKnownBytesMax : kSmallConstantBytes;
  bool small = byte_count(graph.at(node.output)) <= std::max(inputs, most);
  return small && !is_heavy(graph, node);
}

Result<void> fold_node(Graph& graph, const Node& node) {
  std::vector<std::span<const std::byte>> operands;
  bool opaque = false, complete = true;
  for (TensorId id : node.inputs) {
    const Tensor& t = graph.at(id);
    opaque |= t.opaque;
    complete &= t.data != nullptr;
    if (t.data) operands.emplace_back(*t.data);
  }
  Bytes data;
  if (complete) data = std::make_shared<const std::vector<std::byte>>(TRY(evaluate(graph, node, operands)));
  Tensor& out = graph.at(node.output);
  out.constant = true;
  out.opaque = opaque;
  out.data = std::move(data);
  return {};
}

Result<Graph> fold_constants(Graph graph) {
  std::vector<Node> kept;
  for (Node& node : graph.nodes) {
    bool is_output = std::ranges::count(graph.outputs, node.output) > 0;
    if (is_output || !foldable(graph, node)) {
      kept.push_back(std::move(node));
    } else {
      TRY(fold_node(graph, node));
    }
  }
  graph.nodes = std::move(kept);
  return graph;
}

Graph remove_dead(Graph graph) {
  std::vector<bool> used(graph.tensors.size(), false);
  for (TensorId id : graph.outputs) used[id.value] = true;
  std::vector<Node> live;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    Node& node = graph.nodes[i];
    if (!used[node.output.value]) continue;
    for (TensorId id : node.inputs) used[id.value] = true;
    live.push_back(std::move(node));
  }
  std::ranges::reverse(live);
  for (TensorId id : graph.inputs) used[id.value] = true;
  std::vector<TensorId> renamed(graph.tensors.size());
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    if (!used[i]) continue;
    renamed[i] = TensorId(static_cast<uint32_t>(tensors.size()));
    tensors.push_back(std::move(graph.tensors[i]));
  }
  auto rename = [&](TensorId& id) { id = renamed[id.value]; };
  for (Node& node : live) {
    std::ranges::for_each(node.inputs, rename);
    rename(node.output);
  }
  std::ranges::for_each(graph.inputs, rename);
  std::ranges::for_each(graph.outputs, rename);
  graph.tensors = std::move(tensors);
  graph.nodes = std::move(live);
  return graph;
}

}  // namespace presil::graph
