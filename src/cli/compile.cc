#include <fmt/format.h>

#include "base/text.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/host.h"
#include "cli/simulate.h"
#include "runtime/file.h"

namespace presil::cli {

Result<int> run_compile(const CompileOptions& options) {
  const Cancel* cancel = cancel_on_signal();
  TRY(runtime::check_executable_path(options.output, "-o"));
  TRY(runtime::check_folder_of(options.plan_out, "--plan-out"));
  if (options.workload.path.ends_with(".presil")) {
    return bad_input("is compiled already; expected a model", options.workload.path);
  }
  Progress progress("compiling");
  auto load = TRY(workload_options(options.workload, !options.no_data, cancel));
  load.cores = options.cores;
  auto w = TRY(runtime::load_workload(load));
  progress.phase("writing");
  const uint64_t bytes = TRY(runtime::save_executable(w, options.output, "-o", cancel));
  if (!options.plan_out.empty() && !w.plan)
    return unsupported("a model with branches is compiled in pieces, which have a plan each", "--plan-out");
  if (!options.plan_out.empty()) {
    TRY(runtime::write_file(options.plan_out, compiler::print(*w.plan, &*w.graph), cancel));
  }
  progress.clear();
  size_t instructions = 0;
  for (const isa::Program& queue : w.executable.queues) instructions += queue.code.size();
  fmt::print("{}: {} instructions in {} queues, {} of HBM, {} on disk; compiled for {} in {}\n", options.output,
             instructions, w.executable.queues.size(), bytes_text(w.executable.hbm_bytes), bytes_text(bytes),
             w.executable.cores == 1 ? w.chip.name : cores_text(w.executable.cores, w.chip.name),
             seconds_text(w.compile_seconds));
  return 0;
}

}  // namespace presil::cli
