// Element types and tensor values of a model as ours.
#pragma once
#include "graph/builder.h"
#include "onnx/import.h"
#include "onnx/model.h"

namespace presil::onnx {

std::string data_type_name(int32_t data_type);  // "FLOAT16"; "data type 99" when unknown

// ONNX DataType to DType. Errors: unsupported types; double without the option.
Result<DType> to_dtype(int32_t data_type, const ImportOptions& options, const std::string& where);

// A constant of the graph with the tensor's name. Errors: type, negative or absurd dimensions, bytes that do not match
// the shape, external data that is missing, outside the model's folder or too short.
Result<graph::TensorId> add_tensor(graph::Builder& builder, const TensorValue& tensor, const ImportOptions& options);

}  // namespace presil::onnx
