#include "onnx/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/text.h"
#include "graph/fold.h"
#include "graph/narrow.h"
#include "onnx/declared_types.h"
#include "onnx/input_shapes.h"
#include "onnx/mapped_file.h"
#include "onnx/node_order.h"
#include "onnx/operators.h"
#include "onnx/parse.h"
#include "onnx/tensor_data.h"

namespace presil::onnx {
namespace {

using Environment = std::map<std::string, TensorId>;

Result<int64_t> model_opset(const Model& model) {
  for (const auto& [domain, version] : model.opsets) {
    if (!domain.empty()) continue;
    if (version >= kOpsetMin && version <= opset_max()) return version;
    return unsupported(fmt::format("opset {} is not supported, only {} to {}", version, kOpsetMin, opset_max()), "",
                       version < kOpsetMin ? "convert it with onnx.version_converter" : "");
  }
  return bad_input("it does not say which opset it uses");
}

Result<const OperatorRow*> find_operator(const NodeValue& node, int64_t opset) {
  std::vector<std::string> names;
  for (const OperatorRow& row : operators()) {
    names.emplace_back(row.name);
    if (!node.domain.empty() || row.name != node.op_type) continue;
    if (opset >= row.min_opset && opset <= row.max_opset) return &row;
    return unsupported(fmt::format("operator '{}' needs opset {} to {}, the model uses {}", node.op_type, row.min_opset,
                                   row.max_opset, opset),
                       node.title());
  }
  if (!node.domain.empty()) {
    return unsupported(fmt::format("operator '{}' of domain '{}' is not supported", node.op_type, node.domain),
                       node.title(), "only ONNX's own operators are; see presil ops");
  }
  std::string hint = nearest_hint(node.op_type, names);
  return unsupported(fmt::format("operator '{}' (opset {}) is not supported", node.op_type, opset), node.title(),
                     hint.empty() ? "presil ops lists those that are" : hint);
}

class Importer {
 public:
  Importer(graph::Builder& builder, int64_t opset, const ImportOptions& options)
      : builder_(builder), opset_(opset), options_(options) {}

  Result<void> nodes(const GraphValue& graph, const DeclaredTypes& declared, Environment& environment) {
    if (graph.sparse_initializers > 0) return unsupported("sparse initializers are not supported");
    std::set<std::string> outside;
    for (const auto& [name, id] : environment) outside.insert(name);
    const std::vector<size_t> order = TRY(node_order(graph, outside));
    for (size_t i : order) TRY(node(graph.nodes[i], declared, environment));
    return {};
  }

 private:
  Result<void> node(const NodeValue& node, const DeclaredTypes& declared, Environment& environment) {
    const OperatorRow* row = TRY(find_operator(node, opset_));
    builder_.set_source(node.title());
    Tensors inputs;
    for (const std::string& name : node.inputs) inputs.push_back(name.empty() ? TensorId() : environment.at(name));
    Conversion conversion(
        builder_, node, opset_, options_, std::move(inputs),
        [&](const GraphValue& graph, const Tensors& given) { return body(graph, given, environment, node.title()); });
    size_t first_new = builder_.graph().tensors.size();
    Tensors outputs = TRY(row->convert(conversion));
    if (const AttributeValue* unknown = conversion.unknown_attribute()) {
      return conversion.refuse(fmt::format("attribute '{}' is not supported in opset {}", unknown->name, opset_));
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i].empty()) continue;
      if (i >= outputs.size())
        return conversion.refuse(fmt::format("its output {} '{}' is not supported", i, node.outputs[i]));
      TRY(declared.check(node.outputs[i], builder_.at(outputs[i]), node.title()));
      environment[node.outputs[i]] = outputs[i];
      if (outputs[i].value >= first_new) builder_.at(outputs[i]).name = node.outputs[i];
    }
    return {};
  }

  // Names inside hide equal ones around.
  Result<Tensors> body(const GraphValue& graph, const Tensors& inputs, Environment environment,
                       const std::string& where) {
    if (inputs.size() != graph.inputs.size())
      return bad_input(fmt::format("graph '{}' takes {} inputs, it is given {}", graph.graph_name, graph.inputs.size(),
                                   inputs.size()),
                       where);
    for (const TensorValue& t : graph.initializers) environment[t.name] = TRY(add_tensor(builder_, t, options_));
    for (size_t i = 0; i < inputs.size(); ++i) environment[graph.inputs[i].name] = inputs[i];
    TRY(nodes(graph, DeclaredTypes(graph, options_, true), environment));
    builder_.set_source(where);
    Tensors outputs;
    for (const ValueInfo& v : graph.outputs) outputs.push_back(environment.at(v.name));
    return outputs;
  }

  graph::Builder& builder_;
  int64_t opset_;
  const ImportOptions& options_;
};

// An output that is a constant, an input or another output gets a copy of its own, so that each output is what one node
// produces.
void finish_outputs(graph::Graph& g, const Model& model, const Environment& environment) {
  std::set<TensorId> taken(g.inputs.begin(), g.inputs.end());
  for (const ValueInfo& v : model.outputs) {
    TensorId id = environment.at(v.name);
    if (g.at(id).constant || !taken.insert(id).second) {
      graph::Tensor copy{.name = v.name, .dtype = g.at(id).dtype, .shape = g.at(id).shape};
      TensorId to(static_cast<uint32_t>(g.tensors.size()));
      g.tensors.push_back(std::move(copy));
      g.nodes.push_back({.op = Op::elementwise, .inputs = {id}, .output = to, .source = v.name});
      id = to;
    }
    g.at(id).name = v.name;
    g.outputs.push_back(id);
  }
}

Result<Environment> add_inputs(graph::Builder& builder, const Model& model, const ImportOptions& options) {
  Environment environment;
  for (const TensorValue& t : model.initializers) environment[t.name] = TRY(add_tensor(builder, t, options));
  std::vector<ValueInfo> inputs;
  for (const ValueInfo& v : model.inputs) {
    if (!environment.contains(v.name)) inputs.push_back(v);
  }
  std::vector<graph::TensorType> types = TRY(resolve_input_types(inputs, options));
  for (size_t i = 0; i < inputs.size(); ++i) environment[inputs[i].name] = builder.input(inputs[i].name, types[i]);
  return environment;
}

}  // namespace

Result<graph::Graph> import_model(std::span<const std::byte> file, const ImportOptions& options) {
  Model model = TRY(parse_model(file));
  int64_t opset = TRY(model_opset(model));
  if (model.outputs.empty()) return bad_input("the graph has no outputs");
  graph::Builder builder;
  builder.graph().name = model.graph_name;
  Environment environment = TRY(add_inputs(builder, model, options));
  DeclaredTypes declared(model, options);
  TRY(Importer(builder, opset, options).nodes(model, declared, environment));
  finish_outputs(builder.graph(), model, environment);
  return graph::narrow_int64(graph::remove_dead(std::move(builder.graph())));
}

Result<graph::Graph> import_file(const std::string& path, ImportOptions options) {
  MappedFile file = TRY(MappedFile::open(path));
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  options.folder = folder.empty() ? "." : folder.string();
  Result<graph::Graph> imported = import_model(file.bytes(), options);
  if (imported) return imported;
  Error error = imported.error();
  error.where = error.where.empty() ? path : path + ": " + error.where;
  return error;
}

}  // namespace presil::onnx
