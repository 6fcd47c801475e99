#include "graph/split_control.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace presil::graph {
namespace {

using Nodes = std::vector<uint32_t>;  // ascending

// One If of the model: its choices have one condition and one source.
struct Choice {
  TensorId condition;
  std::string source;
  Nodes selects, then, otherwise;
};

class Splitter {
 public:
  explicit Splitter(Graph graph) : graph_(std::move(graph)), consumers_(graph_.tensors.size()) {
    for (uint32_t n = 0; n < graph_.nodes.size(); ++n) {
      for (TensorId t : graph_.nodes[n].inputs) consumers_[t.value].push_back(n);
    }
    leaves_.resize(graph_.tensors.size());
    for (TensorId t : graph_.outputs) leaves_[t.value] = true;
    producers_.assign(graph_.tensors.size(), UINT32_MAX);
    for (uint32_t n = 0; n < graph_.nodes.size(); ++n) producers_[graph_.nodes[n].output.value] = n;
    // Pieces find what they hand over by name.
    for (const Node& node : graph_.nodes) {
      if (!leaves_[node.output.value])
        graph_.at(node.output).name = fmt::format("{}@{}", graph_.at(node.output).name, node.output.value);
    }
  }

  Pieces run() {
    Nodes all(graph_.nodes.size());
    for (uint32_t n = 0; n < all.size(); ++n) all[n] = n;
    return pieces(all, {});
  }

 private:
  using Renamed = std::map<uint32_t, std::vector<TensorId>>;  // by tensor: the results of choices that it becomes

  static bool contains(const Nodes& nodes, uint32_t n) { return std::ranges::binary_search(nodes, n); }

  // Choices among `nodes`, with what only their ways need.
  std::vector<Choice> choices(const Nodes& nodes) const {
    std::vector<Choice> all;
    for (uint32_t n : nodes) {
      const Node& node = graph_.nodes[n];
      if (node.op != Op::select) continue;
      auto same = std::ranges::find_if(
          all, [&](const Choice& c) { return c.condition == node.inputs[0] && c.source == node.source; });
      if (same == all.end()) same = all.insert(all.end(), {node.inputs[0], node.source, {}, {}, {}});
      same->selects.push_back(n);
    }
    for (Choice& c : all) {
      for (const bool way : {true, false}) {
        Nodes& arm = way ? c.then : c.otherwise;
        for (size_t k = nodes.size(); k-- > 0;) {
          if (only_for(nodes[k], c, arm, way)) arm.insert(arm.begin(), nodes[k]);
        }
      }
    }
    return all;
  }

  // The first one that lies on no way of another.
  Choice first_choice(const Nodes& nodes) const {
    std::vector<Choice> all = choices(nodes);
    for (const Choice& c : all) {
      const bool inside = std::ranges::any_of(all, [&](const Choice& other) {
        return contains(other.then, c.selects[0]) || contains(other.otherwise, c.selects[0]);
      });
      if (!inside) return c;
    }
    return {};
  }

  // The input of a select that `way` chooses; none where that way is impossible.
  static std::optional<TensorId> chosen(const Node& select, bool way) {
    if (select.inputs.size() == 2) return way == select.attrs.expected ? std::optional(select.inputs[1]) : std::nullopt;
    return select.inputs[way ? 1 : 2];
  }

  bool only_for(uint32_t n, const Choice& c, const Nodes& arm, bool way) const {
    const TensorId t = graph_.nodes[n].output;
    if (leaves_[t.value] || contains(c.selects, n) || consumers_[t.value].empty()) return false;
    return std::ranges::all_of(consumers_[t.value], [&](uint32_t user) {
      if (contains(arm, user)) return true;
      const Node& select = graph_.nodes[user];
      return contains(c.selects, user) && select.inputs[0] != t && chosen(select, way) == t &&
             (select.inputs.size() == 2 || chosen(select, !way) != t);
    });
  }

