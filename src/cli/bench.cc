#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/bench_graphs.h"
#include "cli/commands.h"
#include "cli/simulate.h"
#include "runtime/host.h"
#include "spec/chip_file.h"

namespace presil::cli {
namespace {

Result<DType> dtype_of(const std::string& precision) {
  static const std::vector<std::string> names = {"fp32", "bf16", "fp16"};
  if (std::find(names.begin(), names.end(), precision) != names.end()) return *dtype_from_name(precision);
  return bad_input(fmt::format("'{}' is not one of fp32, bf16, fp16", precision), "--precision",
                   nearest_hint(precision, names));
}

}  // namespace

Result<int> run_bench(const BenchOptions& options) {
  Progress progress("compiling");
  runtime::Stopwatch watch;
  const DType dtype = TRY(dtype_of(options.precision));
  const spec::ChipSpec chip = TRY(spec::load_chip(options.chip));
  BenchGraph bench = TRY(bench_graph(options, dtype, cancel_on_signal()));
  auto w = TRY(runtime::compile_workload(std::move(bench.graph), chip,
                                         {options.precision, cancel_on_signal(), options.simulation.cores}));
  w.compile_seconds = watch.seconds();
  w.compile_for = [options, dtype, cores = w.executable.cores](const spec::ChipSpec& other,
                                                               const Cancel* cancel) -> Result<isa::Executable> {
    auto again = TRY(bench_graph(options, dtype, cancel));
    return TRY(runtime::compile_workload(std::move(again.graph), other, {options.precision, cancel, cores})).executable;
  };
  return simulate(w, options.simulation, bench.inputs, options.output_dir, progress);
}

}  // namespace presil::cli
