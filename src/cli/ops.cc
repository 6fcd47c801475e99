#include <fmt/format.h>

#include <algorithm>

#include "base/json_writer.h"
#include "cli/commands.h"
#include "isa/opcode.h"
#include "onnx/operators.h"

namespace presil::cli {
namespace {

std::vector<std::string> engines_of(const isa::InstructionRow& row) {
  std::vector<std::string> names;
  for (int e = 0; e < isa::kEngineKindCount; ++e) {
    auto kind = static_cast<isa::EngineKind>(e);
    if (row.engines & isa::engine_bit(kind)) names.emplace_back(isa::engine_name(kind));
  }
  return names;
}

void write_names(JsonWriter& json, std::string_view key, const auto& rows, auto name) {
  json.key(key).begin_array();
  for (const auto& row : rows) json.value(name(row));
  json.end_array();
}

void print_instructions_json() {
  auto name = [](const auto& row) { return row.name; };
  JsonWriter json;
  json.begin_array();
  for (const isa::InstructionRow& row : isa::all_rows()) {
    json.begin_object().member("name", row.name).member("summary", row.summary);
    json.member("first_generation", row.first_generation);
    write_names(json, "engines", engines_of(row), [](const std::string& text) { return text; });
    write_names(json, "operands", row.operands, name);
    write_names(json, "attributes", row.attributes, name);
    json.end_object();
  }
  fmt::print("{}", json.end_array().take());
}

void print_instructions() {
  for (const isa::InstructionRow& row : isa::all_rows()) {
    fmt::print("{:<24}{:<28}{}\n", row.name, fmt::format("{}", fmt::join(engines_of(row), " ")), row.summary);
  }
}

void print_operators_json() {
  JsonWriter json;
  json.begin_array();
  for (const onnx::OperatorRow& row : onnx::operators()) {
    json.begin_object().member("name", row.name).member("min_opset", row.min_opset);
    json.member("max_opset", std::min(row.max_opset, onnx::opset_max())).end_object();
  }
  fmt::print("{}", json.end_array().take());
}

void print_operators() {
  fmt::print("{:<28}{}\n", "ONNX operator", "opsets");
  for (const onnx::OperatorRow& row : onnx::operators()) {
    fmt::print("{:<28}{} to {}\n", row.name, row.min_opset, std::min(row.max_opset, onnx::opset_max()));
  }
}

}  // namespace

Result<int> run_ops(const OpsOptions& options) {
  if (options.isa) {
    options.json ? print_instructions_json() : print_instructions();
  } else {
    options.json ? print_operators_json() : print_operators();
  }
  return 0;
}

}  // namespace presil::cli
