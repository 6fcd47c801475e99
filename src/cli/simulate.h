// Runs a workload on a simulated core, prints the result, writes what was asked for. Shared by `run` and `bench`.
#pragma once
#include <string>
#include <vector>

#include "cli/host.h"
#include "cli/options.h"
#include "runtime/workload.h"

namespace presil::cli {

// "one trn2 core", "8 trn2 cores".
std::string cores_text(uint32_t cores, const std::string& chip);

// `inputs` are "NAME=FILE.npy". Returns the exit code: 0, or 1 when the simulated program failed.
Result<int> simulate(const runtime::Workload& workload, const SimulationOptions& options,
                     const std::vector<std::string>& inputs, const std::string& output_dir, Progress& progress);

}  // namespace presil::cli
