#include "runtime/lists.h"

#include <algorithm>

#include "base/hash.h"
#include "base/json_writer.h"
#include "onnx/operators.h"
#include "report/summary.h"
#include "spec/chip_file.h"

namespace presil::runtime {
namespace {

void write_names(JsonWriter& json, std::string_view key, const auto& rows, auto name) {
  json.key(key).begin_array();
  for (const auto& row : rows) json.value(name(row));
  json.end_array();
}

}  // namespace

Result<std::vector<spec::ChipSpec>> bundled_chips() {
  std::vector<spec::ChipSpec> chips;
  for (const std::string& name : spec::chip_names()) chips.push_back(TRY(spec::load_chip(name)));
  return chips;
}

std::vector<std::string> engines_of(const isa::InstructionRow& row) {
  std::vector<std::string> names;
  for (int e = 0; e < isa::kEngineKindCount; ++e) {
    auto kind = static_cast<isa::EngineKind>(e);
    if (row.engines & isa::engine_bit(kind)) names.emplace_back(isa::engine_name(kind));
  }
  return names;
}

Result<std::string> chips_json() {
  JsonWriter json;
  json.begin_array();
  for (const spec::ChipSpec& chip : TRY(bundled_chips())) {
    json.begin_object().member("name", chip.name).member("spec_hash", hash_name(spec_hash(chip)));
    json.member("cores", chip.cores).member("rows", chip.tensor.rows).member("columns", chip.tensor.columns);
    json.member("bf16_macs_per_second", report::peak_macs_per_s(chip, "bf16"));
    json.member("sbuf_bytes", chip.sbuf.partitions * chip.sbuf.bytes_per_partition);
    json.member("psum_bytes", chip.psum.partitions * chip.psum.bytes_per_partition);
    json.member("hbm_bound_bytes_per_second", report::hbm_bound_bytes_per_s(chip)).end_object();
  }
  return json.end_array().take();
}

std::string operators_json() {
  JsonWriter json;
  json.begin_array();
  for (const onnx::OperatorRow& row : onnx::operators()) {
    json.begin_object().member("name", row.name).member("min_opset", row.min_opset);
    json.member("max_opset", std::min(row.max_opset, onnx::opset_max())).end_object();
  }
  return json.end_array().take();
}

std::string instructions_json() {
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
  return json.end_array().take();
}

}  // namespace presil::runtime
