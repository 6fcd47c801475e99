#include "report/summary.h"

#include <algorithm>
#include <array>

#include "isa/slots.h"

namespace presil::report {
namespace {

// A resource that is busy for less than this part of the time does not bound it.
constexpr double kBoundFraction = 0.5;

double fraction(Time part, Time whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// The busiest of the resources, if it is busy enough.
std::string busiest(const std::vector<std::pair<std::string, double>>& busy_fractions) {
  auto most = std::ranges::max_element(busy_fractions, {}, &std::pair<std::string, double>::second);
  return most != busy_fractions.end() && most->second >= kBoundFraction ? most->first : "latency";
}

EngineRow engine_row(const chip::EngineCounters& engine, Time elapsed) {
  EngineRow row{.name = engine.name, .instructions = engine.instructions};
  row.busy_fraction = row.utilization = fraction(engine.busy, elapsed);
  for (int c = 0; c < chip::kWaitCauseCount; ++c) {
    Time waited = engine.waits[static_cast<size_t>(c)];
    if (waited == 0) continue;
    row.waits.emplace_back(chip::wait_cause_name(static_cast<chip::WaitCause>(c)), fraction(waited, elapsed));
  }
  return row;
}

EngineRow dma_row(const std::vector<chip::DmaCounters>& engines, Time elapsed) {
  EngineRow row{.name = "dma"};
  Time busy = 0, waiting = 0, idle = 0;
  for (const chip::DmaCounters& e : engines) {
    row.instructions = std::max(row.instructions, e.transfers);
    busy += e.busy, waiting += e.waiting, idle += e.idle;
  }
  const Time whole = elapsed * static_cast<Time>(engines.size());
  row.busy_fraction = row.utilization = fraction(busy, whole);
  row.waits = {{"latency", fraction(waiting, whole)}, {"idle", fraction(idle, whole)}};
  return row;
}

std::string layer_bound(const chip::LayerCounters& layer, double hbm_bound) {
  std::vector<std::pair<std::string, double>> busy;
  for (int e = 0; e < isa::kEngineKindCount; ++e) {
    busy.emplace_back(isa::engine_name(static_cast<isa::EngineKind>(e)),
                      fraction(layer.busy[static_cast<size_t>(e)], layer.time));
  }
  const double bytes = static_cast<double>(layer.hbm_read_bytes + layer.hbm_write_bytes);
  busy.emplace_back("hbm", layer.time == 0 ? 0 : bytes / hbm_bound / to_seconds(layer.time));
  return busiest(busy);
}

std::vector<LayerRow> layer_rows(const isa::Executable& executable, const system::RunResult& run, double hbm_bound) {
  std::vector<LayerRow> rows;
  for (size_t i = 0; i < executable.layers.size(); ++i) {
    const isa::Layer& layer = executable.layers[i];
    const chip::LayerCounters& counted = run.counters.layers[i];
    rows.push_back({.name = layer.name,
                    .kind = layer.kind,
                    .seconds = to_seconds(counted.time),
                    .share = fraction(counted.time, run.elapsed),
                    .macs = layer.macs,
                    .bytes = counted.hbm_read_bytes + counted.hbm_write_bytes,
                    .bound_by = layer_bound(counted, hbm_bound)});
  }
  return rows;
}

// Inputs, weights and outputs cross the HBM at least once.
uint64_t compulsory_bytes(const isa::Executable& executable) {
  uint64_t bytes = 0;
  for (const isa::HbmTensor& t : executable.tensors) {
    if (t.role != isa::TensorRole::scratch) bytes += t.bytes;
  }
  return bytes;
}

std::vector<std::pair<std::string, double>> cycles_of(const spec::ChipSpec& spec, double seconds) {
  std::vector<std::pair<std::string, double>> cycles;
  const std::array<const spec::EngineSpec*, isa::kEngineKindCount> engines = {&spec.tensor, &spec.vector, &spec.scalar,
                                                                              &spec.gpsimd, &spec.sync};
  for (size_t e = 0; e < engines.size(); ++e) {
    cycles.emplace_back(isa::engine_name(static_cast<isa::EngineKind>(e)),
                        seconds * static_cast<double>(engines[e]->clock_hz));
  }
  return cycles;
}

}  // namespace

std::string matmul_precision(const isa::Executable& executable) {
  if (executable.precision != "auto") return executable.precision;
  std::array<uint64_t, kDTypeCount> uses{};
  for (const isa::Program& queue : executable.queues) {
    for (const isa::Instruction& i : queue.code) {
      if (i.opcode != isa::Opcode::nc_matmul) continue;
      ++uses[static_cast<size_t>(queue.operand(i, isa::slots::nc_matmul::moving).dtype)];
    }
  }
  const auto most = std::ranges::max_element(uses) - uses.begin();
  return std::string(dtype_name(static_cast<DType>(most)));
}

double peak_macs_per_s(const spec::ChipSpec& spec, const std::string& precision) {
  const spec::TensorSpec& t = spec.tensor;
  const double full = static_cast<double>(t.rows) * t.columns * static_cast<double>(t.clock_hz) * t.count;
  return precision == "fp32" ? full / t.fp32_passes : full;
}

double hbm_bound_bytes_per_s(const spec::ChipSpec& spec) {
  return static_cast<double>(std::min(spec.hbm.bytes_per_s, spec.dma.engines * spec.dma.engine_bytes_per_s));
}

Summary summarize(const isa::Executable& executable, const spec::ChipSpec& spec, const system::RunResult& run) {
  Summary s;
  s.precision = matmul_precision(executable);
  s.seconds = to_seconds(run.elapsed);
  s.cycles = cycles_of(spec, s.seconds);
  s.instructions = run.counters.instructions;
  for (const chip::EngineCounters& engine : run.counters.engines) s.engines.push_back(engine_row(engine, run.elapsed));
  s.engines.push_back(dma_row(run.counters.dma, run.elapsed));
  s.hbm_read_bytes = run.counters.read_bytes[static_cast<size_t>(isa::Memory::hbm)];
  s.hbm_write_bytes = run.counters.written_bytes[static_cast<size_t>(isa::Memory::hbm)];
  s.hbm_bound_bytes_per_s = hbm_bound_bytes_per_s(spec);
  for (const isa::Layer& layer : executable.layers) s.macs += layer.macs;
  const double peak = peak_macs_per_s(spec, s.precision), macs = static_cast<double>(s.macs);
  s.ideal_seconds = std::max(macs / peak, static_cast<double>(compulsory_bytes(executable)) / s.hbm_bound_bytes_per_s);
  if (s.seconds > 0) {
    const double moved = static_cast<double>(s.hbm_read_bytes + s.hbm_write_bytes);
    s.hbm_bound_fraction = moved / (s.seconds * s.hbm_bound_bytes_per_s);
    s.mfu = macs / (s.seconds * peak_macs_per_s(spec, "bf16"));
  }
  std::vector<std::pair<std::string, double>> busy = {{"hbm", s.hbm_bound_fraction}};
  for (EngineRow& row : s.engines) {
    if (row.name == "tensor" && s.seconds > 0) row.utilization = macs / (s.seconds * peak);
    busy.emplace_back(row.name, row.busy_fraction);
  }
  s.bound_by = busiest(busy);
  s.layers = layer_rows(executable, run, s.hbm_bound_bytes_per_s);
  return s;
}

}  // namespace presil::report
