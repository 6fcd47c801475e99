#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/bench_graphs.h"
#include "cli/commands.h"
#include "cli/simulate.h"
#include "runtime/host.h"
#include "runtime/narrow_gemm.h"
#include "spec/chip_file.h"

namespace presil::cli {
namespace {

using Narrow = kernels::NarrowGemm;

// Precisions that lie in memory as one of the element types of a graph.
Result<DType> dtype_of(const BenchOptions& o) {
  const std::string& precision = o.precision;
  std::vector<std::string> names = {"fp32", "tf32", "bf16", "fp16"};
  if (precision == "tf32") return DType::fp32;
  if (std::find(names.begin(), names.end(), precision) != names.end()) return *dtype_from_name(precision);
  if (o.kind == BenchOptions::Kind::gemm) names.insert(names.end(), {"fp8", "mxfp8"});
  return bad_input(fmt::format("'{}' is not one of {}", precision, fmt::join(names, ", ")), "--precision",
                   nearest_hint(precision, names));
}

// Products with packed weights, which no graph expresses.
bool is_narrow(const BenchOptions& o) {
  const bool format = o.precision == "fp8" || o.precision == "mxfp8";
  return o.kind == BenchOptions::Kind::gemm && (format || !o.sparsity.empty());
}

Result<Narrow> narrow_of(const BenchOptions& o) {
  Narrow g{.m = o.m, .n = o.n, .k = o.k};
  g.kind = o.precision == "fp8" ? Narrow::Kind::fp8 : Narrow::Kind::mxfp8;
  if (o.sparsity.empty()) return g;
  if (o.precision != "bf16") return bad_input(fmt::format("goes with bf16, not with {}", o.precision), "--sparsity");
  static const std::vector<std::string> patterns = {"4:16", "4:12", "4:8", "2:8", "2:4", "1:4", "1:2"};
  if (std::find(patterns.begin(), patterns.end(), o.sparsity) == patterns.end()) {
    return bad_input(fmt::format("'{}' is not one of {}", o.sparsity, fmt::join(patterns, ", ")), "--sparsity",
                     nearest_hint(o.sparsity, patterns));
  }
  g.kind = Narrow::Kind::sparse;
  g.kept = static_cast<uint32_t>(o.sparsity[0] - '0');
  g.of = static_cast<uint32_t>(std::stoi(o.sparsity.substr(2)));
  return g;
}

Result<int> run_narrow(const BenchOptions& o) {
  Progress progress("compiling");
  runtime::Stopwatch watch;
  runtime::NarrowGemmOptions options{.gemm = TRY(narrow_of(o)),
                                     .seed = o.simulation.seed,
                                     .cores = o.simulation.cores,
                                     .with_data = !o.simulation.no_data,
                                     .cancel = cancel_on_signal()};
  std::vector<std::string> inputs;
  for (const std::string& input : o.inputs) {
    if (!input.starts_with("a=")) {
      inputs.push_back(input);
      continue;
    }
    options.weights = TRY(runtime::read_named(input));
    options.with_data = true;
  }
  auto w = TRY(runtime::narrow_gemm_workload(options, TRY(spec::load_chip(o.chip))));
  w.compile_seconds = watch.seconds();
  return simulate(w, o.simulation, inputs, o.output_dir, progress);
}

}  // namespace

Result<int> run_bench(const BenchOptions& options) {
  if (is_narrow(options)) return run_narrow(options);
  Progress progress("compiling");
  runtime::Stopwatch watch;
  const DType dtype = TRY(dtype_of(options));
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
