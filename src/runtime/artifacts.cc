#include "runtime/artifacts.h"

#include <fmt/format.h>

#include "isa/control.h"
#include "report/page.h"
#include "report/perfetto.h"
#include "report/run_document.h"
#include "report/what_if.h"
#include "runtime/file.h"
#include "trace/save.h"

namespace presil::runtime {
namespace {

Result<void> rerun(const std::string& path, const Workload& workload, const Run& run, const Cancel* cancel) {
  trace::Trace trace;
  const Run again = TRY(runtime::run(workload, {.data = false, .cancel = cancel}, {}, &trace));
  if (again.result.trace_hash != run.result.trace_hash) {
    return unsupported("a run that stopped because of its data has no trace: " +
                       chip::outcome_text(run.result.outcome));
  }
  if (!path.ends_with(".pftrace")) TRY(try_changes(workload, again, trace, cancel));
  return write_artifact(path, trace, cancel);
}

}  // namespace

Result<void> check_report_path(const std::string& path, const std::string& option) {
  if (!path.ends_with(".html") && !path.ends_with(".md")) {
    return bad_input(fmt::format("'{}' ends in neither .html nor .md", path), option);
  }
  return check_folder_of(path, option);
}

Result<void> check_trace_path(const std::string& path, const std::string& option) {
  if (!path.ends_with(".pftrace") && !path.ends_with(".trace")) {
    return bad_input(fmt::format("'{}' ends in neither .pftrace nor .trace", path), option);
  }
  return check_folder_of(path, option);
}

Result<void> try_changes(const Workload& workload, const Run& run, trace::Trace& trace, const Cancel* cancel) {
  if (!run.result.outcome.ok()) return {};
  // Other chips are tried in time only, where nobody knows which way a branch goes.
  if (isa::has_control(workload.executable)) return {};
  report::Judge judge;
  if (workload.compile_for) {
    judge = [&](const spec::ChipSpec& chip) -> Result<Time> {
      const isa::Executable executable = TRY(workload.compile_for(chip, cancel));
      return TRY(system::run(executable, chip, {.cancel = cancel})).elapsed;
    };
  }
  trace.about.what_ifs = TRY(report::what_ifs(workload.executable, workload.chip, run.result.elapsed, judge, cancel));
  return {};
}

Result<void> write_artifact(const std::string& path, const trace::Trace& trace, const Cancel* cancel) {
  if (path.ends_with(".html")) return write_file(path, report::print_page(trace), cancel);
  if (path.ends_with(".md")) return write_file(path, print_markdown(report::run_document(trace)), cancel);
  if (path.ends_with(".pftrace")) return write_file(path, report::print_perfetto(trace), cancel);
  return write_file(path, trace::save(trace), cancel);
}

Result<void> write_report(const std::string& path, const Workload& workload, const Run& run, trace::Trace trace,
                          const Cancel* cancel) {
  TRY(check_report_path(path, "report"));
  TRY(try_changes(workload, run, trace, cancel));
  return write_artifact(path, trace, cancel);
}

Result<void> write_trace(const std::string& path, const trace::Trace& trace, const Cancel* cancel) {
  TRY(check_trace_path(path, "trace"));
  return write_artifact(path, trace, cancel);
}

Result<void> rerun_for_report(const std::string& path, const Workload& workload, const Run& run, const Cancel* cancel) {
  TRY(check_report_path(path, "report"));
  return rerun(path, workload, run, cancel);
}

Result<void> rerun_for_trace(const std::string& path, const Workload& workload, const Run& run, const Cancel* cancel) {
  TRY(check_trace_path(path, "trace"));
  return rerun(path, workload, run, cancel);
}

}  // namespace presil::runtime
