#include "onnx/parse.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "onnx-ml.pb.h"
#include "onnx/wire.h"

namespace presil::onnx {
namespace {

using Payloads = std::vector<std::span<const std::byte>>;

template <class Element, class Values>
std::vector<std::byte> packed(const Values& values) {
  std::vector<std::byte> out(values.size() * sizeof(Element));
  for (int i = 0; i < values.size(); ++i) {
    Element element = static_cast<Element>(values[i]);
    std::memcpy(out.data() + i * sizeof(Element), &element, sizeof(Element));
  }
  return out;
}

// Source: onnx.proto, the comments on int32_data, int64_data and uint64_data say which types travel in which field.
std::vector<std::byte> typed_elements(const ::onnx::TensorProto& t) {
  switch (t.data_type()) {
    case ::onnx::TensorProto::FLOAT:
      return packed<float>(t.float_data());
    case ::onnx::TensorProto::DOUBLE:
      return packed<double>(t.double_data());
    case ::onnx::TensorProto::INT64:
      return packed<int64_t>(t.int64_data());
    case ::onnx::TensorProto::UINT32:
      return packed<uint32_t>(t.uint64_data());
    case ::onnx::TensorProto::UINT64:
      return packed<uint64_t>(t.uint64_data());
    case ::onnx::TensorProto::INT32:
      return packed<int32_t>(t.int32_data());
    case ::onnx::TensorProto::INT16:
    case ::onnx::TensorProto::UINT16:
    case ::onnx::TensorProto::FLOAT16:
    case ::onnx::TensorProto::BFLOAT16:
      return packed<uint16_t>(t.int32_data());
    default:
      return packed<uint8_t>(t.int32_data());
  }
}

std::optional<int64_t> number(const std::string& text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void read_external(const ::onnx::TensorProto& t, TensorValue& out) {
  out.external = true;
  for (const auto& entry : t.external_data()) {
    if (entry.key() == "location") out.location = entry.value();
    std::optional<int64_t>* field = entry.key() == "offset"   ? &out.offset
                                    : entry.key() == "length" ? &out.length
                                                              : nullptr;
    if (!field) continue;
    *field = number(entry.value());
    out.malformed_external |= !field->has_value();
  }
}

TensorValue read_tensor(const ::onnx::TensorProto& t, const Payloads& payloads) {
  TensorValue out{.name = t.name(), .data_type = t.data_type(), .dims = {t.dims().begin(), t.dims().end()}};
  if (t.data_location() == ::onnx::TensorProto::EXTERNAL) {
    read_external(t, out);
  } else if (t.has_raw_data()) {
    std::optional<size_t> index = payload_index(t.raw_data());
    CHECK(index && *index < payloads.size(), "every raw_data was lifted");
    out.raw = payloads[*index];
    out.has_raw = true;
  } else {
    out.typed = typed_elements(t);
  }
  return out;
}

GraphValue read_graph(const ::onnx::GraphProto& g, const Payloads& payloads);

AttributeValue read_attribute(const ::onnx::AttributeProto& a, const Payloads& payloads) {
  AttributeValue out{.name = a.name(), .i = a.i(), .f = a.f(), .s = a.s()};
  out.ints = {a.ints().begin(), a.ints().end()};
  out.floats = {a.floats().begin(), a.floats().end()};
  switch (a.type()) {
    case ::onnx::AttributeProto::INT:
      out.kind = AttributeKind::integer;
      break;
    case ::onnx::AttributeProto::FLOAT:
      out.kind = AttributeKind::real;
      break;
    case ::onnx::AttributeProto::STRING:
      out.kind = AttributeKind::text;
      break;
    case ::onnx::AttributeProto::INTS:
      out.kind = AttributeKind::integers;
      break;
    case ::onnx::AttributeProto::FLOATS:
      out.kind = AttributeKind::reals;
      break;
    case ::onnx::AttributeProto::STRINGS:
      out.kind = AttributeKind::texts;
      out.strings = {a.strings().begin(), a.strings().end()};
      break;
    case ::onnx::AttributeProto::TENSOR:
      out.kind = AttributeKind::tensor;
      out.t = read_tensor(a.t(), payloads);
      break;
    case ::onnx::AttributeProto::GRAPH:
      out.kind = AttributeKind::graph;
      out.g = std::make_shared<const GraphValue>(read_graph(a.g(), payloads));
      break;
    default:
      out.kind = AttributeKind::other;
      break;
  }
  return out;
}

NodeValue read_node(const ::onnx::NodeProto& n, size_t index, const Payloads& payloads) {
  NodeValue out{.op_type = n.op_type(), .domain = n.domain(), .name = n.name(), .index = index};
  if (out.domain == "ai.onnx") out.domain.clear();
  out.inputs = {n.input().begin(), n.input().end()};
  out.outputs = {n.output().begin(), n.output().end()};
  for (const auto& a : n.attribute()) out.attributes.push_back(read_attribute(a, payloads));
  return out;
}

ValueInfo read_value_info(const ::onnx::ValueInfoProto& v) {
  ValueInfo out{.name = v.name(), .tensor = v.type().has_tensor_type()};
  if (!out.tensor) return out;
  out.data_type = v.type().tensor_type().elem_type();
  if (!v.type().tensor_type().has_shape()) return out;
  out.shape.emplace();
  for (const auto& d : v.type().tensor_type().shape().dim()) {
    Dimension dim{.name = d.dim_param()};
    if (d.has_dim_value()) dim.value = d.dim_value();
    out.shape->push_back(std::move(dim));
  }
  return out;
}

GraphValue read_graph(const ::onnx::GraphProto& g, const Payloads& payloads) {
  GraphValue out{.graph_name = g.name()};
  for (const auto& n : g.node()) out.nodes.push_back(read_node(n, out.nodes.size(), payloads));
  for (const auto& t : g.initializer()) out.initializers.push_back(read_tensor(t, payloads));
  for (const auto& v : g.input()) out.inputs.push_back(read_value_info(v));
  for (const auto& v : g.output()) out.outputs.push_back(read_value_info(v));
  for (const auto& v : g.value_info()) out.values.push_back(read_value_info(v));
  out.sparse_initializers = static_cast<size_t>(g.sparse_initializer_size());
  return out;
}

}  // namespace

Result<Model> parse_model(std::span<const std::byte> file) {
  if (file.empty()) return bad_input("not an ONNX model: the file is empty");
  LightModel light = TRY(lift_payloads(file));
  ::onnx::ModelProto proto;
  if (light.bytes.size() > INT32_MAX ||
      !proto.ParseFromArray(light.bytes.data(), static_cast<int>(light.bytes.size()))) {
    return bad_input("not an ONNX model: protobuf cannot parse it");
  }
  if (!proto.has_graph()) return bad_input("not an ONNX model: it has no graph");
  Model model{read_graph(proto.graph(), light.payloads)};
  model.ir_version = proto.ir_version();
  model.producer = proto.producer_name();
  for (const auto& o : proto.opset_import()) {
    model.opsets.emplace_back(o.domain() == "ai.onnx" ? "" : o.domain(), o.version());
  }
  model.functions = proto.functions_size();
  return model;
}

}  // namespace presil::onnx
