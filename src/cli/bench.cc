#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/simulate.h"
#include "graph/builder.h"
#include "runtime/host.h"
#include "spec/chip_file.h"
#include "spec/quantity.h"

namespace presil::cli {
namespace {

// Elements of a row of the element-wise bench's tensor; the rows make up the rest.
constexpr int64_t kRowElements = 16384;

Result<DType> dtype_of(const std::string& precision) {
  static const std::vector<std::string> names = {"fp32", "bf16", "fp16"};
  if (std::find(names.begin(), names.end(), precision) != names.end()) return *dtype_from_name(precision);
  return bad_input(fmt::format("'{}' is not one of fp32, bf16, fp16", precision), "--precision",
                   nearest_hint(precision, names));
}

Result<graph::Graph> gemm(const BenchOptions& o, DType dtype) {
  graph::Builder b;
  b.set_source("gemm");
  auto x = b.input("a", {dtype, {o.m, o.k}}), y = b.input("b", {dtype, {o.k, o.n}});
  b.graph().outputs = {TRY(b.add(graph::Op::matmul, {x, y}))};
  b.graph().name = fmt::format("gemm {}x{}x{}", o.m, o.k, o.n);
  return std::move(b.graph());
}

// relu(x / 2 + 1)
Result<graph::Graph> elementwise(const BenchOptions& o, DType dtype) {
  auto parsed = spec::parse_quantity(o.bytes, spec::Unit::bytes);
  if (!parsed) return bad_input(parsed.error().text(), "--bytes");
  const uint64_t bytes = *parsed;
  const auto rows = static_cast<int64_t>(bytes / dtype_bytes(dtype)) / kRowElements;
  if (rows < 1)
    return bad_input(fmt::format("{} is less than one row of {} elements", o.bytes, kRowElements), "--bytes");
  graph::Builder b;
  b.set_source("elementwise");
  auto x = b.input("x", {dtype, {rows, kRowElements}});
  auto half = TRY(b.binary(graph::ElementwiseFn::mul, x, 0.5));
  auto sum = TRY(b.binary(graph::ElementwiseFn::add, half, 1.0));
  b.graph().outputs = {TRY(b.unary(graph::ElementwiseFn::relu, sum))};
  b.graph().name = fmt::format("elementwise {}", bytes_text(bytes));
  return std::move(b.graph());
}

Result<graph::Graph> graph_of(const BenchOptions& o, DType dtype) {
  return o.kind == BenchOptions::Kind::gemm ? gemm(o, dtype) : elementwise(o, dtype);
}

}  // namespace

Result<int> run_bench(const BenchOptions& options) {
  Progress progress("compiling");
  runtime::Stopwatch watch;
  const DType dtype = TRY(dtype_of(options.precision));
  const spec::ChipSpec chip = TRY(spec::load_chip(options.chip));
  auto graph = TRY(graph_of(options, dtype));
  auto w = TRY(runtime::compile_workload(std::move(graph), chip, {options.precision, cancel_on_signal()}));
  w.compile_seconds = watch.seconds();
  w.compile_for = [options, dtype](const spec::ChipSpec& other, const Cancel* cancel) -> Result<isa::Executable> {
    auto again = TRY(graph_of(options, dtype));
    return TRY(runtime::compile_workload(std::move(again), other, {options.precision, cancel})).executable;
  };
  return simulate(w, options.simulation, {}, "", progress);
}

}  // namespace presil::cli
