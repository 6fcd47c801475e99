#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/commands.h"
#include "onnx/operators.h"
#include "runtime/lists.h"

namespace presil::cli {
namespace {

void print_instructions() {
  for (const isa::InstructionRow& row : isa::all_rows()) {
    fmt::print("{:<24}{:<28}{}\n", row.name, fmt::format("{}", fmt::join(runtime::engines_of(row), " ")), row.summary);
  }
}

void print_operators() {
  fmt::print("{:<28}{}\n", "ONNX operator", "opsets");
  for (const onnx::OperatorRow& row : onnx::operators()) {
    fmt::print("{:<28}{} to {}\n", row.name, row.min_opset, std::min(row.max_opset, onnx::opset_max()));
  }
}

}  // namespace

Result<int> run_ops(const OpsOptions& options) {
  if (options.json) {
    fmt::print("{}", options.isa ? runtime::instructions_json() : runtime::operators_json());
  } else {
    options.isa ? print_instructions() : print_operators();
  }
  return 0;
}

}  // namespace presil::cli
