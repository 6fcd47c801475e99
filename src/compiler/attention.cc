#include "compiler/attention.h"

#include <algorithm>
#include <set>

#include "compiler/weights.h"
#include "kernels/attention.h"

namespace presil::compiler {

using graph::ElementwiseFn;
using graph::Graph;
using graph::Node;
using graph::Op;
using graph::TensorId;

namespace {

// A tensor's elements within a source: per axis, factors from outer to inner (an axis that a reshape merged from axes
// that lie apart has several).
struct Elements {
  std::vector<std::vector<Factor>> axes;
  int64_t offset = 0;
};

std::vector<Factor> merged(const std::vector<Factor>& factors) {
  std::vector<Factor> out;
  for (const Factor& f : factors) {
    if (f.extent == 1) continue;
    if (!out.empty() && out.back().step == f.extent * f.step) {
      out.back() = {out.back().extent * f.extent, f.step};
    } else {
      out.push_back(f);
    }
  }
  return out;
}

Elements row_major(const graph::Shape& shape) {
  Elements e;
  int64_t step = 1;
  for (size_t axis = shape.size(); axis-- > 0; step *= shape[axis])
    e.axes.insert(e.axes.begin(), {{shape[axis], step}});
  return e;
}

// The same elements in the same order under another shape; nothing where a factor would be cut unevenly.
std::optional<Elements> regrouped(const Elements& from, const graph::Shape& shape) {
  std::vector<Factor> all;
  for (const auto& axis : from.axes) all.insert(all.end(), axis.begin(), axis.end());
  all = merged(all);
  Elements out{{}, from.offset};
  size_t next = 0;
  for (int64_t extent : shape) {
    std::vector<Factor> axis;
    for (int64_t rest = extent; rest > 1;) {
      if (next == all.size()) return std::nullopt;
      Factor& f = all[next];
      if (rest % f.extent == 0) {
        axis.push_back(f), rest /= f.extent, ++next;
      } else if (f.extent % rest == 0) {
        const int64_t inner = f.extent / rest;
        axis.push_back({rest, f.step * inner});
        f.extent = inner, rest = 1;
      } else {
        return std::nullopt;
      }
    }
    out.axes.push_back(axis);
  }
  return out;
}

std::optional<Elements> viewed(const Graph& graph, const Node& node, const Elements& in) {
  if (node.op == Op::reshape) return regrouped(in, graph.at(node.output).shape);
  Elements out{{}, in.offset};
  if (node.op == Op::transpose) {
    for (int64_t axis : node.attrs.axes) out.axes.push_back(in.axes[static_cast<size_t>(axis)]);
    return out;
  }
  out.axes = in.axes;
  for (size_t i = 0; i < node.attrs.axes.size(); ++i) {
    const auto axis = static_cast<size_t>(node.attrs.axes[i]);
    const std::vector<Factor> factors = merged(in.axes[axis]);
    const int64_t extent = graph.at(node.output).shape[axis];
    if (extent == graph.at(node.inputs[0]).shape[axis]) continue;
    if (factors.size() != 1) return std::nullopt;
    out.offset += node.attrs.starts[i] * factors[0].step;
    out.axes[axis] = {{extent, factors[0].step * node.attrs.steps[i]}};
  }
  return out;
}

bool is_view(const Node& node) { return node.op == Op::reshape || node.op == Op::transpose || node.op == Op::slice; }

// x of x * number or x / number, and the factor.
struct Scaling {
  TensorId x;
  float factor = 1;
};
std::optional<Scaling> scaling_of(const Graph& graph, const Node& node) {
  if (node.op != Op::elementwise || node.inputs.size() != 2) return std::nullopt;
  const auto a = number_of(graph.at(node.inputs[0])), b = number_of(graph.at(node.inputs[1]));
  if (node.attrs.fn == ElementwiseFn::mul && b) return Scaling{node.inputs[0], *b};
  if (node.attrs.fn == ElementwiseFn::mul && a) return Scaling{node.inputs[1], *a};
  if (node.attrs.fn == ElementwiseFn::div && b && *b != 0) return Scaling{node.inputs[0], 1.0f / *b};
  return std::nullopt;
}

struct Search {
  const Graph& graph;
  const TensorUses& uses;
  std::set<uint32_t> nodes;
  float alpha = 1;

