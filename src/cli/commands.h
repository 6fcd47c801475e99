// One function per command: does it, prints, and returns 0 or 1 (the simulated program failed); an Error becomes exit
// code 2 in main, or 130 when the command was interrupted.
#pragma once
#include "base/result.h"
#include "cli/options.h"

namespace presil::cli {

Result<int> run_chips(const ChipsOptions& options);
Result<int> run_ops(const OpsOptions& options);
Result<int> run_show(const ShowOptions& options);
Result<int> run_compile(const CompileOptions& options);
Result<int> run_run(const RunOptions& options);
Result<int> run_report(const ReportOptions& options);
Result<int> run_bench(const BenchOptions& options);
Result<int> run_fit_activation(const FitActivationOptions& options);
Result<int> run_nki(const NkiOptions& options);  // returns only if no interpreter can be started
Result<int> run_validate(const ValidateOptions& options);

}  // namespace presil::cli
