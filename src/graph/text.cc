#include <fmt/format.h>
#include <fmt/ranges.h>

#include "graph/fold.h"
#include "graph/graph.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

std::string type_text(const Tensor& t) { return fmt::format("{}{}", dtype_name(t.dtype), shape_text(t.shape)); }

// Constants of one element print as their value, so that patterns can be read.
std::string operand_text(const Graph& graph, TensorId id) {
  const Tensor& t = graph.at(id);
  if (t.constant && element_count(t.shape) == 1) {
    if (auto values = small_floats(graph, id)) return fmt::format("{}", static_cast<float>((*values)[0]));
    if (auto values = small_integers(graph, id)) return fmt::format("{}", (*values)[0]);
  }
  return fmt::format("%{}{}", id.value, t.constant ? fmt::format(":{}", type_text(t)) : "");
}

void list(std::string& out, std::string_view name, const std::vector<int64_t>& values) {
  if (!values.empty()) out += fmt::format(" {}={}", name, shape_text(values));
}

std::string attributes_text(const Node& node) {
  const Attributes& a = node.attrs;
  std::string out;
  list(out, "kernel", a.kernel);
  list(out, "strides", a.strides);
  list(out, "pads", a.pads);
  list(out, "dilations", a.dilations);
  list(out, "output_padding", a.output_padding);
  list(out, "axes", a.axes);
  list(out, "starts", a.starts);
  list(out, "ends", a.ends);
  list(out, "steps", a.steps);
  if (a.group != 1) out += fmt::format(" group={}", a.group);
  if (a.alpha != 0 || a.beta != 0) out += fmt::format(" alpha={} beta={}", a.alpha, a.beta);
  if (node.op == Op::reduce && !a.keepdims) out += " keepdims=false";
  if (node.op == Op::pool && a.count_include_pad) out += " count_include_pad";
  if (node.op == Op::pad) out += fmt::format(" mode={} value={}", static_cast<int>(a.pad_mode), a.pad_value);
  if (node.op == Op::layer_norm) out += fmt::format(" epsilon={}", a.epsilon);
  if (node.op == Op::resize) {
    out += fmt::format(" mode={} coordinates={} rounding={} scales=[{}]", static_cast<int>(a.resize),
                       static_cast<int>(a.coordinates), static_cast<int>(a.rounding), fmt::join(a.scales, ", "));
  }
  return out;
}

std::string_view node_name(const Node& node) {
  static constexpr std::string_view kReduce[] = {"reduce.sum", "reduce.mean", "reduce.max", "reduce.min",
                                                 "reduce.prod"};
  switch (node.op) {
    case Op::elementwise:
      return elementwise_name(node.attrs.fn);
    case Op::reduce:
      return kReduce[static_cast<int>(node.attrs.reduce)];
    case Op::pool:
      return node.attrs.pool == PoolKind::max ? "pool.max" : "pool.average";
    default:
      return op_name(node.op);
  }
}

}  // namespace

std::string print(const Graph& graph) {
  std::string out = fmt::format("graph {}\n", graph.name);
  for (TensorId id : graph.inputs) {
    out += fmt::format("input %{} {} \"{}\"\n", id.value, type_text(graph.at(id)), graph.at(id).name);
  }
  for (const Node& node : graph.nodes) {
    std::string operands;
    for (TensorId id : node.inputs) {
      if (!operands.empty()) operands += ", ";
      operands += operand_text(graph, id);
    }
    out += fmt::format("%{} {} = {}({}){}  # {}\n", node.output.value, type_text(graph.at(node.output)),
                       node_name(node), operands, attributes_text(node), node.source);
  }
  for (TensorId id : graph.outputs) out += fmt::format("output %{} \"{}\"\n", id.value, graph.at(id).name);
  return out;
}

}  // namespace presil::graph
