// What a converter sees of one ONNX node: operands as graph tensors, attributes by name, and the builder. A converter
// asks for every attribute that it understands; the importer refuses a node with an attribute nobody asked for.
#pragma once
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "graph/builder.h"
#include "onnx/import.h"
#include "onnx/model.h"

namespace presil::onnx {

using graph::Attributes;
using graph::ElementwiseFn;
using graph::Op;
using graph::Shape;
using graph::TensorId;
using Tensors = std::vector<TensorId>;

// Converts a graph inside a node, with `inputs` for its own; returns its outputs.
using ConvertBody = std::function<Result<Tensors>(const GraphValue& body, const Tensors& inputs)>;

class Conversion {
 public:
  Conversion(graph::Builder& b, const NodeValue& n, int64_t version, const ImportOptions& o, Tensors operands,
             ConvertBody body = {})
      : builder(b), node(n), opset(version), options(o), inputs(std::move(operands)), convert_body(std::move(body)) {}

  graph::Builder& builder;
  const NodeValue& node;
  const int64_t opset;
  const ImportOptions& options;
  const Tensors inputs;  // invalid id: omitted
  const ConvertBody convert_body;

  bool has(size_t i) const { return i < inputs.size() && inputs[i].valid(); }
  const Shape& shape(size_t i) const { return builder.shape(inputs[i]); }
  DType dtype(size_t i) const { return builder.at(inputs[i]).dtype; }
  size_t rank(size_t i) const { return shape(i).size(); }

  // Errors unless `low` to `high` operands are given and the first `low` are not omitted.
  Result<void> want_inputs(size_t low, size_t high) const;
  Result<void> want_outputs(size_t high) const;  // named outputs beyond `high` are refused

  // Attributes; an error when one has another kind.
  bool has_attribute(const std::string& name);
  Result<int64_t> integer(const std::string& name, int64_t otherwise);
  Result<bool> flag(const std::string& name, bool otherwise);  // an integer that is 0 or 1
  Result<float> real(const std::string& name, float otherwise);
  Result<std::string> text(const std::string& name, const std::string& otherwise);
  Result<std::vector<int64_t>> integers(const std::string& name, std::vector<int64_t> otherwise = {});
  Result<std::vector<float>> reals(const std::string& name);
  Result<std::vector<std::string>> texts(const std::string& name);
  Result<const GraphValue*> body(const std::string& name);   // it has to be there
  const AttributeValue* attribute(const std::string& name);  // null when absent
  void ignore(const std::string& name) { asked_.insert(name); }
  // An attribute that must have the value `only` if present.
  Result<void> want_integer(const std::string& name, int64_t only);

  // The values of a constant operand; an error when it is missing or depends on run-time data.
  Result<std::vector<int64_t>> constant_integers(size_t i, const std::string& what) const;
  Result<std::vector<double>> constant_floats(size_t i, const std::string& what) const;
  // The only value of one.
  Result<int64_t> constant_integer(size_t i, const std::string& what) const;
  Result<double> constant_float(size_t i, const std::string& what) const;
  // Axes or similar that moved from an attribute to input `i` at opset `since`; nothing when absent.
  Result<std::optional<std::vector<int64_t>>> moved_integers(const std::string& name, size_t i, int64_t since);

  Result<int64_t> axis(int64_t value, size_t rank) const;  // negative ones count from the end
  Result<std::vector<int64_t>> axes(std::vector<int64_t> values, size_t rank) const;  // sorted, without repeats

  Error error(std::string message) const;
  Error refuse(std::string message) const;  // well-formed but unsupported
  // The first attribute that was never asked for; null when all were.
  const AttributeValue* unknown_attribute() const;

 private:
  Error not_constant(size_t i, const std::string& what, std::string_view kind) const;

  std::set<std::string> asked_;
};

// A string attribute with a closed set of values.
template <class Value>
struct Choice {
  std::string_view name;
  Value value;
};
template <class Value, size_t n>
Result<Value> choose(Conversion& c, const std::string& attribute, const char* otherwise,
                     const Choice<Value> (&choices)[n]) {
  Result<std::string> given = c.text(attribute, otherwise);
  if (!given) return given.error();
  std::string known;
  for (const Choice<Value>& choice : choices) {
    if (choice.name == *given) return choice.value;
    known += (known.empty() ? "'" : ", '") + std::string(choice.name) + "'";
  }
  return c.refuse(attribute + "='" + *given + "' is not supported, only " + known);
}

}  // namespace presil::onnx
