#include "cli/simulate.h"

#include <fmt/format.h>

#include "base/text.h"
#include "report/perfetto.h"
#include "report/run_document.h"
#include "runtime/file.h"

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
  return {};
}

Result<void> write_files(const RunRecord& record, const trace::Trace& trace) {
  const SimulationOptions& o = record.options;
  if (!o.report.empty()) {
    auto document = report::run_document(record.workload.executable, record.summary);
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
  fmt::print("{} on one {} core, {}: {}, bound by {}\n", w.executable.model, w.chip.name, w.executable.precision,
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
  if (!options.no_data || !inputs.empty() || !output_dir.empty())
    return unsupported("runs with data are not possible yet", "--no-data");
  RunRecord record{.workload = workload, .options = options};
  trace::Trace trace;
  progress.phase("simulating");
  Stopwatch watch;
  record.run = TRY(system::run(workload.executable, workload.chip, {}, {}, options.trace.empty() ? nullptr : &trace));
  record.simulate_seconds = watch.seconds();
  record.summary = report::summarize(workload.executable, workload.chip, record.run);
  progress.phase("writing");
  TRY(write_files(record, trace));
  options.json ? fmt::print("{}", result_json(record)) : print_text(record);
  return record.run.outcome.ok() ? 0 : 1;
}

}  // namespace presil::cli
