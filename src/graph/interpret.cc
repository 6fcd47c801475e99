#include "graph/interpret.h"

#include <fmt/format.h>

#include "graph/evaluate.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

Result<void> check_inputs(const Graph& graph, std::span<const HostTensor> inputs) {
  if (inputs.size() != graph.inputs.size()) {
    return bad_input(fmt::format("{} inputs were given, the graph has {}", inputs.size(), graph.inputs.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& t = graph.at(graph.inputs[i]);
    size_t bytes = static_cast<size_t>(element_count(t.shape)) * dtype_bytes(t.dtype);
    if (inputs[i].dtype == t.dtype && inputs[i].shape == t.shape && inputs[i].bytes.size() == bytes) continue;
    return bad_input(
        fmt::format("is {} {} of {} bytes, expected {} {}", dtype_name(inputs[i].dtype), shape_text(inputs[i].shape),
                    inputs[i].bytes.size(), dtype_name(t.dtype), shape_text(t.shape)),
        fmt::format("input '{}'", t.name));
  }
  return {};
}

}  // namespace

Result<std::vector<HostTensor>> interpret(const Graph& graph, std::span<const HostTensor> inputs) {
  TRY(check_inputs(graph, inputs));
  std::vector<std::vector<std::byte>> values(graph.tensors.size());
  std::vector<size_t> reads(graph.tensors.size(), 0);
  for (size_t i = 0; i < inputs.size(); ++i) values[graph.inputs[i].value] = inputs[i].bytes;
  for (const Node& node : graph.nodes) {
    for (TensorId id : node.inputs) ++reads[id.value];
  }
  for (TensorId id : graph.outputs) ++reads[id.value];
  auto bytes_of = [&](TensorId id) -> std::span<const std::byte> {
    const Tensor& t = graph.at(id);
    return t.constant ? std::span<const std::byte>(*t.data) : values[id.value];
  };
  for (const Tensor& t : graph.tensors) {
    if (t.constant && !t.data) return bad_input("has no data", fmt::format("constant '{}'", t.name));
  }
  for (const Node& node : graph.nodes) {
    std::vector<std::span<const std::byte>> operands;
    for (TensorId id : node.inputs) operands.push_back(bytes_of(id));
    values[node.output.value] = TRY(evaluate(graph, node, operands));
    for (TensorId id : node.inputs) {
      if (--reads[id.value] == 0) values[id.value] = {};
    }
  }
  std::vector<HostTensor> outputs;
  for (TensorId id : graph.outputs) {
    std::span<const std::byte> bytes = bytes_of(id);
    outputs.push_back({graph.at(id).dtype, graph.at(id).shape, {bytes.begin(), bytes.end()}});
  }
  return outputs;
}

}  // namespace presil::graph
