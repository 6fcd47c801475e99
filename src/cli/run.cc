#include "cli/commands.h"
#include "cli/simulate.h"

namespace presil::cli {

Result<int> run_run(const RunOptions& options) {
  Progress progress("compiling");
  Workload workload = TRY(load_workload(options.workload, !options.simulation.no_data));
  return simulate(workload, options.simulation, options.inputs, options.output_dir, progress);
}

}  // namespace presil::cli
