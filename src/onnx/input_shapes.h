// Static shapes for a model's inputs from its declarations, --dim and --shape.
#pragma once
#include <string>
#include <vector>

#include "graph/graph.h"
#include "onnx/import.h"
#include "onnx/model.h"

namespace presil::onnx {

std::string declared_text(const ValueInfo& v);  // "batchx3x?"; it has a shape

// One type per entry of `inputs`. Errors: a name in the options that the model does not have (with the nearest), a
// shape that contradicts the declaration, two values for one dimension name, a dimension that nothing resolves.
Result<std::vector<graph::TensorType>> resolve_input_types(const std::vector<ValueInfo>& inputs,
                                                           const ImportOptions& options);

}  // namespace presil::onnx