  const Node* producer(TensorId t) const {
    const uint32_t p = uses.producer[t.value];
    return p == UINT32_MAX ? nullptr : &graph.nodes[p];
  }
  uint32_t index(TensorId t) const { return uses.producer[t.value]; }

  // Back through views and, where `scales`, scalings: the source, and where t's elements lie in it.
  std::optional<std::pair<TensorId, Elements>> trace(TensorId t, bool scales) {
    std::vector<const Node*> path;
    for (const Node* node = producer(t); node; node = producer(t)) {
      const auto scaling = scaling_of(graph, *node);
      if (is_view(*node)) {
        path.push_back(node);
        nodes.insert(index(t));
        t = node->inputs[0];
      } else if (scales && scaling && graph.at(scaling->x).shape == graph.at(t).shape) {
        alpha *= scaling->factor;
        nodes.insert(index(t));
        t = scaling->x;
      } else {
        break;
      }
    }
    std::optional<Elements> elements = row_major(graph.at(t).shape);
    for (size_t i = path.size(); i-- > 0 && elements;) elements = viewed(graph, *path[i], *elements);
    if (!elements) return std::nullopt;
    return std::pair(t, *elements);
  }

  // Forward through reshapes and transposes that are the only users: the result, and where t's elements lie in it.
  std::optional<std::pair<TensorId, Elements>> follow(TensorId t) {
    std::vector<const Node*> path;
    const graph::Shape shape = graph.at(t).shape;
    while (uses.consumers[t.value].size() == 1 && !uses.is_output[t.value]) {
      const Node& node = graph.nodes[uses.consumers[t.value][0]];
      if (node.op != Op::reshape && node.op != Op::transpose) break;
      path.push_back(&node);
      nodes.insert(uses.consumers[t.value][0]);
      t = node.output;
    }
    std::optional<Elements> elements = row_major(graph.at(t).shape);
    for (size_t i = path.size(); i-- > 0 && elements;) {
      if (path[i]->op == Op::reshape) {
        elements = regrouped(*elements, graph.at(path[i]->inputs[0]).shape);
        continue;
      }
      Elements before{std::vector<std::vector<Factor>>(elements->axes.size()), 0};
      for (size_t axis = 0; axis < elements->axes.size(); ++axis)
        before.axes[static_cast<size_t>(path[i]->attrs.axes[axis])] = elements->axes[axis];
      elements = before;
    }
    if (!elements) return std::nullopt;
    return std::pair(t, *elements);
  }

