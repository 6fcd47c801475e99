#include "runtime/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <thread>
#include <tuple>

#include "report/about.h"
#include "runtime/file.h"
#include "runtime/host.h"
#include "system/record.h"

namespace presil::runtime {
namespace {

// A name that can be a file's: what else a tensor's name has becomes '_'.
std::string file_name(const std::string& tensor) {
  std::string name = tensor;
  for (char& c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_';
    if (!plain) c = '_';
  }
  return name + ".npy";
}

// What was recorded, and what it was all about.
void describe(const Workload& workload, const system::RunResult& run, trace::Trace& trace) {
  std::vector<trace::Residency> memories = std::move(trace.about.memories);
  trace.about = report::about(workload.executable, workload.chip, run);
  trace.about.memories = std::move(memories);
  report::add_instruction_texts(workload.executable, trace.about);
  report::add_chip_fields(workload.chip, trace.about);
}

}  // namespace

Result<Run> run(const Workload& workload, const RunOptions& options, std::vector<NamedArray> inputs,
                trace::Trace* trace) {
  inputs = TRY(make_inputs(workload.executable, std::move(inputs), options.seed, options.data, options.cancel));
  std::vector<system::Input> views;
  for (const NamedArray& input : inputs) views.push_back({input.name, input.bytes()});

  Stopwatch watch;
  const uint32_t threads = options.threads > 0 ? options.threads : std::thread::hardware_concurrency();
  const system::Options system{.data = options.data,
                               .check = options.data && options.check,
                               .threads = threads,
                               .cancel = options.cancel,
                               .assume = options.assume,
                               .jumps_max = options.jumps_max};
  const auto& [executable, chip] = std::tie(workload.executable, workload.chip);
  Run run{.result = trace == nullptr ? TRY(system::run(executable, chip, system, views))
                                     : TRY(system::record(executable, chip, system, views, *trace))};
  run.simulate_seconds = watch.seconds();
  run.summary = report::summarize(executable, chip, run.result);
  if (trace != nullptr) describe(workload, run.result, *trace);
  return run;
}

Result<std::vector<OutputRow>> write_outputs(const Workload& workload, const Run& run, const std::string& folder,
                                             const Cancel* cancel) {
  if (!folder.empty()) TRY(make_folder(folder));
  std::vector<OutputRow> rows;
  const std::vector<system::Output>& values = run.result.outputs;
  for (const isa::HbmTensor& tensor : whole_tensors(workload.executable, isa::TensorRole::output)) {
    OutputRow row{tensor.name, std::string(dtype_name(tensor.dtype)), tensor.shape, {}};
    auto value = std::ranges::find(values, tensor.name, &system::Output::name);
    if (!folder.empty() && run.result.outcome.ok() && value != values.end()) {
      row.file = file_name(tensor.name);
      TRY(write_npy(folder + "/" + row.file, {tensor.dtype, tensor.shape, value->bytes}, cancel));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace presil::runtime
