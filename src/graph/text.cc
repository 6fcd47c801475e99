#include "graph/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>

#include "base/hash.h"
#include "graph/attribute_table.h"
#include "graph/host_tensor.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

constexpr int64_t kPrintedElementsMax = 16;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string tensor_text(TensorId id, const Tensor& t) {
  return fmt::format("%{} {}{} {}", id.value, dtype_name(t.dtype), shape_text(t.shape), quoted(t.name));
}

std::string values_text(const Tensor& t) {
  if (!t.data || element_count(t.shape) > kPrintedElementsMax) return "";
  if (!is_float(t.dtype)) return fmt::format(" = [{}]", fmt::join(load_integers(t.dtype, *t.data), ", "));
  std::vector<double> wide = load_floats(t.dtype, *t.data);
  return fmt::format(" = [{}]", fmt::join(std::vector<float>(wide.begin(), wide.end()), ", "));
}

// What differs from the defaults.
std::string attributes_text(const Attributes& a) {
  const Attributes defaults;
  std::string out;
  for (const auto& [name, member] : kListFields) {
    if (a.*member != defaults.*member) out += fmt::format(" {}={}", name, shape_text(a.*member));
  }
  for (const auto& [name, member] : kFloatFields) {
    if (a.*member != defaults.*member) out += fmt::format(" {}={}", name, a.*member);
  }
  for (const auto& [name, member] : kBoolFields) {
    if (a.*member != defaults.*member) out += fmt::format(" {}={}", name, a.*member);
  }
  for_each_enum_field([&](std::string_view name, auto member, std::span<const std::string_view> names) {
    if (a.*member != defaults.*member) out += fmt::format(" {}={}", name, names[static_cast<size_t>(a.*member)]);
  });
  if (!a.scales.empty()) out += fmt::format(" scales=[{}]", fmt::join(a.scales, ", "));
  if (a.group != defaults.group) out += fmt::format(" group={}", a.group);
  return out;
}

std::string_view mnemonic(const Node& node) {
  return node.op == Op::elementwise ? elementwise_name(node.attrs.fn) : op_name(node.op);
}

}  // namespace

std::string print(const Graph& graph) {
  std::string out = fmt::format("graph {}\n", quoted(graph.name));
  for (TensorId id : graph.inputs) out += fmt::format("input {}\n", tensor_text(id, graph.at(id)));
  for (uint32_t i = 0; i < graph.tensors.size(); ++i) {
    const Tensor& t = graph.tensors[i];
    if (!t.constant) continue;
    bool computed_from_large =
        t.opaque && element_count(t.shape) * static_cast<int64_t>(dtype_bytes(t.dtype)) <= kSmallConstantBytes;
    out += fmt::format("constant {}{}{}{}\n", tensor_text(TensorId(i), t), t.causal ? " causal" : "",
                       computed_from_large ? " opaque" : "", t.opaque ? "" : values_text(t));
  }
  for (const Node& node : graph.nodes) {
    std::string operands;
    for (TensorId id : node.inputs) operands += fmt::format("{}%{}", operands.empty() ? "" : ", ", id.value);
    out += fmt::format("{} = {}({}){} from {}\n", tensor_text(node.output, graph.at(node.output)), mnemonic(node),
                       operands, attributes_text(node.attrs), quoted(node.source));
  }
  for (TensorId id : graph.outputs) out += fmt::format("output %{}\n", id.value);
  return out;
}

uint64_t content_hash(const Graph& graph) {
  uint64_t hash = hash_text(print(graph));
  for (const Tensor& t : graph.tensors) {
    if (t.data) hash = hash_bytes(*t.data, hash);
  }
  return hash;
}

}  // namespace presil::graph
