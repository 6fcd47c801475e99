#include "graph/split_batch.h"

#include <fmt/format.h>

#include <algorithm>

namespace presil::graph {
namespace {

// Where the batch lies in a tensor: an axis that counts outer x batch x anything; a part has its range of the batch for
// every outer index.
struct Place {
  int axis = 0;
  int64_t outer = 1;
  bool operator==(const Place&) const = default;
};
using Axis = std::optional<Place>;

int rank_of(const Graph& g, TensorId t) { return static_cast<int>(g.at(t).shape.size()); }
int64_t extent(const Graph& g, TensorId t, int axis) { return g.at(t).shape[static_cast<size_t>(axis)]; }
int64_t product(const Shape& s, int begin, int end) { return element_count(Shape(s.begin() + begin, s.begin() + end)); }

// Finds the axis of every node's output, or that a node mixes parts.
class Axes {
 public:
  Axes(const Graph& graph, int64_t parts) : g_(graph), parts_(parts), axes_(graph.tensors.size()) {}

  // The first `inputs` inputs have it on `axis`.
  bool find(size_t inputs, int axis = 0) {
    for (size_t n = 0; n < inputs; ++n) {
      const Shape& shape = g_.at(g_.inputs[n]).shape;
      if (std::ssize(shape) <= axis || shape[static_cast<size_t>(axis)] % parts_ != 0) return false;
      axes_[g_.inputs[n].value] = Place{axis};
    }
    for (const Node& node : g_.nodes) {
      bool depends = std::ranges::any_of(node.inputs, [&](TensorId t) { return t.valid() && of(t); });
      if (!depends) continue;
      Axis axis = output_axis(node);
      if (!axis || extent(g_, node.output, axis->axis) % (axis->outer * parts_) != 0) return false;
      axes_[node.output.value] = axis;
    }
    return std::ranges::all_of(g_.outputs, [&](TensorId t) { return of(t) && of(t)->outer == 1; });
  }
  Axis of(TensorId t) const { return axes_[t.value]; }

 private:
  // Only the first operand has a batch.
  bool only_first(const Node& node) const {
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (node.inputs[i].valid() && of(node.inputs[i])) return false;
    }
    return of(node.inputs[0]).has_value();
  }

  Axis output_axis(const Node& node) const {
    const Attributes& a = node.attrs;
    const Axis first = of(node.inputs[0]);
    auto listed = [&](int axis) { return std::ranges::count(a.axes, axis) > 0; };
    auto moved = [&](int axis) { return Place{axis, first->outer}; };
    switch (node.op) {
      case Op::elementwise:
      case Op::cast:
      case Op::expand:
        return aligned(node, 0);
      case Op::matmul: {
        const int rank = rank_of(g_, node.output);
        const Axis axis = rank > 2 ? aligned(node, rank - 2) : std::nullopt;
        if (axis) return axis;
        // Rows of the first operand are independent too.
        const bool rows = only_first(node) && first->axis == rank_of(g_, node.inputs[0]) - 2;
        return rows ? Axis(moved(rank - 2)) : std::nullopt;
      }
      case Op::conv:
      case Op::conv_transpose:
      case Op::pool:
      case Op::resize:
        return only_first(node) && first->axis == 0 ? first : std::nullopt;
      case Op::layer_norm:
        return only_first(node) && first->axis < a.axes[0] ? first : std::nullopt;
      case Op::reduce: {
        if (listed(first->axis)) return std::nullopt;
        const auto before = std::ranges::count_if(a.axes, [&](int64_t axis) { return axis < first->axis; });
        return a.keepdims ? *first : moved(first->axis - static_cast<int>(before));
      }
      case Op::softmax:
      case Op::slice:
        return listed(first->axis) ? std::nullopt : first;
      case Op::reshape:
        return reshaped(g_.at(node.inputs[0]).shape, *first, g_.at(node.output).shape);
      case Op::transpose:
        return moved(static_cast<int>(std::ranges::find(a.axes, first->axis) - a.axes.begin()));
      case Op::concat: {
        const Axis axis = aligned(node, 0);
        return axis && !listed(axis->axis) ? axis : std::nullopt;
      }
      case Op::pad: {
        const auto i = static_cast<size_t>(first->axis), rank = a.pads.size() / 2;
        return a.pads[i] == 0 && a.pads[i + rank] == 0 ? first : std::nullopt;
      }
      case Op::gather: {
        const auto axis = static_cast<int>(a.axes[0]);
        const Axis indices = of(node.inputs[1]);
        if (first && indices) return std::nullopt;
        if (indices) return Place{axis + indices->axis, indices->outer};
        if (first->axis == axis) return std::nullopt;
        return first->axis < axis ? *first : moved(first->axis + rank_of(g_, node.inputs[1]) - 1);
      }
      default:
        return std::nullopt;
    }
  }

