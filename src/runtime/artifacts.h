// What a run leaves in files besides its outputs: reports and traces, all from its trace.
#pragma once
#include <string>

#include "runtime/run.h"

namespace presil::runtime {

// A report is .html or .md, a trace .pftrace (Perfetto) or .trace (saved, for reports later); `option` names the path
// in errors.
Result<void> check_report_path(const std::string& path, const std::string& option);
Result<void> check_trace_path(const std::string& path, const std::string& option);

// Adds what the run would take on other chips (report/what_if.h), for a run that got through, of
// a program without branches.
Result<void> try_changes(const Workload& workload, const Run& run, trace::Trace& trace, const Cancel* cancel = nullptr);

// By the ending of a checked path.
Result<void> write_artifact(const std::string& path, const trace::Trace& trace, const Cancel* cancel = nullptr);

// Report and trace of a run that was recorded.
Result<void> write_report(const std::string& path, const Workload& workload, const Run& run, trace::Trace trace,
                          const Cancel* cancel = nullptr);
Result<void> write_trace(const std::string& path, const trace::Trace& trace, const Cancel* cancel = nullptr);

// Report and trace of a run whose trace was not kept: it is run again for it, in time only. Error: the run ended at
// something that only its data brings about.
Result<void> rerun_for_report(const std::string& path, const Workload& workload, const Run& run,
                              const Cancel* cancel = nullptr);
Result<void> rerun_for_trace(const std::string& path, const Workload& workload, const Run& run,
                             const Cancel* cancel = nullptr);

}  // namespace presil::runtime
