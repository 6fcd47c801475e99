// How long the simulation of one executable takes within a process: loaded once, run several times, the fastest run of
// each kind. run_bench FILE.presil [THREADS [REPETITIONS [KIND]]] prints JSON; kinds are core
// (time without loading), time, data and checked.
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <limits>

#include "base/check.h"
#include "base/prng.h"
#include "chip/core.h"
#include "chip/loaded.h"
#include "isa/encode.h"
#include "runtime/file.h"
#include "runtime/host.h"
#include "spec/chip_file.h"
#include "system/run.h"

namespace presil {
namespace {

// Values in [-1, 1) for float inputs; others stay zero, a legal index for every table.
std::vector<std::byte> input_bytes(const isa::HbmTensor& tensor) {
  std::vector<std::byte> bytes(tensor.bytes);
  if (tensor.dtype != DType::fp32) return bytes;
  Prng random(1);
  auto* values = reinterpret_cast<float*>(bytes.data());
  for (size_t i = 0; i < bytes.size() / sizeof(float); ++i) values[i] = 2 * random.unit() - 1;
  return bytes;
}

struct Times {
  double wall = std::numeric_limits<double>::infinity(), process = wall;
  uint64_t instructions = 0;
};

Times fastest(const isa::Executable& executable, const spec::ChipSpec& spec, const system::Options& options,
              const std::vector<system::Input>& inputs, int repetitions) {
  Times times;
  for (int i = 0; i < repetitions; ++i) {
    const runtime::Stopwatch watch;
    const std::clock_t process = std::clock();
    const auto run = system::run(executable, spec, options, inputs, nullptr);
    times.process = std::min(times.process, static_cast<double>(std::clock() - process) / CLOCKS_PER_SEC);
    times.wall = std::min(times.wall, watch.seconds());
    CHECK(run.has_value() && run->outcome.ok(), run ? chip::outcome_text(run->outcome) : run.error().message);
    times.instructions = run->counters.instructions;
  }
  return times;
}

// The core alone: no loading, no data, no checks.
Times fastest_core(const isa::Executable& executable, const spec::ChipSpec& spec, int repetitions) {
  const auto loaded = chip::load(executable, spec);
  CHECK(loaded.has_value(), "the executable fits its chip");
  Times times;
  for (int i = 0; i < repetitions; ++i) {
    const runtime::Stopwatch watch;
    const std::clock_t process = std::clock();
    const chip::CoreResult run = chip::run_core(executable, *loaded, spec, {}, nullptr);
    times.process = std::min(times.process, static_cast<double>(std::clock() - process) / CLOCKS_PER_SEC);
    times.wall = std::min(times.wall, watch.seconds());
    CHECK(run.outcome.ok(), chip::outcome_text(run.outcome));
    times.instructions = run.counters.instructions;
  }
  return times;
}

}  // namespace
}  // namespace presil

int main(int count, char** arguments) {
  using namespace presil;
  CHECK(count >= 2, "run_bench FILE.presil [THREADS [REPETITIONS [KIND]]]");
  const auto threads = static_cast<uint32_t>(count > 2 ? std::atoi(arguments[2]) : 1);
  const int repetitions = count > 3 ? std::atoi(arguments[3]) : 5;
  const std::string only = count > 4 ? arguments[4] : "";
  const auto bytes = runtime::read_file(arguments[1]);
  CHECK(bytes.has_value(), "a file");
  const auto executable = isa::decode(*bytes, arguments[1]);
  CHECK(executable.has_value(), "an executable");
  const auto spec = spec::load_chip(executable->chip);
  CHECK(spec.has_value(), "a bundled chip");
  std::vector<std::vector<std::byte>> values;
  std::vector<system::Input> inputs;
  for (const isa::HbmTensor& t : executable->tensors) {
    if (t.role != isa::TensorRole::input) continue;
    values.push_back(input_bytes(t));
    inputs.push_back({t.name, values.back()});
  }
  const std::pair<const char*, system::Options> kinds[] = {
      {"core", {}},
      {"time", {.data = false, .check = false, .threads = threads}},
      {"data", {.data = true, .check = false, .threads = threads}},
      {"checked", {.data = true, .check = true, .threads = threads}}};
  fmt::print("{{");
  uint64_t instructions = 0;
  for (const auto& [name, options] : kinds) {
    if (!only.empty() && only != name) continue;
    const Times times = std::string_view(name) == "core" ? fastest_core(*executable, *spec, repetitions)
                                                         : fastest(*executable, *spec, options, inputs, repetitions);
    instructions = times.instructions;
    fmt::print("\"{0}\": {{\"wall_seconds\": {1:.6f}, \"cpu_seconds\": {2:.6f}}}, ", name, times.wall, times.process);
  }
  fmt::print("\"instructions\": {}}}\n", instructions);
}
