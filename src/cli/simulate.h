// Runs a workload on a simulated core, prints the result, writes what was asked for. Shared by `run` and `bench`.
#pragma once
#include <string>
#include <vector>

#include "cli/host.h"
#include "cli/workload.h"
#include "report/summary.h"
#include "system/run.h"

namespace presil::cli {

struct OutputRow {
  std::string name, dtype;
  std::vector<int64_t> shape;
  std::string file;  // in the output folder; empty when none was written
};

// A finished run with everything that is printed about it.
struct RunRecord {
  const Workload& workload;
  const SimulationOptions& options;
  system::RunResult run;
  report::Summary summary;
  std::vector<OutputRow> outputs;
  double simulate_seconds = 0;
};

// `inputs` are "NAME=FILE.npy". Returns the exit code: 0, or 1 when the simulated program failed.
Result<int> simulate(const Workload& workload, const SimulationOptions& options, const std::vector<std::string>& inputs,
                     const std::string& output_dir, Progress& progress);

// One JSON object, fields as in docs/schema/run.json (result_json.cc).
std::string result_json(const RunRecord& record);

}  // namespace presil::cli
