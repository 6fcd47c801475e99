#include <fmt/format.h>

#include "graph/graph.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

void verify_tensors(const Graph& graph, std::vector<Finding>& findings) {
  for (const Tensor& t : graph.tensors) {
    std::optional<int64_t> count = checked_count(t.shape);
    if (!count) findings.push_back({t.name, fmt::format("shape {} is negative or too large", shape_text(t.shape))});
    if (t.causal && !(t.constant && t.shape.size() == 2 && t.shape[0] == t.shape[1]))
      findings.push_back({t.name, "is causal but no square constant"});
    if (t.data && !t.constant) findings.push_back({t.name, "carries data but is not constant"});
    if (count && t.data && t.data->size() != static_cast<size_t>(*count) * dtype_bytes(t.dtype)) {
      findings.push_back(
          {t.name, fmt::format("has {} bytes of data, {} {} needs {}", t.data->size(), dtype_name(t.dtype),
                               shape_text(t.shape), static_cast<size_t>(*count) * dtype_bytes(t.dtype))});
    }
  }
}

// True when every id of the node exists; shapes may only be looked at then.
bool verify_ids(const Graph& graph, const Node& node, const std::vector<bool>& defined,
                std::vector<Finding>& findings) {
  bool sound = true;
  for (TensorId id : node.inputs) {
    if (id.value >= graph.tensors.size()) {
      findings.push_back({node.source, fmt::format("input {} does not exist", id.value)});
      sound = false;
    } else if (!defined[id.value]) {
      findings.push_back({node.source, fmt::format("input '{}' is read before it is produced", graph.at(id).name)});
    }
  }
  if (node.output.value >= graph.tensors.size()) {
    findings.push_back({node.source, fmt::format("output {} does not exist", node.output.value)});
    return false;
  }
  if (defined[node.output.value]) {
    findings.push_back({node.source, fmt::format("output '{}' is produced twice", graph.at(node.output).name)});
  }
  return sound;
}

void verify_node(const Graph& graph, const Node& node, std::vector<Finding>& findings) {
  Result<TensorType> type = infer(graph, node);
  if (!type) {
    findings.push_back({node.source, type.error().message});
    return;
  }
  const Tensor& out = graph.at(node.output);
  if (type->dtype == out.dtype && type->shape == out.shape) return;
  findings.push_back(
      {node.source, fmt::format("output '{}' is {} {}, inferred {} {}", out.name, dtype_name(out.dtype),
                                shape_text(out.shape), dtype_name(type->dtype), shape_text(type->shape))});
}

}  // namespace

std::vector<Finding> verify(const Graph& graph) {
  std::vector<Finding> findings;
  verify_tensors(graph, findings);
  std::vector<bool> defined(graph.tensors.size(), false);
  for (size_t i = 0; i < graph.tensors.size(); ++i) defined[i] = graph.tensors[i].constant;
  for (TensorId id : graph.inputs) {
    if (id.value >= graph.tensors.size()) {
      findings.push_back({"inputs", fmt::format("{} does not exist", id.value)});
    } else if (defined[id.value]) {
      findings.push_back({"inputs", fmt::format("'{}' is listed twice or constant", graph.at(id).name)});
    } else {
      defined[id.value] = true;
    }
  }
  for (const Node& node : graph.nodes) {
    if (verify_ids(graph, node, defined, findings)) verify_node(graph, node, findings);
    if (node.output.value < graph.tensors.size()) defined[node.output.value] = true;
  }
  for (TensorId id : graph.outputs) {
    if (id.value >= graph.tensors.size()) {
      findings.push_back({"outputs", fmt::format("{} does not exist", id.value)});
    } else if (!defined[id.value]) {
      findings.push_back({"outputs", fmt::format("'{}' is never produced", graph.at(id).name)});
    }
  }
  return findings;
}

}  // namespace presil::graph
