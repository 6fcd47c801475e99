// One run of a workload: inputs in, outputs, counters and findings out; and what is written about it.
#pragma once
#include <string>
#include <vector>

#include "compiler/lower_bound.h"
#include "report/summary.h"
#include "runtime/inputs.h"
#include "runtime/workload.h"
#include "system/run.h"
#include "trace/trace.h"

namespace presil::runtime {

struct RunOptions {
  bool data = true;      // compute tensor values, not only time
  bool check = true;     // with data: chip/checker.h
  uint64_t seed = 0;     // of the inputs that are not given
  uint32_t threads = 0;  // of the host, 0: all; no result depends on it
  const Cancel* cancel = nullptr;
  chip::Assumptions assume{};            // system::Options
  uint64_t jumps_max = chip::kJumpsMax;  // the same
};

struct Run {
  system::RunResult result;
  report::Summary summary;
  double simulate_seconds = 0;  // on the host
};

// Inputs that are not given are drawn; without data none is needed and none may be wrong. Errors:
// inputs that make_inputs refuses, a workload without data that is to run with it, `cancelled`.
// A trace gets the events and what a report says about them, but for About::what_ifs (runtime/artifacts.h).
Result<Run> run(const Workload& workload, const RunOptions& options, std::vector<NamedArray> inputs,
                trace::Trace* trace = nullptr);

struct OutputRow {
  std::string name, dtype;
  std::vector<int64_t> shape;
  std::string file;  // in the output folder; empty when none was written
};

// Every output of the workload; with `folder`, the run's values go there as .npy files.
Result<std::vector<OutputRow>> write_outputs(const Workload& workload, const Run& run, const std::string& folder,
                                             const Cancel* cancel = nullptr);

// The least time that the model takes on the chip, computed from its graph; nothing for an executable.
std::optional<compiler::LowerBound> lower_bound_of(const Workload&, const report::Summary&);

// One JSON object, fields as in docs/schema/run.json (run_json.cc).
std::string run_json(const Workload& workload, const RunOptions& options, const Run& run,
                     const std::vector<OutputRow>& outputs);

}  // namespace presil::runtime
