#include "onnx/conversion.h"

#include <fmt/format.h>

#include <algorithm>

namespace presil::onnx {

Error Conversion::error(std::string message) const {
  return bad_input(fmt::format("{}: {}", node.op_type, message), node.title());
}

Error Conversion::refuse(std::string message) const {
  return unsupported(fmt::format("{}: {}", node.op_type, message), node.title());
}

Result<void> Conversion::want_inputs(size_t low, size_t high) const {
  bool given = inputs.size() >= low && inputs.size() <= high;
  for (size_t i = 0; given && i < low; ++i) given = inputs[i].valid();
  if (given) return {};
  size_t present = std::ranges::count_if(inputs, [](TensorId id) { return id.valid(); });
  std::string takes = low == high        ? fmt::format("{}", low)
                      : high == SIZE_MAX ? fmt::format("at least {}", low)
                                         : fmt::format("{} to {}", low, high);
  return error(fmt::format("has {} inputs, takes {}", present, takes));
}

Result<void> Conversion::want_outputs(size_t high) const {
  for (size_t i = high; i < node.outputs.size(); ++i) {
    if (!node.outputs[i].empty()) return refuse(fmt::format("its output {} '{}' is not supported", i, node.outputs[i]));
  }
  return {};
}

const AttributeValue* Conversion::attribute(const std::string& name) {
  asked_.insert(name);
  for (const AttributeValue& a : node.attributes) {
    if (a.name == name) return &a;
  }
  return nullptr;
}

const AttributeValue* Conversion::unknown_attribute() const {
  for (const AttributeValue& a : node.attributes) {
    if (!asked_.contains(a.name)) return &a;
  }
  return nullptr;
}

bool Conversion::has_attribute(const std::string& name) { return attribute(name) != nullptr; }

Result<int64_t> Conversion::integer(const std::string& name, int64_t otherwise) {
  const AttributeValue* a = attribute(name);
  if (a && a->kind != AttributeKind::integer) return error(fmt::format("attribute '{}' is not an integer", name));
  return a ? a->i : otherwise;
}

Result<bool> Conversion::flag(const std::string& name, bool otherwise) {
  int64_t value = TRY(integer(name, otherwise ? 1 : 0));
  if (value != 0 && value != 1) return error(fmt::format("{} is {}, expected 0 or 1", name, value));
  return value != 0;
}

Result<float> Conversion::real(const std::string& name, float otherwise) {
  const AttributeValue* a = attribute(name);
  if (a && a->kind != AttributeKind::real) return error(fmt::format("attribute '{}' is not a float", name));
  return a ? a->f : otherwise;
}

Result<std::string> Conversion::text(const std::string& name, const std::string& otherwise) {
  const AttributeValue* a = attribute(name);
  if (a && a->kind != AttributeKind::text) return error(fmt::format("attribute '{}' is not a string", name));
  return a ? a->s : otherwise;
}

Result<std::vector<int64_t>> Conversion::integers(const std::string& name, std::vector<int64_t> otherwise) {
  const AttributeValue* a = attribute(name);
  if (a && a->kind != AttributeKind::integers)
    return error(fmt::format("attribute '{}' is not a list of integers", name));
  return a ? a->ints : otherwise;
}

Result<std::vector<float>> Conversion::reals(const std::string& name) {
  const AttributeValue* a = attribute(name);
  if (a && a->kind != AttributeKind::reals) return error(fmt::format("attribute '{}' is not a list of floats", name));
  return a ? a->floats : std::vector<float>{};
}

Result<std::vector<std::string>> Conversion::texts(const std::string& name) {
  const AttributeValue* a = attribute(name);
  if (a && a->kind != AttributeKind::texts) return error(fmt::format("attribute '{}' is not a list of strings", name));
  return a ? a->strings : std::vector<std::string>{};
}

Result<const GraphValue*> Conversion::body(const std::string& name) {
  const AttributeValue* a = attribute(name);
  if (a == nullptr) return error(fmt::format("attribute '{}' is missing", name));
  if (a->kind != AttributeKind::graph) return error(fmt::format("attribute '{}' is not a graph", name));
  return a->g.get();
}

Result<void> Conversion::want_integer(const std::string& name, int64_t only) {
  int64_t value = TRY(integer(name, only));
  if (value != only) return refuse(fmt::format("{}={} is not supported, only {}", name, value, only));
  return {};
}

Error Conversion::not_constant(size_t i, const std::string& what, std::string_view kind) const {
  if (!has(i)) return error(fmt::format("{} is missing", what));
  const graph::Tensor& t = builder.at(inputs[i]);
  if (t.constant) return refuse(fmt::format("{} '{}' is not a small {} constant", what, t.name, kind));
  return refuse(fmt::format("{} '{}' depends on run-time data, it must be constant", what, t.name));
}

Result<std::vector<int64_t>> Conversion::constant_integers(size_t i, const std::string& what) const {
  auto values = has(i) ? builder.integer_values(inputs[i]) : std::nullopt;
  return values ? Result(*std::move(values)) : not_constant(i, what, "integer");
}

Result<std::vector<double>> Conversion::constant_floats(size_t i, const std::string& what) const {
  auto values = has(i) ? builder.float_values(inputs[i]) : std::nullopt;
  return values ? Result(*std::move(values)) : not_constant(i, what, "float");
}

Result<int64_t> Conversion::constant_integer(size_t i, const std::string& what) const {
  std::vector<int64_t> values = TRY(constant_integers(i, what));
  if (values.size() != 1) return error(fmt::format("{} has {} elements, expected one", what, values.size()));
  return values[0];
}

Result<double> Conversion::constant_float(size_t i, const std::string& what) const {
  std::vector<double> values = TRY(constant_floats(i, what));
  if (values.size() != 1) return error(fmt::format("{} has {} elements, expected one", what, values.size()));
  return values[0];
}

Result<std::optional<std::vector<int64_t>>> Conversion::moved_integers(const std::string& name, size_t i,
                                                                       int64_t since) {
  if (opset >= since) {
    if (!has(i)) return std::optional<std::vector<int64_t>>();
    return std::optional(TRY(constant_integers(i, name)));
  }
  if (!has_attribute(name)) return std::optional<std::vector<int64_t>>();
  return std::optional(TRY(integers(name)));
}

Result<int64_t> Conversion::axis(int64_t value, size_t rank) const {
  int64_t r = static_cast<int64_t>(rank);
  if (value < -r || value >= r) return error(fmt::format("axis {} is outside a tensor of rank {}", value, rank));
  return value < 0 ? value + r : value;
}

Result<std::vector<int64_t>> Conversion::axes(std::vector<int64_t> values, size_t rank) const {
  for (int64_t& value : values) value = TRY(axis(value, rank));
  std::ranges::sort(values);
  if (std::ranges::adjacent_find(values) != values.end()) return error("an axis is listed twice");
  return values;
}

}  // namespace presil::onnx
