#include "compiler/steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compiler/attention.h"
#include "compiler/ranges.h"

namespace presil::compiler {
namespace {

using graph::Graph;
using graph::Node;
using graph::Op;
using graph::TensorId;

// Taps are packed into partitions up to this many input channels; above, a tap alone fills enough of the array.
constexpr int64_t kPackedChannelsMax = 8;

bool narrows(const Graph& graph, const Node& node) {
  DType from = graph.at(node.inputs[0]).dtype, to = graph.at(node.output).dtype;
  return node.op == Op::cast && (dtype_bytes(to) < dtype_bytes(from) || (is_integer(to) && is_float(from)));
}

// A cast that narrows or goes to integers rounds, which only a chain's last instruction does (grow_chain ends there).
bool is_chain_node(const Node& node) { return node.op == Op::cast || node.op == Op::elementwise; }

bool takes_chain(Op op) {
  switch (op) {
    case Op::elementwise:
    case Op::conv:
    case Op::conv_transpose:
    case Op::matmul:
    case Op::pool:
    case Op::resize:
    case Op::softmax:
    case Op::layer_norm:
      return true;
    default:
      return false;
  }
}

// Follows element-wise nodes from `anchor`: a node joins when it reads a member, has the anchor's shape, and its other
// inputs exist before the anchor runs. The longest prefix from which only one value is used outside becomes the step.
std::vector<uint32_t> grow_chain(const Graph& graph, const TensorUses& uses, const std::vector<bool>& taken,
                                 uint32_t anchor) {
  const graph::Shape& shape = graph.at(graph.nodes[anchor].output).shape;
  std::vector<uint32_t> members{anchor};
  auto is_member = [&](uint32_t node) { return std::find(members.begin(), members.end(), node) != members.end(); };
  size_t kept = 1;
  for (uint32_t i = anchor + 1; i < graph.nodes.size() && i < anchor + 256; ++i) {
    const Node& node = graph.nodes[i];
    if (taken[i] || !is_chain_node(node) || graph.at(node.output).shape != shape) continue;
    bool reads_member = false, others_ready = true;
    for (TensorId t : node.inputs) {
      uint32_t p = uses.producer[t.value];
      if (p != UINT32_MAX && is_member(p)) {
        reads_member = true;
        others_ready = others_ready && !narrows(graph, graph.nodes[p]);
      } else if (p != UINT32_MAX && p >= anchor)
        others_ready = false;
    }
    if (!reads_member || !others_ready) continue;
    members.push_back(i);
    int leaving = 0;
    for (uint32_t m : members) {
      TensorId t = graph.nodes[m].output;
      bool outside = uses.is_output[t.value];
      for (uint32_t c : uses.consumers[t.value]) outside = outside || !is_member(c);
      leaving += outside || uses.consumers[t.value].empty();
    }
    if (leaving == 1) kept = members.size();
  }
  members.resize(kept);
  return members;
}

// What lies in HBM in rows: an input, or an input in another float type, which is converted there.
bool comes_from_hbm(const Graph& graph, const TensorUses& uses, TensorId t) {
  auto is_input = [&](TensorId x) { return std::ranges::count(graph.inputs, x) > 0; };
  uint32_t p = uses.producer[t.value];
  if (p == UINT32_MAX) return is_input(t);
  const Node& node = graph.nodes[p];
  return node.op == Op::cast && is_float(graph.at(t).dtype) && is_input(node.inputs[0]) &&
         is_float(graph.at(node.inputs[0]).dtype);
}

Result<StepKind> kind_of(const Graph& graph, const TensorUses& uses, const Node& node, const spec::ChipSpec& spec) {
  switch (node.op) {
    case Op::elementwise:
    case Op::cast:
      return StepKind::elementwise;
    case Op::conv: {
      const graph::Shape& w = graph.at(node.inputs[1]).shape;
      int64_t channels = graph.at(node.inputs[0]).shape[1], taps = 1;
      for (size_t i = 2; i < w.size(); ++i) taps *= w[i];
      if (!graph.at(node.inputs[1]).constant)
        return unsupported("convolution with weights that are not constant", node.source);
      if (node.attrs.group == channels && w[0] == channels && channels > 1) return StepKind::depthwise;
      bool from_hbm = comes_from_hbm(graph, uses, node.inputs[0]);
      if (unfolds(graph, node, spec)) return StepKind::unfold;
      const int64_t rows = w.size() == 4 ? w[2] : 1;
      if (from_hbm && node.attrs.group == 1 && channels <= kPackedChannelsMax && taps > 1 &&
          channels * rows <= spec.tensor.rows)
        return StepKind::packed_conv;
      return StepKind::conv;
    }
    case Op::conv_transpose:
      if (!graph.at(node.inputs[1]).constant)
        return unsupported("transposed convolution with weights that are not constant", node.source);
      return StepKind::conv_transpose;
    case Op::matmul: {
      const graph::Tensor& b = graph.at(node.inputs[1]);
      if (b.constant && b.shape.size() == 2) return StepKind::linear;
      bool flat = b.shape.size() == 2 && graph.at(node.inputs[0]).shape.size() == 2;
      auto is_input = [&](TensorId t) {
        return graph.at(t).constant || std::find(graph.inputs.begin(), graph.inputs.end(), t) != graph.inputs.end();
      };
      if (flat && is_input(node.inputs[0]) && is_input(node.inputs[1]) && node.inputs.size() == 2)
        return StepKind::gemm;
      return StepKind::matmul;
    }
    case Op::pool:
      return StepKind::pool;
    case Op::reduce:
      return StepKind::reduce;
    case Op::softmax:
      return StepKind::softmax;
    case Op::layer_norm:
      return StepKind::layer_norm;
    case Op::resize:
      return StepKind::resize;
    case Op::reshape:
    case Op::transpose:
    case Op::slice:
      return StepKind::view;
    case Op::concat:
      return StepKind::concat;
    case Op::pad:
      return StepKind::pad;
    case Op::gather:
      return StepKind::gather;
    case Op::expand:
      return StepKind::expand;
    case Op::select:
      return unsupported("a choice that no branch makes", node.source);
    case Op::enter:
    case Op::leave:
      return unsupported("a loop that no device loop runs", node.source);
  }
  return StepKind::elementwise;
}

// Maps of few channels would fill few partitions; the
// part of SBUF that one may take with rows on partitions instead is one of this many.
constexpr int64_t kMapChannelsMax = 4;
constexpr int64_t kMapShare = 4;

bool resizes_by_products(const Graph& graph, const Node& node, const spec::ChipSpec& spec) {
  const graph::Shape &in = graph.at(node.inputs[0]).shape, &out = graph.at(node.output).shape;
  if (node.attrs.resize != graph::ResizeMode::linear || out.size() != 4 || in[0] * in[1] > kMapChannelsMax)
    return false;
  if (in[0] != out[0] || in[1] != out[1]) return false;
  int64_t lanes = kernels::group_partitions(spec);
  auto bytes = [&](int64_t on_partitions, int64_t other) {
    return out[0] * out[1] * ((on_partitions + lanes - 1) / lanes) * other * 4;
  };
  int64_t most = std::max(
      {bytes(in[2], in[3]), bytes(in[3], out[2]), bytes(out[2], out[3]), bytes(in[2], out[2]), bytes(in[3], out[3])});
  return most <= static_cast<int64_t>(spec.sbuf.bytes_per_partition) / kMapShare;
}

// Whether a tensor goes nowhere but through functions of one operand to outputs of the graph.
bool only_leaves(const Graph& graph, const TensorUses& uses, TensorId t) {
  return std::ranges::all_of(uses.consumers[t.value], [&](uint32_t c) {
    const Node& node = graph.nodes[c];
    return node.inputs.size() == 1 && is_chain_node(node) && only_leaves(graph, uses, node.output);
  });
}

// More axes than this do not fit the engines' access patterns whatever merges.
constexpr size_t kRankMax = 6;

Result<void> check_supported(const Graph& graph, const Node& node, const std::vector<Interval>& ranges) {
  const graph::Tensor& out = graph.at(node.output);
  if (out.shape.size() > kRankMax)
    return unsupported(fmt::format("a tensor of rank {}; at most {} here", out.shape.size(), kRankMax), node.source);
  TRY(check_exact(graph, node, ranges));
  if (node.op == Op::elementwise && !kernels::elementwise_supported(node.attrs.fn)) {
    return unsupported(fmt::format("no engine computes '{}'", graph::elementwise_name(node.attrs.fn)), node.source);
  }
  return {};
}

uint64_t macs_of(const Graph& graph, const Node& node) {
  auto elements = [&](TensorId t) { return static_cast<uint64_t>(graph::element_count(graph.at(t).shape)); };
  switch (node.op) {
    case Op::conv:
      return elements(node.output) *
             (elements(node.inputs[1]) / static_cast<uint64_t>(graph.at(node.inputs[1]).shape[0]));
    case Op::conv_transpose:
      return elements(node.inputs[0]) *
             (elements(node.inputs[1]) / static_cast<uint64_t>(graph.at(node.inputs[1]).shape[0]));
    case Op::matmul:
      return elements(node.output) * static_cast<uint64_t>(graph.at(node.inputs[0]).shape.back());
    default:
      return 0;
  }
}

}  // namespace

std::vector<bool> image_tensors(const Graph& graph) {
  std::vector<bool> image(graph.tensors.size(), false);
  auto mark = [&](TensorId t) { image[t.value] = graph.at(t).shape.size() == 4; };
  for (const Node& node : graph.nodes) {
    bool spatial = node.op == Op::conv || node.op == Op::conv_transpose || node.op == Op::pool || node.op == Op::resize;
    if (spatial) mark(node.inputs[0]), mark(node.output);
  }
  auto spread = [&](const Node& node) {
    if (node.op != Op::elementwise && node.op != Op::cast && node.op != Op::concat) return;
    bool any = image[node.output.value];
    for (TensorId t : node.inputs) any = any || (t.valid() && image[t.value]);
    if (!any) return;
    mark(node.output);
    for (TensorId t : node.inputs) {
      if (t.valid()) mark(t);
    }
  };
  for (const Node& node : graph.nodes) spread(node);
  for (size_t i = graph.nodes.size(); i-- > 0;) spread(graph.nodes[i]);
  return image;
}

std::vector<uint32_t> nodes_of(const Step& step) {
  std::vector<uint32_t> nodes;
  if (step.chain.empty() || step.chain.front() != step.anchor) nodes.push_back(step.anchor);
  nodes.insert(nodes.end(), step.chain.begin(), step.chain.end());
  return nodes;
}

std::vector<TensorId> inputs_of(const Graph& graph, const Step& step) {
  std::vector<TensorId> inputs, made;
  for (uint32_t n : nodes_of(step)) {
    for (TensorId t : graph.nodes[n].inputs) {
      if (t.valid() && !(step.kind == StepKind::attention && graph.at(t).causal) &&
          std::find(made.begin(), made.end(), t) == made.end() &&
          std::find(inputs.begin(), inputs.end(), t) == inputs.end())
        inputs.push_back(t);
    }
    made.push_back(graph.nodes[n].output);
  }
  return inputs;
}

uint32_t softmax_of(const Graph& graph, const Step& step) {
  for (uint32_t n : step.chain) {
    if (graph.nodes[n].op == Op::softmax) return n;
  }
  CHECK(false, "an attention has a softmax");
}

const std::string& name_of(const Graph& graph, const Step& step) {
  return graph.nodes[step.kind == StepKind::attention ? softmax_of(graph, step) : step.anchor].source;
}

uint64_t macs_of(const Graph& graph, const Step& step) {
  if (step.kind != StepKind::attention) return macs_of(graph, graph.nodes[step.anchor]);
  uint64_t macs = 0;
  bool causal = false;
  int64_t keys = 1;
  for (uint32_t n : step.chain) {
    const Node& node = graph.nodes[n];
    macs += macs_of(graph, node);
    if (node.op == Op::softmax) keys = graph.at(node.output).shape.back();
    for (TensorId t : node.inputs) causal |= t.valid() && graph.at(t).causal;
  }
  // Of each square, the diagonal and what lies below it.
  return causal ? macs / static_cast<uint64_t>(2 * keys) * static_cast<uint64_t>(keys + 1) : macs;
}

uint64_t macs_of(const Graph& graph) {
  uint64_t macs = 0;
  for (const Node& node : graph.nodes) macs += macs_of(graph, node);
  return macs;
}

Result<std::vector<Step>> make_steps(const Graph& graph, const spec::ChipSpec& spec) {
  const TensorUses uses = uses_of(graph);
  std::vector<bool> taken(graph.nodes.size(), false), attended = taken;
  std::vector<Step> steps;
  const std::vector<Interval> ranges = integer_ranges(graph);
  std::map<uint32_t, Attention> attentions;  // by the node that all of its operands precede
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    auto attention = find_attention(graph, uses, i);
    if (!attention || !engines_reach(spec, *attention)) continue;
    for (uint32_t n : attention->nodes) taken[n] = attended[n] = true;
    attentions.emplace(attention->product, std::move(*attention));
  }
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    if (auto found = attentions.find(i); found != attentions.end()) {
      const Attention& a = found->second;
      steps.push_back({.kind = StepKind::attention, .anchor = a.nodes[0], .chain = a.nodes, .output = a.out.source});
    }
    if (!attended[i]) TRY(check_supported(graph, graph.nodes[i], ranges));
    if (taken[i]) continue;
    const Node& node = graph.nodes[i];
    Step step;
    step.anchor = i;
    step.kind = TRY(kind_of(graph, uses, node, spec));
    std::vector<uint32_t> members{i};
    if (is_chain_node(node) || (takes_chain(node.op) && step.kind != StepKind::gemm))
      members = grow_chain(graph, uses, taken, i);
    for (uint32_t m : members) taken[m] = true;
    bool chain_anchor = is_chain_node(node);
    step.chain.assign(members.begin() + (chain_anchor ? 0 : 1), members.end());
    step.output = graph.nodes[members.back()].output;
    if (step.kind == StepKind::resize && resizes_by_products(graph, node, spec) &&
        only_leaves(graph, uses, node.output))
      step.kind = StepKind::resize_matmul;
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace presil::compiler