  // Operands meet at their last axes. All batch axes fall on one of the output, before `end` if that is not 0, where
  // every operand has the output's extent, or one (which repeats) if it has no batch.
  Axis aligned(const Node& node, int end) const {
    const int rank = rank_of(g_, node.output);
    Axis axis;
    for (TensorId t : node.inputs) {
      if (!t.valid() || !of(t)) continue;
      const Place at{of(t)->axis + rank - rank_of(g_, t), of(t)->outer};
      if ((axis && *axis != at) || (end != 0 && at.axis >= end)) return std::nullopt;
      axis = at;
    }
    for (TensorId t : node.inputs) {
      const int at = t.valid() ? axis->axis - (rank - rank_of(g_, t)) : -1;
      if (at < 0) continue;
      const int64_t own = extent(g_, t, at), all = extent(g_, node.output, axis->axis);
      if (own != all && (own != 1 || of(t))) return std::nullopt;
      if (own == all && own != 1 && !of(t) && axis->outer != 1) return std::nullopt;
    }
    return axis;
  }

  // The last axis of `to` that begins where the batch does, or before it.
  Axis reshaped(const Shape& from, Place place, const Shape& to) const {
    const int64_t before = product(from, 0, place.axis) * place.outer;
    for (int i = static_cast<int>(to.size()); i-- > 0;) {
      const int64_t outside = product(to, 0, i);
      if (before % outside != 0) continue;
      const int64_t outer = before / outside;
      if (to[static_cast<size_t>(i)] % (outer * parts_) == 0) return Place{i, outer};
    }
    return std::nullopt;
  }

  const Graph& g_;
  int64_t parts_;
  std::vector<Axis> axes_;
};

// Operands without a batch that stretch over it anyway (a token for each image) are cut as well: on which axis, or -1.
int stretched_axis(const Graph& g, const Axes& axes, const Node& node, TensorId t) {
  if (!t.valid() || axes.of(t)) return -1;
  const bool meets = node.op == Op::elementwise || node.op == Op::concat || node.op == Op::matmul;
  const int at = axes.of(node.output)->axis - (rank_of(g, node.output) - rank_of(g, t));
  const int end = node.op == Op::matmul ? rank_of(g, t) - 2 : rank_of(g, t);
  return !meets || at < 0 || at >= end || extent(g, t, at) == 1 ? -1 : at;
}

class Splitter {
 public:
  Splitter(const Graph& graph, const Axes& axes, int64_t parts) : old_(graph), axes_(axes), parts_(parts), new_(graph) {
    new_.nodes.clear();
  }

  Graph run() {
    for (const Node& node : old_.nodes) {
      if (!axes_.of(node.output)) new_.nodes.push_back(node);
    }
    std::vector<std::vector<TensorId>> outputs(old_.outputs.size());
    for (int64_t part = 0; part < parts_; ++part) {
      part_.assign(old_.tensors.size(), TensorId());
      for (TensorId t : old_.inputs) part_[t.value] = sliced(t, 0, part, old_.at(t).name);
      for (const Node& node : old_.nodes) {
        if (axes_.of(node.output)) copy(node, part);
      }
      for (size_t i = 0; i < outputs.size(); ++i) outputs[i].push_back(part_[old_.outputs[i].value]);
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      const TensorId t = old_.outputs[i];
      new_.nodes.push_back({.op = Op::concat,
                            .inputs = outputs[i],
                            .output = t,
                            .attrs = {.axes = {axes_.of(t)->axis}},
                            .source = old_.at(t).name});
    }
    return std::move(new_);
  }

 private:
  TensorId tensor(TensorId like, int axis, int64_t part) {
    Tensor t{.name = fmt::format("{}.part{}", old_.at(like).name, part),
             .dtype = old_.at(like).dtype,
             .shape = old_.at(like).shape};
    t.shape[static_cast<size_t>(axis)] /= parts_;
    new_.tensors.push_back(std::move(t));
    return TensorId(static_cast<uint32_t>(new_.tensors.size() - 1));
  }
  TensorId sliced(TensorId t, int axis, int64_t part, const std::string& source) {
    const TensorId to = tensor(t, axis, part);
    const int64_t size = extent(new_, to, axis);
    new_.nodes.push_back({.op = Op::slice,
                          .inputs = {t},
                          .output = to,
                          .attrs = {.axes = {axis}, .starts = {part * size}, .ends = {(part + 1) * size}, .steps = {1}},
                          .source = source});
    return to;
  }

  TensorId operand(const Node& node, TensorId t, int64_t part) {
    if (t.valid() && axes_.of(t)) return part_[t.value];
    const int at = stretched_axis(old_, axes_, node, t);
    return at < 0 ? t : sliced(t, at, part, node.source);
  }

  void copy(const Node& node, int64_t part) {
    Node own = node;
    for (TensorId& t : own.inputs) t = operand(node, t, part);
    own.output = part_[node.output.value] = tensor(node.output, axes_.of(node.output)->axis, part);
    new_.nodes.push_back(std::move(own));
  }

