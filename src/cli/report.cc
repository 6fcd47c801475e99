#include "cli/commands.h"
#include "cli/host.h"
#include "runtime/artifacts.h"
#include "runtime/file.h"
#include "trace/save.h"

namespace presil::cli {

Result<int> run_report(const ReportOptions& options) {
  TRY(options.output.ends_with(".pftrace") ? runtime::check_trace_path(options.output, "-o")
                                           : runtime::check_report_path(options.output, "-o"));
  const auto bytes = TRY(runtime::read_file(options.trace));
  const trace::Trace trace = TRY(trace::load(bytes, options.trace));
  TRY(runtime::write_artifact(options.output, trace, cancel_on_signal()));
  return 0;
}

}  // namespace presil::cli
