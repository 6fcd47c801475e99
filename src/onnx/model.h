// An ONNX model as plain values: what the rest of the importer reads. No meaning yet, no checks beyond the encoding.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace presil::onnx {

struct TensorValue {
  std::string name;
  int32_t data_type = 0;  // ONNX TensorProto.DataType
  std::vector<int64_t> dims;
  std::span<const std::byte> raw;  // little-endian elements inside the file, when given as raw_data
  std::vector<std::byte> typed;    // or the typed fields, already as elements
  bool has_raw = false;
  bool external = false;
  std::string location;  // external: file beside the model
  std::optional<int64_t> offset, length;
  bool malformed_external = false;  // offset or length is not a number
};

enum class AttributeKind { integer, real, text, integers, reals, texts, tensor, graph, other };

struct GraphValue;

struct AttributeValue {
  std::string name;
  AttributeKind kind = AttributeKind::other;
  int64_t i = 0;
  float f = 0;
  std::string s;
  std::vector<int64_t> ints;
  std::vector<float> floats;
  std::vector<std::string> strings;
  TensorValue t;
  std::shared_ptr<const GraphValue> g;
};

struct NodeValue {
  std::string op_type, domain, name;
  std::vector<std::string> inputs, outputs;  // an empty name is an omitted one
  std::vector<AttributeValue> attributes;
  size_t index = 0;  // place in the model's list

  // What messages and provenance call it: the name, or "#12 Conv".
  std::string title() const { return name.empty() ? "#" + std::to_string(index) + " " + op_type : name; }
};

struct Dimension {
  std::optional<int64_t> value;
  std::string name;  // dim_param; empty when neither is given
};

struct ValueInfo {
  std::string name;
  bool tensor = false;
  int32_t data_type = 0;
  std::optional<std::vector<Dimension>> shape;
};

// The graph of a model, or one inside a node: that one may use the names of what is around it.
struct GraphValue {
  std::string graph_name;
  std::vector<NodeValue> nodes;
  std::vector<TensorValue> initializers;
  std::vector<ValueInfo> inputs, outputs, values;  // values: between the nodes
  size_t sparse_initializers = 0;
};

struct Model : GraphValue {
  int64_t ir_version = 0;
  std::string producer;
  std::vector<std::pair<std::string, int64_t>> opsets;  // domain, version
  size_t functions = 0;
};

}  // namespace presil::onnx