  const Graph& old_;
  const Axes& axes_;
  int64_t parts_;
  Graph new_;
  std::vector<TensorId> part_;  // by tensor of the old graph
};

// Makes every tensor with a batch smaller, in place.
class Shrinker {
 public:
  Shrinker(const Graph& graph, const Axes& axes, int64_t parts) : old_(graph), axes_(axes), parts_(parts), new_(graph) {
    new_.nodes.clear();
  }

  std::optional<BatchPart> run() {
    for (size_t t = 0; t < old_.tensors.size(); ++t) {
      const TensorId id(static_cast<uint32_t>(t));
      if (const Axis axis = axes_.of(id)) new_.at(id).shape[static_cast<size_t>(axis->axis)] /= parts_;
    }
    for (const Node& node : old_.nodes) {
      if (!add(node)) return std::nullopt;
    }
    BatchPart part{std::move(new_), {}, {}};
    for (TensorId t : old_.inputs) part.input_axes.push_back(axes_.of(t) ? axes_.of(t)->axis : BatchPart::kWhole);
    for (TensorId t : old_.outputs) part.output_axes.push_back(axes_.of(t)->axis);
    return part;
  }

 private:
  bool add(const Node& node) {
    Node own = node;
    if (axes_.of(node.output)) {
      for (TensorId& t : own.inputs) {
        const int at = stretched_axis(old_, axes_, node, t);
        if (at < 0) continue;
        if (!repeats(t, at)) return false;
        t = first_part(t, at, node.source);
      }
    }
    new_.nodes.push_back(std::move(own));
    return true;
  }

  // Whether all parts of the operand are equal.
  bool repeats(TensorId t, int axis) const {
    auto maker = std::ranges::find(old_.nodes, t, &Node::output);
    if (maker != old_.nodes.end()) {
      if (maker->op != Op::expand) return false;
      const int from = axis - (rank_of(old_, t) - rank_of(old_, maker->inputs[0]));
      return from < 0 || extent(old_, maker->inputs[0], from) == 1;
    }
    const Tensor& tensor = old_.at(t);
    // Larger ones may be without data, on which nothing may depend.
    if (!tensor.data || std::ssize(*tensor.data) > kSmallConstantBytes) return false;
    const auto rows = static_cast<size_t>(product(tensor.shape, 0, axis));
    const size_t row = tensor.data->size() / rows, piece = row / static_cast<size_t>(parts_);
    for (size_t r = 0; r < rows; ++r) {
      const auto begin = tensor.data->begin() + static_cast<ptrdiff_t>(r * row);
      // Equal to itself one part further on.
      const auto last = begin + static_cast<ptrdiff_t>(row - piece);
      if (!std::equal(begin, last, begin + static_cast<ptrdiff_t>(piece))) return false;
    }
    return true;
  }

  TensorId first_part(TensorId t, int axis, const std::string& source) {
    Tensor part{.name = old_.at(t).name + ".part", .dtype = old_.at(t).dtype, .shape = old_.at(t).shape};
    const int64_t size = part.shape[static_cast<size_t>(axis)] /= parts_;
    new_.tensors.push_back(std::move(part));
    const TensorId to(static_cast<uint32_t>(new_.tensors.size() - 1));
    new_.nodes.push_back({.op = Op::slice,
                          .inputs = {t},
                          .output = to,
                          .attrs = {.axes = {axis}, .starts = {0}, .ends = {size}, .steps = {1}},
                          .source = source});
    return to;
  }

  const Graph& old_;
  const Axes& axes_;
  int64_t parts_;
  Graph new_;
};

}  // namespace

int64_t batch_of(const Graph& graph) {
  int64_t batch = 0;
  for (TensorId t : graph.inputs) {
    const Shape& shape = graph.at(t).shape;
    if (shape.empty() || (batch != 0 && shape[0] != batch)) return 1;
    batch = shape[0];
  }
  return std::max<int64_t>(batch, 1);
}

std::optional<Graph> split_batch(const Graph& graph, int64_t parts) {
  if (parts < 2 || batch_of(graph) % parts != 0) return std::nullopt;
  Axes axes(graph, parts);
  if (!axes.find(graph.inputs.size())) return std::nullopt;
  return Splitter(graph, axes, parts).run();
}

std::optional<BatchPart> batch_part(const Graph& graph, int64_t parts) {
  if (parts < 2 || graph.inputs.empty()) return std::nullopt;
  auto tried = [&](size_t inputs, int axis) -> std::optional<BatchPart> {
    Axes axes(graph, parts);
    return axes.find(inputs, axis) ? Shrinker(graph, axes, parts).run() : std::nullopt;
  };
  if (batch_of(graph) % parts == 0) {
    if (auto part = tried(graph.inputs.size(), 0)) return part;
  }
  if (auto part = tried(1, 0)) return part;
  return tried(1, 1);
}

}  // namespace presil::graph
