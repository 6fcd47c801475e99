// Bytes of a .onnx file to plain values.
#pragma once
#include "base/result.h"
#include "onnx/model.h"

namespace presil::onnx {

// The result's tensors view `file`. Errors: bytes that are not an ONNX model, truncated or damaged ones.
Result<Model> parse_model(std::span<const std::byte> file);

}  // namespace presil::onnx
