#include <fmt/format.h>

#include "base/hash.h"
#include "base/text.h"
#include "cli/commands.h"
#include "report/summary.h"
#include "runtime/lists.h"

namespace presil::cli {
namespace {

void print_table(const std::vector<spec::ChipSpec>& chips) {
  fmt::print("{:<12}{:>6}{:>10}{:>16}{:>12}{:>12}{:>14}  {}\n", "chip", "cores", "array", "bf16 Tmac/s", "SBUF", "PSUM",
             "HBM GB/s", "spec hash");
  for (const spec::ChipSpec& chip : chips) {
    fmt::print("{:<12}{:>6}{:>10}{:>16.1f}{:>12}{:>12}{:>14.1f}  {}\n", chip.name, chip.cores,
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
  if (options.json) {
    fmt::print("{}", TRY(runtime::chips_json()));
  } else {
    print_table(TRY(runtime::bundled_chips()));
  }
  return 0;
}

}  // namespace presil::cli
