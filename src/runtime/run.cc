#include "runtime/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <thread>

#include "report/perfetto.h"
#include "report/run_document.h"
#include "runtime/file.h"
#include "runtime/host.h"

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

Result<trace::Trace> trace_again(const Workload& workload, const Run& run, const Cancel* cancel) {
  trace::Trace trace;
  auto again = TRY(system::run(workload.executable, workload.chip, {.cancel = cancel}, {}, &trace));
  if (again.trace_hash == run.result.trace_hash) return trace;
  return unsupported("a run that stopped because of its data has no trace: " + chip::outcome_text(run.result.outcome));
}

}  // namespace

Result<Run> run(const Workload& workload, const RunOptions& options, std::vector<NamedArray> inputs,
                trace::Trace* trace) {
  if (options.cores != 1) {
    return unsupported(fmt::format("{} cores asked for; a run uses one core", options.cores), "--cores");
  }
  inputs = TRY(make_inputs(workload.executable, std::move(inputs), options.seed, options.data));
  std::vector<system::Input> views;
  for (const NamedArray& input : inputs) views.push_back({input.name, input.array.bytes});

  Stopwatch watch;
  const uint32_t threads = options.threads > 0 ? options.threads : std::thread::hardware_concurrency();
  const system::Options system{
      .data = options.data, .check = options.data && options.check, .threads = threads, .cancel = options.cancel};
  Run run{.result = TRY(system::run(workload.executable, workload.chip, system, views, trace))};
  run.simulate_seconds = watch.seconds();
  run.summary = report::summarize(workload.executable, workload.chip, run.result);
  return run;
}

Result<std::vector<OutputRow>> write_outputs(const Workload& workload, const Run& run, const std::string& folder,
                                             const Cancel* cancel) {
  if (!folder.empty()) TRY(make_folder(folder));
  std::vector<OutputRow> rows;
  const std::vector<system::Output>& values = run.result.outputs;
  for (const isa::HbmTensor& tensor : workload.executable.tensors) {
    if (tensor.role != isa::TensorRole::output) continue;
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

Result<void> check_report_path(const std::string& path, const std::string& option) {
  if (!path.ends_with(".html") && !path.ends_with(".md")) {
    return bad_input(fmt::format("'{}' ends in neither .html nor .md", path), option);
  }
  return check_folder_of(path, option);
}

Result<void> check_trace_path(const std::string& path, const std::string& option) {
  if (!path.ends_with(".pftrace")) {
    return bad_input(fmt::format("'{}' does not end in .pftrace", path), option);
  }
  return check_folder_of(path, option);
}

Result<void> write_report(const std::string& path, const Workload& workload, const Run& run, const trace::Trace& trace,
                          const Cancel* cancel) {
  auto document = report::run_document(workload.executable, run.summary, trace);
  return write_file(path, path.ends_with(".md") ? print_markdown(document) : print_html(document), cancel);
}

Result<void> write_trace(const std::string& path, const Workload& workload, const trace::Trace& trace,
                         const Cancel* cancel) {
  return write_file(path, report::print_perfetto(trace, workload.executable), cancel);
}

Result<void> rerun_for_report(const std::string& path, const Workload& workload, const Run& run, const Cancel* cancel) {
  TRY(check_report_path(path, "report"));
  return write_report(path, workload, run, TRY(trace_again(workload, run, cancel)), cancel);
}

Result<void> rerun_for_trace(const std::string& path, const Workload& workload, const Run& run, const Cancel* cancel) {
  TRY(check_trace_path(path, "trace"));
  return write_trace(path, workload, TRY(trace_again(workload, run, cancel)), cancel);
}

}  // namespace presil::runtime
