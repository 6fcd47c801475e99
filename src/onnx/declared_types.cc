#include "onnx/declared_types.h"

#include <fmt/format.h>

#include <algorithm>

#include "graph/shape.h"
#include "onnx/input_shapes.h"
#include "onnx/tensor_data.h"

namespace presil::onnx {
namespace {

bool is_dynamic(const ValueInfo& input) {
  if (!input.shape) return true;
  return std::ranges::any_of(*input.shape, [](const Dimension& d) { return !d.value || *d.value <= 0; });
}

bool fits(const std::vector<Dimension>& declared, const graph::Shape& found, bool sizes) {
  if (declared.size() != found.size()) return false;
  for (size_t i = 0; sizes && i < found.size(); ++i) {
    // Some exporters write 0 or -1 for what they do not know.
    if (declared[i].value && *declared[i].value > 0 && *declared[i].value != found[i]) return false;
  }
  return true;
}

}  // namespace

DeclaredTypes::DeclaredTypes(const GraphValue& graph, const ImportOptions& options, bool inside) : options_(options) {
  const bool dynamic = inside || std::ranges::any_of(graph.inputs, is_dynamic);
  for (const ValueInfo& v : graph.values) rows_[v.name] = {&v, !dynamic};
  for (const ValueInfo& v : graph.outputs) rows_[v.name] = {&v, !inside};
}

Result<void> DeclaredTypes::check(const std::string& name, const graph::Tensor& tensor,
                                  const std::string& where) const {
  auto row = rows_.find(name);
  if (row == rows_.end() || !row->second.info->tensor) return {};
  const ValueInfo& v = *row->second.info;
  if (v.data_type != 0) {
    const DType declared = TRY(to_dtype(v.data_type, options_, where));
    if (declared != tensor.dtype) {
      return bad_input(fmt::format("its output '{}' is {}, the model declares {}", name, dtype_name(tensor.dtype),
                                   dtype_name(declared)),
                       where);
    }
  }
  // An empty shape is a scalar's, but also what some exporters write for an unknown one.
  if (!v.shape || v.shape->empty() || fits(*v.shape, tensor.shape, row->second.sizes)) return {};
  return bad_input(fmt::format("its output '{}' has shape {}, the model declares {}", name,
                               graph::shape_text(tensor.shape), declared_text(v)),
                   where);
}

}  // namespace presil::onnx
