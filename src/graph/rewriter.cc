#include "graph/rewriter.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "graph/shape.h"

namespace presil::graph {

Rewriter::Rewriter(Graph graph) : graph_(std::move(graph)) {
  size_t count = graph_.tensors.size();
  producers_.assign(count, -1);
  uses_.assign(count, 0);
  is_output_.assign(count, false);
  for (size_t i = 0; i < count; ++i) aliases_.push_back(TensorId(static_cast<uint32_t>(i)));
  for (const Node& node : graph_.nodes) {
    for (TensorId id : node.inputs) ++uses_[id.value];
  }
  for (TensorId id : graph_.outputs) {
    ++uses_[id.value];
    is_output_[id.value] = true;
  }
}

const Node* Rewriter::producer(TensorId id) const {
  int index = producers_[id.value];
  return index < 0 ? nullptr : &done_[index];
}

const Node* Rewriter::producer(TensorId id, Op op) const {
  const Node* node = producer(id);
  return node && node->op == op ? node : nullptr;
}

const Node* Rewriter::producer(TensorId id, ElementwiseFn fn) const {
  const Node* node = producer(id);
  return node && is_elementwise(*node, fn) ? node : nullptr;
}

std::optional<double> Rewriter::scalar(TensorId id) const {
  if (!constant(id) || element_count(shape(id)) != 1) return std::nullopt;
  std::optional<std::vector<double>> values = small_floats(graph_, id);
  return values ? std::optional((*values)[0]) : std::nullopt;
}

// One reader less; a producer that nobody reads any more no longer reads its own operands.
void Rewriter::release(TensorId id) {
  if (--uses_[id.value] > 0) return;
  const Node* node = producer(id);
  if (!node) return;
  for (TensorId input : std::vector<TensorId>(node->inputs)) release(input);
}

void Rewriter::set_inputs(Node& node, std::vector<TensorId> inputs) {
  for (TensorId id : inputs) ++uses_[id.value];
  std::swap(node.inputs, inputs);
  for (TensorId id : inputs) release(id);
}

void Rewriter::index_of_new(TensorId id) {
  CHECK(id.value == producers_.size(), "tensors are added at the end");
  producers_.push_back(-1);
  uses_.push_back(0);
  aliases_.push_back(id);
  is_output_.push_back(false);
}

TensorId Rewriter::insert(Node node, TensorType wanted) {
  node.output = TensorId(static_cast<uint32_t>(graph_.tensors.size()));
  graph_.tensors.push_back({.name = node.source + ".t" + std::to_string(node.output.value)});
  graph_.tensors.back().dtype = wanted.dtype;
  graph_.tensors.back().shape = std::move(wanted.shape);
  index_of_new(node.output);
  Result<TensorType> type = infer(graph_, node);
  CHECK(type.has_value(), type.error().text());
  graph_.at(node.output).dtype = type->dtype;
  graph_.at(node.output).shape = type->shape;
  for (TensorId id : node.inputs) ++uses_[id.value];
  producers_[node.output.value] = static_cast<int>(done_.size());
  done_.push_back(std::move(node));
  return done_.back().output;
}

TensorId Rewriter::add_constant(std::string name, TensorType type, Bytes data, bool opaque) {
  TensorId id = graph::add_constant(graph_, std::move(name), std::move(type), std::move(data), opaque);
  index_of_new(id);
  return id;
}

bool Rewriter::replace_with(Node& node, TensorId to) {
  TensorId from = node.output;
  if (!is_output_[from.value]) {
    aliases_[from.value] = to;
    uses_[to.value] += uses_[from.value];
    uses_[from.value] = 0;
    set_inputs(node, {});
    return true;
  }
  // The graph's output keeps its tensor: the producer of `to` writes it instead.
  int index = producers_[to.value];
  if (index < 0 || is_output_[to.value]) return false;
  ++uses_[to.value];  // while the node lets go of it
  set_inputs(node, {});
  --uses_[to.value];
  done_[index].output = from;
  producers_[from.value] = index;
  producers_[to.value] = -1;
  aliases_[to.value] = from;
  uses_[from.value] += uses_[to.value];
  for (Node& reader : done_) std::ranges::replace(reader.inputs, to, from);
  return true;
}

bool Rewriter::sweep(const std::vector<std::pair<std::string_view, Rewrite>>& rewrites) {
  bool changed = false;
  std::vector<Node> nodes = std::move(graph_.nodes);
  for (Node& node : nodes) {
    for (TensorId& id : node.inputs) {
      while (aliases_[id.value] != id) id = aliases_[id.value];
    }
    bool again = uses_[node.output.value] > 0;
    while (again) {
      again = false;
      for (const auto& [name, rewrite] : rewrites) {
        if (!rewrite(*this, node)) continue;
        changed = true;
        again = !node.inputs.empty();
        break;
      }
    }
    if (node.inputs.empty()) continue;
    producers_[node.output.value] = static_cast<int>(done_.size());
    done_.push_back(std::move(node));
  }
  graph_.nodes.assign(std::make_move_iterator(done_.begin()), std::make_move_iterator(done_.end()));
  return changed;
}

Graph Rewriter::take() { return std::move(graph_); }

bool is_elementwise(const Node& node, ElementwiseFn fn) { return node.op == Op::elementwise && node.attrs.fn == fn; }

std::optional<ConstantOperand> split_constant(const Rewriter& r, const Node& node) {
  if (node.inputs.size() != 2) return std::nullopt;
  bool first = r.constant(node.inputs[0]), second = r.constant(node.inputs[1]);
  if (first == second) return std::nullopt;
  if (first) return ConstantOperand{node.inputs[1], node.inputs[0]};
  return ConstantOperand{node.inputs[0], node.inputs[1]};
}

}  // namespace presil::graph