  // A node joins the step only if nobody else needs its result.
  void drop_needed_elsewhere(TensorId result) {
    for (bool changed = true; changed;) {
      changed = false;
      for (uint32_t n : std::vector<uint32_t>(nodes.begin(), nodes.end())) {
        const TensorId t = graph.nodes[n].output;
        if (t == result) continue;
        bool outside = uses.is_output[t.value];
        for (uint32_t c : uses.consumers[t.value]) outside = outside || !nodes.contains(c);
        if (outside) nodes.erase(n), changed = true;
      }
    }
  }
};

// Axes before the last two, extents of `shape` (1 repeats), as one list of factors.
std::vector<Factor> lead_factors(const Elements& e, const graph::Shape& own, const graph::Shape& scores) {
  std::vector<Factor> out;
  const size_t lead = scores.size() - 2, skip = scores.size() - own.size();
  for (size_t axis = 0; axis < lead; ++axis) {
    if (axis < skip || own[axis - skip] == 1) {
      out.push_back({scores[axis], 0});
    } else {
      out.insert(out.end(), e.axes[axis - skip].begin(), e.axes[axis - skip].end());
    }
  }
  return out;
}

// Splits the lists so that their extents agree; false where they cannot.
bool refine(std::vector<std::vector<Factor>>& lists) {
  std::vector<std::vector<Factor>> out(lists.size());
  for (auto& list : lists) {
    std::erase_if(list, [](const Factor& f) { return f.extent == 1; });
    std::reverse(list.begin(), list.end());  // innermost first
  }
  while (!lists[0].empty()) {
    int64_t least = INT64_MAX;
    for (const auto& list : lists) {
      if (list.empty()) return false;
      least = std::min(least, list.front().extent);
    }
    for (size_t i = 0; i < lists.size(); ++i) {
      Factor& f = lists[i].front();
      if (f.extent % least != 0) return false;
      out[i].insert(out[i].begin(), {least, f.step});
      f = {f.extent / least, f.step * least};
      if (f.extent == 1) lists[i].erase(lists[i].begin());
    }
  }
  for (const auto& list : lists) {
    if (!list.empty()) return false;
  }
  lists = out;
  return true;
}

std::optional<AttentionOperand> operand_of(const Graph& graph, TensorId source, const Elements& e, size_t rows_axis,
                                           size_t width_axis, const std::vector<Factor>& lead) {
  const graph::Shape& shape = graph.at(source).shape;
  if (shape.empty() || graph.at(source).constant) return std::nullopt;
  AttentionOperand out{.source = source, .features = shape.back()};
  const std::vector<Factor> rows = merged(e.axes[rows_axis]), width = merged(e.axes[width_axis]);
  if (rows.size() > 1 || width.size() != 1 || width[0].step != 1) return std::nullopt;
  out.feature = e.offset % out.features, out.row = e.offset / out.features;
  if (!rows.empty()) {
    if (rows[0].step % out.features != 0) return std::nullopt;
    out.row_step = rows[0].step / out.features;
  }
  for (const Factor& f : lead) {
    const bool by_rows = f.step % out.features == 0;
    if (!by_rows && f.step * f.extent > out.features) return std::nullopt;
    out.lead.push_back({f.extent, by_rows ? 0 : f.step, by_rows ? f.step / out.features : 0});
  }
  return out;
}

bool fits(const spec::ChipSpec& spec, const AttentionOperand& o, int64_t width) {
  bool ok = kernels::attention_fits(spec, width, o.feature, o.features);
  for (const auto& lead : o.lead) ok = ok && kernels::attention_fits(spec, width, lead.feature_step, o.features);
  return ok;
}

// Scores before the softmax: one addition of a mask and scalings, down to the matmul.
const Node* find_scores(Search& search, Attention& a, TensorId t) {
  const Graph& graph = search.graph;
  float after = 1;  // scalings of mask and product alike are not taken
  for (const Node* node = search.producer(t); node; node = search.producer(t)) {
    if (search.uses.consumers[t.value].size() != 1 || search.uses.is_output[t.value]) return nullptr;
    search.nodes.insert(search.index(t));
    if (node->op == Op::matmul) {
      search.alpha *= after;
      return node->inputs.size() == 2 ? node : nullptr;
    }
    const auto scaling = scaling_of(graph, *node);
    if (scaling && graph.at(scaling->x).shape == graph.at(t).shape) {
      after *= scaling->factor;
      t = scaling->x;
      continue;
    }
    const bool adds = node->op == Op::elementwise && node->attrs.fn == ElementwiseFn::add && after == 1.0f;
    if (!adds || a.mask.valid()) return nullptr;
    const size_t x = graph.at(node->inputs[0]).shape == graph.at(t).shape && search.producer(node->inputs[0]) ? 0 : 1;
    if (graph.at(node->inputs[x]).shape != graph.at(t).shape) return nullptr;
    a.mask = node->inputs[1 - x];
    t = node->inputs[x];
  }
  return nullptr;
}

}  // namespace

TensorUses uses_of(const Graph& graph) {
  TensorUses uses{std::vector<std::vector<uint32_t>>(graph.tensors.size()),
                  std::vector<uint32_t>(graph.tensors.size(), UINT32_MAX),
                  std::vector<bool>(graph.tensors.size(), false)};
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    for (TensorId t : graph.nodes[i].inputs) {
      if (t.valid()) uses.consumers[t.value].push_back(i);
    }
    uses.producer[graph.nodes[i].output.value] = i;
  }
  for (TensorId t : graph.outputs) uses.is_output[t.value] = true;
  return uses;
}

