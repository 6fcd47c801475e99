#include "cli/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <thread>

#include "base/text.h"
#include "report/perfetto.h"
#include "report/run_document.h"
#include "runtime/file.h"
#include "runtime/inputs.h"

namespace presil::cli {
namespace {

// Everything that can be refused before any work is done.
Result<void> check_options(const SimulationOptions& o) {
  if (o.cores != 1) return unsupported(fmt::format("{} cores asked for; a run uses one core", o.cores), "--cores");
  if (!o.report.empty() && !has_suffix(o.report, ".html") && !has_suffix(o.report, ".md")) {
    return bad_input(fmt::format("'{}' ends in neither .html nor .md", o.report), "--report");
  }
  if (!o.trace.empty() && !has_suffix(o.trace, ".pftrace")) {
    return bad_input(fmt::format("'{}' does not end in .pftrace", o.trace), "--trace");
  }
  TRY(runtime::check_folder_of(o.report, "--report"));
  TRY(runtime::check_folder_of(o.trace, "--trace"));
  return {};
}

// A name that can be a file's: what else a tensor's name has becomes '_'.
std::string file_name(const std::string& tensor) {
  std::string name = tensor;
  for (char& c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_';
    if (!plain) c = '_';
  }
  return name + ".npy";
}

// Every output of the executable; their values go to `folder` if the run has them and one is named.
Result<std::vector<OutputRow>> write_outputs(const isa::Executable& executable, system::RunResult& run,
                                             const std::string& folder) {
  if (!folder.empty()) TRY(runtime::make_folder(folder));
  std::vector<OutputRow> rows;
  for (const isa::HbmTensor& tensor : executable.tensors) {
    if (tensor.role != isa::TensorRole::output) continue;
    OutputRow row{tensor.name, std::string(dtype_name(tensor.dtype)), tensor.shape, {}};
    auto values = std::ranges::find(run.outputs, tensor.name, &system::Output::name);
    if (!folder.empty() && run.outcome.ok() && values != run.outputs.end()) {
      row.file = file_name(tensor.name);
      TRY(runtime::write_npy(folder + "/" + row.file, {tensor.dtype, tensor.shape, std::move(values->bytes)}));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<void> write_files(const RunRecord& record, const trace::Trace& trace) {
  const SimulationOptions& o = record.options;
  if (!o.report.empty()) {
    auto document = report::run_document(record.workload.executable, record.summary, trace);
    TRY(runtime::write_file(o.report, has_suffix(o.report, ".md") ? print_markdown(document) : print_html(document)));
  }
  if (!o.trace.empty()) TRY(runtime::write_file(o.trace, report::print_perfetto(trace, record.workload.executable)));
  return {};
}

void print_text(const RunRecord& record) {
  const report::Summary& s = record.summary;
  const Workload& w = record.workload;
  if (!record.run.outcome.ok()) {
    fmt::print("{}\n", chip::outcome_text(record.run.outcome));
    return;
  }
  fmt::print("{} on one {} core, {}: {}, bound by {}\n", w.executable.model, w.chip.name, s.precision,
             seconds_text(s.seconds), s.bound_by);
  fmt::print("  ideal {}, mfu {:.1f} %, HBM bound {:.1f} %, {} instructions\n", seconds_text(s.ideal_seconds),
             100 * s.mfu, 100 * s.hbm_bound_fraction, s.instructions);
  fmt::print("  busy:");
  for (const report::EngineRow& row : s.engines) fmt::print(" {} {:.1f} %", row.name, 100 * row.busy_fraction);
  fmt::print("\n");
  for (const OutputRow& row : record.outputs) {
    if (!row.file.empty()) fmt::print("  output {}: {}\n", row.name, row.file);
  }
}

}  // namespace

Result<int> simulate(const Workload& workload, const SimulationOptions& options, const std::vector<std::string>& inputs,
                     const std::string& output_dir, Progress& progress) {
  TRY(check_options(options));
  const bool data = !options.no_data;
  std::vector<runtime::NamedArray> arrays;
  for (const std::string& argument : inputs) arrays.push_back(TRY(runtime::read_named(argument)));
  if (data) arrays = TRY(runtime::make_inputs(workload.executable, std::move(arrays), options.seed));
  std::vector<system::Input> views;
  for (const runtime::NamedArray& input : arrays) views.push_back({input.name, input.array.bytes});

  RunRecord record{.workload = workload, .options = options};
  trace::Trace trace;
  const bool wants_trace = !options.trace.empty() || !options.report.empty();
  progress.phase("simulating");
  Stopwatch watch;
  const uint32_t threads = options.threads > 0 ? options.threads : std::thread::hardware_concurrency();
  record.run = TRY(system::run(workload.executable, workload.chip,
                               {.data = data, .check = data && options.check, .threads = threads}, views,
                               wants_trace ? &trace : nullptr));
  record.simulate_seconds = watch.seconds();
  record.summary = report::summarize(workload.executable, workload.chip, record.run);
  progress.phase("writing");
  record.outputs = TRY(write_outputs(workload.executable, record.run, output_dir));
  TRY(write_files(record, trace));
  progress.clear();
  options.json ? fmt::print("{}", result_json(record)) : print_text(record);
  return record.run.outcome.ok() ? 0 : 1;
}

}  // namespace presil::cli
