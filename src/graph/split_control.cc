#include "graph/split_control.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/check.h"
#include "graph/fold.h"

namespace presil::graph {
namespace {

using Nodes = std::vector<uint32_t>;  // ascending

// One If of the model: its choices have one condition and one source.
struct Choice {
  TensorId condition;
  std::string source;
  Nodes selects, then, otherwise;
};

// What the device runs again and again.
struct Loop {
  int64_t number = 0;
  Nodes enters, leaves, body;  // body: what depends on what enters
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
    // A loop carries what it leaves where that lies behind it.
    for (const Node& node : graph_.nodes) {
      if (node.op == Op::leave) graph_.at(node.inputs[3]).name = graph_.at(node.output).name;
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

  static bool of_loop(const Node& node) { return node.op == Op::enter || node.op == Op::leave; }

  std::vector<Loop> loops(const Nodes& nodes) const {
    std::vector<Loop> all;
    for (uint32_t n : nodes) {
      const Node& node = graph_.nodes[n];
      if (!of_loop(node)) continue;
      auto same = std::ranges::find(all, node.attrs.loop[0], &Loop::number);
      if (same == all.end()) same = all.insert(same, {node.attrs.loop[0], {}, {}, {}});
      (node.op == Op::enter ? same->enters : same->leaves).push_back(n);
    }
    for (Loop& loop : all) {
      CHECK(!loop.enters.empty() && !loop.leaves.empty(), "a loop is entered and left");
      for (uint32_t n : followers(nodes, loop.enters, loop.number)) {
        if (!contains(loop.enters, n) && !contains(loop.leaves, n)) loop.body.push_back(n);
      }
    }
    return all;
  }

  // `seeds` and what depends on them. Of loops all or nothing enters and leaves, except for `own`, which nothing
  // leaves.
  Nodes followers(const Nodes& nodes, const Nodes& seeds, std::optional<int64_t> own) const {
    std::vector<bool> marked(graph_.nodes.size());
    for (uint32_t n : seeds) marked[n] = true;
    std::map<int64_t, bool> drawn;  // loops by number
    for (bool changed = true; changed;) {
      changed = false;
      for (uint32_t n : nodes) {
        const Node& node = graph_.nodes[n];
        const bool own_loop = of_loop(node) && own == node.attrs.loop[0];
        bool follows = marked[n] || (of_loop(node) && !own_loop && drawn[node.attrs.loop[0]]);
        for (TensorId t : node.inputs) follows = follows || (producer(t) < marked.size() && marked[producer(t)]);
        if (own_loop && node.op == Op::leave && !contains(seeds, n)) follows = false;
        if (!follows) continue;
        changed = changed || !marked[n];
        marked[n] = true;
        if (of_loop(node) && !own_loop) drawn[node.attrs.loop[0]] = true;
      }
    }
    Nodes out;
    for (uint32_t n : nodes) {
      if (marked[n]) out.push_back(n);
    }
    return out;
  }

  // Choices among `nodes` outside of loops' bodies, with what only their ways need.
  std::vector<Choice> choices(const Nodes& nodes, const std::vector<Loop>& inner) const {
    std::vector<Choice> all;
    for (uint32_t n : nodes) {
      const Node& node = graph_.nodes[n];
      const bool inside = std::ranges::any_of(inner, [&](const Loop& l) { return contains(l.body, n); });
      if (node.op != Op::select || inside) continue;
      auto same = std::ranges::find_if(
          all, [&](const Choice& c) { return c.condition == node.inputs[0] && c.source == node.source; });
      if (same == all.end()) same = all.insert(all.end(), {node.inputs[0], node.source, {}, {}, {}});
      same->selects.push_back(n);
    }
    for (Choice& c : all) {
      for (const bool way : {true, false}) (way ? c.then : c.otherwise) = arm_of(nodes, c, way, inner);
    }
    return all;
  }

  // What only one way of a choice needs; loops as a whole.
  Nodes arm_of(const Nodes& nodes, const Choice& c, bool way, const std::vector<Loop>& inner) const {
    std::vector<int64_t> kept_out;
    while (true) {
      Nodes arm;
      for (size_t k = nodes.size(); k-- > 0;) {
        const Node& node = graph_.nodes[nodes[k]];
        if (of_loop(node) && std::ranges::count(kept_out, node.attrs.loop[0]) > 0) continue;
        if (only_for(nodes[k], c, arm, way)) arm.insert(arm.begin(), nodes[k]);
      }
      const size_t before = kept_out.size();
      for (const Loop& loop : inner) {
        auto outside = [&](uint32_t n) { return !contains(arm, n); };
        const bool some = std::ranges::any_of(loop.enters, outside) || std::ranges::any_of(loop.leaves, outside);
        if (some && std::ranges::count(kept_out, loop.number) == 0) kept_out.push_back(loop.number);
      }
      if (kept_out.size() == before) return arm;
    }
  }

  // The first one that lies on no way of another.
  Choice first_choice(const Nodes& nodes, const std::vector<Loop>& inner) const {
    std::vector<Choice> all = choices(nodes, inner);
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
    const std::vector<Loop> inner = loops(nodes);
    const Choice c = first_choice(nodes, inner);
    if (c.selects.empty() && !inner.empty()) return around_loop(nodes, outermost(inner), results);
    if (c.selects.empty()) {
      Pieces out;
      if (!nodes.empty() || !results.empty()) out.push_back({.graph = cut(nodes, results)});
      return out;
    }
    const Nodes later = followers(nodes, c.selects, std::nullopt);
    Nodes before, after;
    for (uint32_t n : nodes) {
      if (contains(c.then, n) || contains(c.otherwise, n) || contains(c.selects, n)) continue;
      (contains(later, n) ? after : before).push_back(n);
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

  static const Loop& outermost(const std::vector<Loop>& all) {
    auto free = std::ranges::find_if(all, [&](const Loop& l) {
      return std::ranges::none_of(all, [&](const Loop& other) { return contains(other.body, l.enters[0]); });
    });
    return *free;
  }

  Pieces around_loop(const Nodes& nodes, const Loop& l, const Renamed& results) {
    const Nodes later = followers(nodes, l.leaves, l.number);
    Nodes before, after;
    for (uint32_t n : nodes) {
      if (contains(l.enters, n) || contains(l.leaves, n) || contains(l.body, n)) continue;
      (contains(later, n) ? after : before).push_back(n);
    }
    Pieces out = pieces(before, {});
    Renamed entering;
    for (uint32_t n : l.enters) {
      const Node& node = graph_.nodes[n];
      if (node.attrs.loop.size() == 1) entering[node.inputs[0].value].push_back(node.output);
    }
    if (!entering.empty()) out.push_back({.graph = cut({}, entering)});
    Piece piece{.loop = PieceLoop{}, .node = graph_.nodes[l.leaves[0]].source};
    describe(l, *piece.loop);
    out.push_back(std::move(piece));
    Pieces rest = pieces(after, results);
    std::ranges::move(rest, std::back_inserter(out));
    return out;
  }

  std::optional<int64_t> known(TensorId t) const {
    const auto values = small_integers(graph_, t);
    return values ? std::optional((*values)[0]) : std::nullopt;
  }

  // A tensor that holds a copy of another one.
  TensorId copy_of(TensorId t, Renamed& copies) {
    const TensorId copy(static_cast<uint32_t>(graph_.tensors.size()));
    Tensor tensor = graph_.at(t);
    tensor.name = fmt::format("{}@copy{}", tensor.name, copy.value);
    graph_.tensors.push_back(std::move(tensor));
    consumers_.emplace_back(), leaves_.push_back(false), producers_.push_back(UINT32_MAX);
    copies[t.value].push_back(copy);
    return copy;
  }

  void describe(const Loop& l, PieceLoop& loop) {
    const std::vector<TensorId> carried = graph_.nodes[l.leaves[0]].inputs;
    TensorId again = carried[2];
    if (auto most = known(carried[0]))
      loop.trips_most = *most;
    else
      loop.trips = graph_.at(carried[0]).name;
    if (auto go = known(carried[1]))
      loop.runs = *go != 0;
    else
      loop.go = graph_.at(carried[1]).name;
    auto enters = [&](TensorId t) { return producer(t) < graph_.nodes.size() && contains(l.enters, producer(t)); };
    Renamed first, second;  // what enters changes places only after all of it was read
    for (size_t k = 3; k < carried.size(); k += 2) {
      if (carried[k + 1] == carried[k]) continue;
      const TensorId next = enters(carried[k + 1]) ? copy_of(carried[k + 1], first) : carried[k + 1];
      second[next.value].push_back(carried[k]);
    }
    if (enters(again)) again = copy_of(again, first);
    const auto goes_on = known(again);
    if (goes_on && *goes_on == 0) loop.once = true;
    if (!goes_on) loop.again = graph_.at(again).name;
    for (uint32_t n : l.enters) {
      const Node& node = graph_.nodes[n];
      if (node.attrs.loop.size() == 1) continue;
      loop.iteration = graph_.at(node.output).name, loop.iteration_type = graph_.at(node.output);
    }
    loop.body = pieces(l.body, {});
    for (const Renamed* copies : {&first, &second}) {
      if (!copies->empty()) loop.body.push_back({.graph = cut({}, *copies)});
    }
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
  return std::ranges::any_of(graph.nodes, [](const Node& n) { return n.op == Op::select || n.op == Op::leave; });
}

Pieces split_control(const Graph& graph) { return Splitter(graph).run(); }

}  // namespace presil::graph
