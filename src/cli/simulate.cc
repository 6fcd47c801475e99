#include "cli/simulate.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/arguments.h"
#include "runtime/artifacts.h"

namespace presil::cli {
namespace {

void print_text(const runtime::Workload& w, const runtime::RunOptions& options, const runtime::Run& run,
                const std::vector<runtime::OutputRow>& outputs, uint32_t asked) {
  const report::Summary& s = run.summary;
  if (!run.result.outcome.ok()) {
    fmt::print("{}\n", chip::outcome_text(run.result.outcome));
    return;
  }
  fmt::print("{} on {}, {}: {}, bound by {}\n", w.executable.model,
             cores_text(w.executable.cores * w.executable.lnc, w.chip.name), s.precision, seconds_text(s.seconds),
             s.bound_by);
  if (w.executable.cores < asked) {
    fmt::print("  fewer cores than {}: only a batch of inputs that divides evenly is shared\n", asked);
  }
  fmt::print("  ideal {}, mfu {:.1f} %, HBM bound {:.1f} %, {} instructions\n", seconds_text(s.ideal_seconds),
             100 * s.mfu, 100 * s.hbm_bound_fraction, s.instructions);
  if (const auto bound = runtime::lower_bound_of(w, s); bound && s.seconds > 0) {
    fmt::print("  least time for its graph {} ({}): {:.1f} % of what it takes\n", seconds_text(bound->seconds()),
               bound->resource(), 100 * bound->seconds() / s.seconds);
  }
  for (const auto& [node, value] : options.assume) fmt::print("  assumed: {} = {}\n", node, value);
  fmt::print("  busy:");
  for (const report::EngineRow& row : s.engines) fmt::print(" {} {:.1f} %", row.name, 100 * row.busy_fraction);
  fmt::print("\n");
  for (const runtime::OutputRow& row : outputs) {
    if (!row.file.empty()) fmt::print("  output {}: {}\n", row.name, row.file);
  }
}

}  // namespace

std::string cores_text(uint32_t cores, const std::string& chip) {
  return cores == 1 ? fmt::format("one {} core", chip) : fmt::format("{} {} cores", cores, chip);
}

Result<int> simulate(const runtime::Workload& workload, const SimulationOptions& o,
                     const std::vector<std::string>& inputs, const std::string& output_dir, Progress& progress) {
  const Cancel* cancel = cancel_on_signal();
  if (!o.report.empty()) TRY(runtime::check_report_path(o.report, "--report"));
  if (!o.trace.empty()) TRY(runtime::check_trace_path(o.trace, "--trace"));
  std::vector<runtime::NamedArray> arrays;
  for (const std::string& argument : inputs) arrays.push_back(TRY(runtime::read_named(argument)));
  const runtime::RunOptions options{
      !o.no_data, o.check, o.seed, o.threads, cancel, TRY(parse_assumptions(o.assume)), o.max_iterations};

  progress.phase("simulating");
  trace::Trace trace;
  const bool wants_trace = !o.trace.empty() || !o.report.empty();
  const auto run = TRY(runtime::run(workload, options, std::move(arrays), wants_trace ? &trace : nullptr));
  if (!o.report.empty() || o.trace.ends_with(".trace")) {
    progress.phase("trying other chips");
    TRY(runtime::try_changes(workload, run, trace, cancel));
  }
  progress.phase("writing");
  const auto outputs = TRY(runtime::write_outputs(workload, run, output_dir, cancel));
  for (const std::string& path : {o.report, o.trace}) {
    if (!path.empty()) TRY(runtime::write_artifact(path, trace, cancel));
  }
  progress.clear();
  o.json ? fmt::print("{}", runtime::run_json(workload, options, run, outputs))
         : print_text(workload, options, run, outputs, o.cores);
  return run.result.outcome.ok() ? 0 : 1;
}

}  // namespace presil::cli