  Pieces pieces(const Nodes& nodes, const Renamed& results) {
    const Choice c = first_choice(nodes);
    if (c.selects.empty()) {
      Pieces out;
      if (!nodes.empty() || !results.empty()) out.push_back({.graph = cut(nodes, results)});
      return out;
    }
    std::vector<bool> later(graph_.nodes.size());
    Nodes before, after;
    for (uint32_t n : nodes) {
      if (contains(c.then, n) || contains(c.otherwise, n)) continue;
      bool follows = contains(c.selects, n);
      for (TensorId t : graph_.nodes[n].inputs) follows = follows || (producer(t) < later.size() && later[producer(t)]);
      later[n] = follows;
      if (!contains(c.selects, n)) (follows ? after : before).push_back(n);
    }
    Pieces out = pieces(before, {});
    Piece branch{.node = c.source, .condition = graph_.at(c.condition).name};
    for (const bool way : {true, false}) {
      Renamed renamed;
      for (uint32_t n : c.selects) {
        const std::optional<TensorId> from = chosen(graph_.nodes[n], way);
        if (!from) (way ? branch.then_impossible : branch.otherwise_impossible) = true;
        if (from) renamed[from->value].push_back(graph_.nodes[n].output);
      }
      if (!renamed.empty()) (way ? branch.then : branch.otherwise) = pieces(way ? c.then : c.otherwise, renamed);
    }
    out.push_back(std::move(branch));
    Pieces rest = pieces(after, results);
    std::ranges::move(rest, std::back_inserter(out));
    return out;
  }

  uint32_t producer(TensorId t) const { return producers_[t.value]; }

  // The nodes as a graph, and copies of tensors under the names of the choices' results.
  Graph cut(const Nodes& nodes, const Renamed& results) {
    Graph out;
    out.name = graph_.name;
    std::map<uint32_t, TensorId> place;
    auto tensor = [&](TensorId t) {
      auto [at, fresh] = place.try_emplace(t.value, TensorId(static_cast<uint32_t>(out.tensors.size())));
      if (fresh) out.tensors.push_back(graph_.at(t));
      return at->second;
    };
    auto input = [&](TensorId t) {
      const bool outside = !graph_.at(t).constant && !contains(nodes, producer(t)) && !place.contains(t.value);
      const TensorId id = tensor(t);
      if (outside) out.inputs.push_back(id);
      return id;
    };
    for (uint32_t n : nodes) {
      Node node = graph_.nodes[n];
      for (TensorId& t : node.inputs) t = input(t);
      const TensorId made = node.output;
      const bool needed = leaves_[made.value] || std::ranges::any_of(consumers_[made.value], [&](uint32_t user) {
                            return !contains(nodes, user) && !hands_over(user, made, results);
                          });
      node.output = tensor(made);
      if (needed) out.outputs.push_back(node.output);
      out.nodes.push_back(std::move(node));
    }
    for (const auto& [from, to] : results) {
      for (TensorId result : to) {
        const TensorId value = input(TensorId(from)), copy = tensor(result);
        out.nodes.push_back({.op = Op::elementwise, .inputs = {value}, .output = copy, .source = out.at(copy).name});
        out.outputs.push_back(copy);
      }
    }
    return out;
  }
  // Whether a use of `made` is only that of a choice whose result this piece makes itself.
  bool hands_over(uint32_t user, TensorId made, const Renamed& results) const {
    auto found = results.find(made.value);
    const Node& node = graph_.nodes[user];
    return node.op == Op::select && node.inputs[0] != made && found != results.end() &&
           std::ranges::count(found->second, node.output) > 0;
  }

  Graph graph_;
  std::vector<Nodes> consumers_;  // by tensor
  std::vector<bool> leaves_;      // by tensor: an output of the graph
  Nodes producers_;               // by tensor; UINT32_MAX: none
};

}  // namespace

bool has_choices(const Graph& graph) {
  return std::ranges::any_of(graph.nodes, [](const Node& n) { return n.op == Op::select; });
}

Pieces split_control(const Graph& graph) { return Splitter(graph).run(); }

}  // namespace presil::graph
