#include "onnx/node_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <queue>
#include <set>
#include <string_view>

#include "base/text.h"

namespace presil::onnx {
namespace {

// Which node produces a tensor; kGiven for inputs and initializers.
constexpr size_t kGiven = SIZE_MAX;
using Producers = std::map<std::string_view, size_t>;

Result<Producers> find_producers(const GraphValue& model) {
  Producers producers;
  for (const ValueInfo& v : model.inputs) {
    if (!producers.emplace(v.name, kGiven).second)
      return bad_input("is declared twice", fmt::format("input '{}'", v.name));
  }
  std::map<std::string_view, size_t> initializers;
  for (const TensorValue& t : model.initializers) {
    if (t.name.empty()) return bad_input("an initializer has no name");
    // Before IR version 4 an initializer is listed among the inputs as well.
    if (!initializers.emplace(t.name, 0).second)
      return bad_input("is given twice", fmt::format("initializer '{}'", t.name));
    producers.emplace(t.name, kGiven);
  }
  for (const NodeValue& n : model.nodes) {
    for (const std::string& name : n.outputs) {
      if (name.empty()) continue;
      auto [entry, added] = producers.emplace(name, n.index);
      if (added) continue;
      std::string other = entry->second == kGiven ? "an input or initializer"
                                                  : fmt::format("node '{}'", model.nodes[entry->second].title());
      return bad_input(fmt::format("output '{}' is produced by {} too", name, other), n.title());
    }
  }
  return producers;
}

Error unknown_tensor(const Producers& producers, const std::string& what, const std::string& name,
                     const std::string& where) {
  std::vector<std::string> names;
  for (const auto& [known, producer] : producers) names.emplace_back(known);
  return bad_input(fmt::format("{} '{}' is produced by no node, input or initializer", what, name), where,
                   nearest_hint(name, names));
}

// The nodes of one cycle, as titles.
std::string cycle_text(const GraphValue& model, const Producers& producers, const std::vector<size_t>& waiting) {
  auto blocked_by = [&](size_t node) {
    for (const std::string& name : names_read(model.nodes[node])) {
      auto producer = producers.find(name);
      if (producer != producers.end() && producer->second != kGiven && waiting[producer->second] > 0)
        return producer->second;
    }
    return node;
  };
  size_t node = 0;
  while (waiting[node] == 0) ++node;
  // Walking back as often as there are nodes ends on the cycle.
  for (size_t i = 0; i < model.nodes.size(); ++i) node = blocked_by(node);
  std::string text = fmt::format("'{}'", model.nodes[node].title());
  int shown = 1;
  for (size_t at = blocked_by(node); at != node && shown < 8; at = blocked_by(at), ++shown) {
    text += fmt::format(" needs '{}'", model.nodes[at].title());
  }
  return text + fmt::format(" needs {}", shown < 8 ? fmt::format("'{}'", model.nodes[node].title()) : "...");
}

}  // namespace

std::vector<std::string> names_read(const NodeValue& node) {
  std::set<std::string> names;
  for (const std::string& name : node.inputs) {
    if (!name.empty()) names.insert(name);
  }
  for (const AttributeValue& a : node.attributes) {
    if (a.kind != AttributeKind::graph) continue;
    std::set<std::string> own, read;
    for (const ValueInfo& v : a.g->inputs) own.insert(v.name);
    for (const TensorValue& t : a.g->initializers) own.insert(t.name);
    for (const NodeValue& n : a.g->nodes) {
      own.insert(n.outputs.begin(), n.outputs.end());
      for (std::string& name : names_read(n)) read.insert(std::move(name));
    }
    for (const ValueInfo& v : a.g->outputs) read.insert(v.name);
    std::ranges::set_difference(read, own, std::inserter(names, names.end()));
  }
  return {names.begin(), names.end()};
}

Result<std::vector<size_t>> node_order(const GraphValue& model, const std::set<std::string>& outside) {
  Producers producers = TRY(find_producers(model));
  for (const std::string& name : outside) producers.emplace(name, kGiven);
  std::vector<size_t> waiting(model.nodes.size(), 0);
  std::vector<std::vector<size_t>> readers(model.nodes.size());
  for (const NodeValue& n : model.nodes) {
    for (const std::string& name : names_read(n)) {
      auto producer = producers.find(name);
      if (producer == producers.end()) return unknown_tensor(producers, "input", name, n.title());
      if (producer->second == kGiven) continue;
      readers[producer->second].push_back(n.index);
      ++waiting[n.index];
    }
  }
  for (const ValueInfo& v : model.outputs) {
    if (!producers.contains(v.name)) return unknown_tensor(producers, "graph output", v.name, model.graph_name);
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < waiting.size(); ++i) {
    if (waiting[i] == 0) ready.push(i);
  }
  std::vector<size_t> order;
  while (!ready.empty()) {
    size_t node = ready.top();
    ready.pop();
    order.push_back(node);
    for (size_t reader : readers[node]) {
      if (--waiting[reader] == 0) ready.push(reader);
    }
  }
  if (order.size() < model.nodes.size()) {
    return bad_input(fmt::format("the graph has a cycle: {}", cycle_text(model, producers, waiting)), model.graph_name);
  }
  return order;
}

}  // namespace presil::onnx
