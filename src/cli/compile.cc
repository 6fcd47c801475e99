#include <fmt/format.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/host.h"
#include "cli/workload.h"
#include "isa/encode.h"
#include "runtime/file.h"

namespace presil::cli {

Result<int> run_compile(const CompileOptions& options) {
  if (!has_suffix(options.output, ".presil")) {
    return bad_input(fmt::format("'{}' does not end in .presil", options.output), "-o");
  }
  if (has_suffix(options.workload.path, ".presil")) {
    return bad_input("is compiled already; expected a model", options.workload.path);
  }
  TRY(runtime::check_folder_of(options.output, "-o"));
  TRY(runtime::check_folder_of(options.plan_out, "--plan-out"));
  Progress progress("compiling");
  Workload w = TRY(load_workload(options.workload, !options.no_data));
  progress.phase("writing");
  const auto bytes = TRY(isa::encode(w.executable));
  TRY(runtime::write_file(options.output, bytes));
  if (!options.plan_out.empty()) TRY(runtime::write_file(options.plan_out, compiler::print(*w.plan, &*w.graph)));
  progress.clear();
  size_t instructions = 0;
  for (const isa::Program& queue : w.executable.queues) instructions += queue.code.size();
  fmt::print("{}: {} instructions in {} queues, {} of HBM, {} on disk; compiled for {} in {}\n", options.output,
             instructions, w.executable.queues.size(), bytes_text(w.executable.hbm_bytes), bytes_text(bytes.size()),
             w.chip.name, seconds_text(w.compile_seconds));
  return 0;
}

}  // namespace presil::cli
