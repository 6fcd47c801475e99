#include "onnx/input_shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "graph/shape.h"
#include "onnx/tensor_data.h"

namespace presil::onnx {
namespace {

using Bindings = std::map<std::string, int64_t>;

std::string where_of(const ValueInfo& v) { return fmt::format("input '{}'", v.name); }

const graph::Shape* shape_option(const ImportOptions& options, const std::string& input) {
  for (const auto& [name, shape] : options.shapes) {
    if (name == input) return &shape;
  }
  return nullptr;
}

Result<void> bind(Bindings& bindings, const std::string& name, int64_t value, const std::string& where) {
  if (value < 1) return bad_input(fmt::format("dimension '{}' is {}, expected at least 1", name, value), where);
  auto [entry, added] = bindings.emplace(name, value);
  if (added || entry->second == value) return {};
  return bad_input(fmt::format("dimension '{}' is {} here and {} elsewhere", name, value, entry->second), where);
}

Result<void> check_names(const std::vector<ValueInfo>& inputs, const ImportOptions& options) {
  std::vector<std::string> input_names, dim_names;
  for (const ValueInfo& v : inputs) {
    input_names.push_back(v.name);
    for (const Dimension& d : v.shape.value_or(std::vector<Dimension>{})) {
      if (!d.value && !d.name.empty()) dim_names.push_back(d.name);
    }
  }
  auto listed = [](const std::vector<std::string>& names) {
    std::string out;
    for (const std::string& n : names) out += fmt::format("{}'{}'", out.empty() ? "" : ", ", n);
    return out.empty() ? std::string("none") : out;
  };
  for (const auto& [name, value] : options.dims) {
    if (std::ranges::count(dim_names, name) > 0) continue;
    std::string hint = nearest_hint(name, dim_names);
    return bad_input(fmt::format("the model has no dynamic dimension '{}'", name), "--dim",
                     hint.empty() ? "it has " + listed(dim_names) : hint);
  }
  for (const auto& [name, shape] : options.shapes) {
    if (std::ranges::count(input_names, name) > 0) continue;
    std::string hint = nearest_hint(name, input_names);
    return bad_input(fmt::format("the model has no input '{}'", name), "--shape",
                     hint.empty() ? "it has " + listed(input_names) : hint);
  }
  return {};
}

// Dimensions given by --shape, checked against the declaration; named ones are bound for the other inputs.
Result<void> bind_shape(const ValueInfo& v, const graph::Shape& given, Bindings& bindings) {
  if (!graph::checked_count(given) || std::ranges::any_of(given, [](int64_t d) { return d < 1; })) {
    return bad_input(fmt::format("shape {} is not valid", graph::shape_text(given)), where_of(v));
  }
  if (!v.shape) return {};
  if (given.size() != v.shape->size()) {
    return bad_input(fmt::format("--shape gives {} dimensions, the model declares {}", given.size(), declared_text(v)),
                     where_of(v));
  }
  for (size_t i = 0; i < given.size(); ++i) {
    const Dimension& d = (*v.shape)[i];
    if (d.value && *d.value > 0 && *d.value != given[i]) {
      return bad_input(
          fmt::format("--shape gives {} for dimension {}, the model declares {}", given[i], i, declared_text(v)),
          where_of(v));
    }
    if (!d.value && !d.name.empty()) TRY(bind(bindings, d.name, given[i], where_of(v)));
  }
  return {};
}

Result<graph::Shape> resolve(const ValueInfo& v, const ImportOptions& options, const Bindings& bindings) {
  if (const graph::Shape* given = shape_option(options, v.name)) return *given;
  if (!v.shape)
    return bad_input("has no declared shape", where_of(v), fmt::format("give --shape {}=1x3x224x224", v.name));
  graph::Shape shape;
  for (size_t i = 0; i < v.shape->size(); ++i) {
    const Dimension& d = (*v.shape)[i];
    auto bound = d.name.empty() ? bindings.end() : bindings.find(d.name);
    if (d.value && *d.value > 0) {
      shape.push_back(*d.value);
    } else if (bound != bindings.end()) {
      shape.push_back(bound->second);
    } else if (d.name.empty()) {
      // Some exporters write 0 or -1 for what they do not know.
      return bad_input(fmt::format("has a dynamic dimension {} without a name in {}", i, declared_text(v)), where_of(v),
                       fmt::format("give --shape {}=... with a number for every dimension", v.name));
    } else {
      return bad_input(fmt::format("has dynamic dimension '{}'", d.name), where_of(v),
                       fmt::format("give --dim {}=N or --shape {}={}", d.name, v.name, declared_text(v)));
    }
  }
  if (!graph::checked_count(shape)) {
    return bad_input(fmt::format("shape {} has more than {} elements", graph::shape_text(shape), graph::kElementsMax),
                     where_of(v));
  }
  return shape;
}

}  // namespace

std::string declared_text(const ValueInfo& v) {
  std::string out;
  for (const Dimension& d : *v.shape) {
    std::string dim = d.value ? fmt::format("{}", *d.value) : d.name.empty() ? "?" : d.name;
    out += (out.empty() ? "" : "x") + dim;
  }
  return out;
}

Result<std::vector<graph::TensorType>> resolve_input_types(const std::vector<ValueInfo>& inputs,
                                                           const ImportOptions& options) {
  TRY(check_names(inputs, options));
  Bindings bindings;
  for (const auto& [name, value] : options.dims) TRY(bind(bindings, name, value, "--dim"));
  for (const ValueInfo& v : inputs) {
    if (const graph::Shape* given = shape_option(options, v.name)) TRY(bind_shape(v, *given, bindings));
  }
  std::vector<graph::TensorType> types;
  for (const ValueInfo& v : inputs) {
    if (!v.tensor)
      return unsupported("is not a tensor", where_of(v), "sequences, maps and optionals are not supported");
    DType dtype = TRY(to_dtype(v.data_type, options, where_of(v)));
    types.push_back({dtype, TRY(resolve(v, options, bindings))});
  }
  return types;
}

}  // namespace presil::onnx
