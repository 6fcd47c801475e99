#include "compiler/scalars.h"

#include <algorithm>
#include <map>

namespace presil::compiler {

using graph::Graph;
using graph::Node;
using graph::Op;
using graph::TensorId;

namespace {

TensorId vector_like(Graph& graph, TensorId scalar) {
  graph::Tensor t = graph.at(scalar);
  t.name += ".vector";
  t.shape = {1};
  graph.tensors.push_back(std::move(t));
  return TensorId(static_cast<uint32_t>(graph.tensors.size() - 1));
}

Node reshape(TensorId from, TensorId to, const std::string& source) {
  return {.op = Op::reshape, .inputs = {from}, .output = to, .attrs = {}, .source = source};
}

}  // namespace

Graph with_vectors_for_scalars(Graph graph) {
  std::vector<bool> stays(graph.tensors.size(), false);
  for (const Node& node : graph.nodes) {
    if (node.op == Op::gather) stays[node.inputs[1].value] = true;
  }
  auto scalar = [&](TensorId t) {
    return t.valid() && t.value < stays.size() && !stays[t.value] && graph.at(t).shape.empty() && !graph.at(t).constant;
  };
  std::vector<Node> nodes;
  std::map<uint32_t, TensorId> vectors;  // of inputs and outputs
  for (TensorId t : graph.inputs) {
    if (!scalar(t)) continue;
    TensorId vector = vector_like(graph, t);
    vectors[t.value] = vector;
    nodes.push_back(reshape(t, vector, graph.at(t).name));
  }
  for (TensorId t : graph.outputs) {
    if (scalar(t) && !vectors.contains(t.value)) vectors[t.value] = vector_like(graph, t);
  }
  for (Node& node : graph.nodes) {
    for (TensorId& t : node.inputs) {
      if (t.valid() && vectors.contains(t.value)) t = vectors[t.value];
    }
    TensorId made = node.output;
    std::string source = node.source;
    bool leaves = vectors.contains(made.value);
    if (leaves) node.output = vectors[made.value];
    nodes.push_back(std::move(node));
    if (leaves)
      nodes.push_back(reshape(vectors[made.value], made, source));
    else if (scalar(made))
      graph.at(made).shape = {1};
  }
  graph.nodes = std::move(nodes);
  return graph;
}

}  // namespace presil::compiler