bool engines_reach(const spec::ChipSpec& spec, const Attention& a) {
  bool ok = true;
  for (const AttentionOperand* o : {&a.q, &a.k, &a.v, &a.out}) ok = ok && fits(spec, *o, a.width);
  return ok;
}

std::optional<Attention> find_attention(const Graph& graph, const TensorUses& uses, uint32_t softmax) {
  const Node& exps = graph.nodes[softmax];
  const graph::Shape& scores = graph.at(exps.output).shape;
  if (exps.op != Op::softmax || scores.size() < 2) return std::nullopt;
  const bool last_axis = exps.attrs.axes == std::vector<int64_t>{static_cast<int64_t>(scores.size()) - 1};
  if (!last_axis || uses.consumers[exps.output.value].size() != 1 || uses.is_output[exps.output.value])
    return std::nullopt;
  Attention a{.scores = scores, .softmax = softmax, .product = uses.consumers[exps.output.value][0]};
  const Node& product = graph.nodes[a.product];
  if (product.op != Op::matmul || product.inputs[0] != exps.output || product.inputs.size() != 2) return std::nullopt;
  const graph::Shape& result = graph.at(product.output).shape;
  if (result.size() != scores.size()) return std::nullopt;
  Search search{graph, uses, {softmax, a.product}, 1};
  const Node* similarity = find_scores(search, a, exps.inputs[0]);
  if (!similarity) return std::nullopt;
  const auto q = search.trace(similarity->inputs[0], true), k = search.trace(similarity->inputs[1], true);
  const auto v = search.trace(product.inputs[1], false), out = search.follow(product.output);
  if (!q || !k || !v || !out || !(search.alpha > 0)) return std::nullopt;
  const graph::Shape &qs = graph.at(similarity->inputs[0]).shape, &ks = graph.at(similarity->inputs[1]).shape,
                     &vs = graph.at(product.inputs[1]).shape;
  if (qs.size() < 2 || ks.size() < 2 || vs.size() < 2 || vs.back() != qs.back()) return std::nullopt;
  std::vector<std::vector<Factor>> leads = {lead_factors(q->second, qs, scores), lead_factors(k->second, ks, scores),
                                            lead_factors(v->second, vs, scores),
                                            lead_factors(out->second, result, scores)};
  if (!refine(leads)) return std::nullopt;
  const auto q_operand = operand_of(graph, q->first, q->second, qs.size() - 2, qs.size() - 1, leads[0]);
  const auto k_operand = operand_of(graph, k->first, k->second, ks.size() - 1, ks.size() - 2, leads[1]);
  const auto v_operand = operand_of(graph, v->first, v->second, vs.size() - 2, vs.size() - 1, leads[2]);
  const auto out_operand = operand_of(graph, out->first, out->second, result.size() - 2, result.size() - 1, leads[3]);
  if (!q_operand || !k_operand || !v_operand || !out_operand) return std::nullopt;
  a.q = *q_operand, a.k = *k_operand, a.v = *v_operand, a.out = *out_operand;
  a.queries = scores[scores.size() - 2], a.keys = scores.back(), a.width = qs.back(), a.alpha = search.alpha;
  a.causal = a.mask.valid() && graph.at(a.mask).causal;
  if (a.causal) a.mask = {};
  search.drop_needed_elsewhere(a.out.source);
  a.nodes.assign(search.nodes.begin(), search.nodes.end());
  return a;
}

}  // namespace presil::compiler
