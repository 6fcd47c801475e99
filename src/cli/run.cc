#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/simulate.h"

namespace presil::cli {

Result<int> run_run(const RunOptions& options) {
  Progress progress("compiling");
  auto load = TRY(workload_options(options.workload, !options.simulation.no_data, cancel_on_signal()));
  load.cores = options.simulation.cores;
  const auto workload = TRY(runtime::load_workload(load));
  return simulate(workload, options.simulation, options.inputs, options.output_dir, progress);
}

}  // namespace presil::cli
