// The table of supported ONNX operators: one row each, in alphabetical order.
#pragma once
#include <string_view>
#include <vector>

#include "onnx/conversion.h"

namespace presil::onnx {

// Turns one node into primitives; returns its outputs. An unnamed optional output may be missing at the end.
using Convert = Result<Tensors> (*)(Conversion&);

struct OperatorRow {
  std::string_view name;
  int64_t min_opset, max_opset;
  Convert convert;
};

const std::vector<OperatorRow>& operators();

inline constexpr int64_t kOpsetMin = 7;
int64_t opset_max();  // the newest that the ONNX schema at hand knows

}  // namespace presil::onnx
