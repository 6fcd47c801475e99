// The nodes of a model in an order in which every operand exists before it is read.
#pragma once
#include <vector>

#include "base/result.h"
#include "onnx/model.h"

namespace presil::onnx {

// Indices into model.nodes; the model's own order where it is one. Errors: a tensor produced twice or read but never
// produced, a cycle.
Result<std::vector<size_t>> node_order(const Model& model);

}  // namespace presil::onnx
