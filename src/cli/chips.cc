#include <fmt/format.h>

#include "base/hash.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "cli/commands.h"
#include "report/summary.h"
#include "spec/chip_file.h"

namespace presil::cli {
namespace {

void print_json(const std::vector<spec::ChipSpec>& chips) {
  JsonWriter json;
  json.begin_array();
  for (const spec::ChipSpec& chip : chips) {
    json.begin_object().member("name", chip.name).member("spec_hash", hash_name(spec_hash(chip)));
    json.member("cores", chip.cores).member("rows", chip.tensor.rows).member("columns", chip.tensor.columns);
    json.member("bf16_macs_per_second", report::peak_macs_per_s(chip, "bf16"));
    json.member("sbuf_bytes", chip.sbuf.partitions * chip.sbuf.bytes_per_partition);
    json.member("psum_bytes", chip.psum.partitions * chip.psum.bytes_per_partition);
    json.member("hbm_bound_bytes_per_second", report::hbm_bound_bytes_per_s(chip)).end_object();
  }
  fmt::print("{}", json.end_array().take());
}

void print_table(const std::vector<spec::ChipSpec>& chips) {
  fmt::print("{:<8}{:>6}{:>10}{:>16}{:>12}{:>12}{:>14}  {}\n", "chip", "cores", "array", "bf16 Tmac/s", "SBUF", "PSUM",
             "HBM GB/s", "spec hash");
  for (const spec::ChipSpec& chip : chips) {
    fmt::print("{:<8}{:>6}{:>10}{:>16.1f}{:>12}{:>12}{:>14.1f}  {}\n", chip.name, chip.cores,
               fmt::format("{}x{}", chip.tensor.rows, chip.tensor.columns),
               report::peak_macs_per_s(chip, "bf16") * 1e-12,
               bytes_text(chip.sbuf.partitions * chip.sbuf.bytes_per_partition),
               bytes_text(chip.psum.partitions * chip.psum.bytes_per_partition),
               report::hbm_bound_bytes_per_s(chip) * 1e-9, hash_name(spec_hash(chip)));
  }
  fmt::print("Figures are of one core. `presil show CHIP` prints every parameter.\n");
}

}  // namespace

Result<int> run_chips(const ChipsOptions& options) {
  std::vector<spec::ChipSpec> chips;
  for (const std::string& name : spec::chip_names()) chips.push_back(TRY(spec::load_chip(name)));
  options.json ? print_json(chips) : print_table(chips);
  return 0;
}

}  // namespace presil::cli
