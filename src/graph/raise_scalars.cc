#include "graph/raise_scalars.h"

#include <algorithm>
#include <map>

namespace presil::graph {
namespace {

class Raiser {
 public:
  explicit Raiser(Graph graph) : graph_(std::move(graph)) {}

  Result<Graph> run() {
    std::vector<Node> nodes = std::move(graph_.nodes);
    graph_.nodes.clear();
    for (TensorId id : graph_.inputs) {
      if (is_scalar(id)) raised_[id] = reshape(id, {1}, graph_.at(id).name);
    }
    for (Node& node : nodes) TRY(add(std::move(node)));
    return std::move(graph_);
  }

 private:
  bool is_scalar(TensorId id) const { return !graph_.at(id).constant && graph_.at(id).shape.empty(); }

  TensorId tensor_like(TensorId id, Shape shape) {
    const auto n = static_cast<uint32_t>(graph_.tensors.size());
    graph_.tensors.push_back(
        {.name = graph_.at(id).name + ".raised", .dtype = graph_.at(id).dtype, .shape = std::move(shape)});
    return TensorId(n);
  }
  void push_reshape(TensorId from, TensorId to, const std::string& source) {
    graph_.nodes.push_back({.op = Op::reshape, .inputs = {from}, .output = to, .source = source});
  }
  TensorId reshape(TensorId from, Shape shape, std::string source) {  // by value: it may be a tensor's name
    TensorId to = tensor_like(from, std::move(shape));
    push_reshape(from, to, source);
    return to;
  }

  Result<void> add(Node node) {
    bool touched = is_scalar(node.output);
    for (TensorId& id : node.inputs) {
      auto found = id.valid() ? raised_.find(id) : raised_.end();
      if (found == raised_.end()) continue;
      id = found->second;
      touched = true;
    }
    if (!touched) {
      graph_.nodes.push_back(std::move(node));
      return {};
    }
    const TensorId output = node.output;
    const bool scalar = is_scalar(output);
    const std::string source = node.source;
    const Shape wanted = scalar ? Shape{1} : graph_.at(output).shape;
    const TensorId result = scalar ? tensor_like(output, wanted) : output;
    if (scalar) raised_[output] = result;
    // Of a scalar these change nothing but the shape.
    if (node.op == Op::transpose || node.op == Op::slice || node.op == Op::expand) {
      if (scalar) node = {.op = Op::reshape, .inputs = {node.inputs[0]}, .output = node.output, .source = source};
    }
    if (node.op == Op::reduce) node.attrs.keepdims = true;
    node.output = tensor_like(output, wanted);
    const TensorType type = TRY(infer(graph_, node));
    if (type.shape == wanted) {
      graph_.tensors.pop_back();
      node.output = result;
      graph_.nodes.push_back(std::move(node));
    } else {
      graph_.at(node.output).shape = type.shape;
      const TensorId made = node.output;
      graph_.nodes.push_back(std::move(node));
      push_reshape(made, result, source);
    }
    if (scalar && std::ranges::count(graph_.outputs, output) > 0) push_reshape(result, output, source);
    return {};
  }

  Graph graph_;
  std::map<TensorId, TensorId> raised_;
};

}  // namespace

Result<Graph> raise_scalars(Graph graph) { return Raiser(std::move(graph)).run(); }

}  // namespace presil::graph
