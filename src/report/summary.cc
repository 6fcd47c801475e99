#include "report/summary.h"

#include <algorithm>

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

EngineRow engine_row(const trace::Unit& unit, Time elapsed) {
  EngineRow row{.name = unit.name, .instructions = unit.instructions};
  row.busy_fraction = row.utilization = fraction(unit.busy, elapsed);
  for (const trace::Part& wait : unit.waits) row.waits.emplace_back(wait.name, fraction(wait.time, elapsed));
  return row;
}

// "tensor" of "tensor2".
std::string kind_of(const std::string& engine) { return engine.substr(0, engine.find_last_not_of("0123456789") + 1); }

// All DMA engines as one; their waits have the same causes.
EngineRow dma_row(const std::vector<trace::Unit>& units, Time elapsed) {
  trace::Unit all{.name = "dma", .kind = "dma"};
  Time whole = 0;
  for (const trace::Unit& unit : units) {
    if (unit.kind != "dma") continue;
    all.instructions = std::max(all.instructions, unit.instructions);
    all.busy += unit.busy;
    all.waits.resize(unit.waits.size());
    for (size_t w = 0; w < unit.waits.size(); ++w) {
      all.waits[w].name = unit.waits[w].name;
      all.waits[w].time += unit.waits[w].time;
    }
    whole += elapsed;
  }
  return engine_row(all, whole);
}

std::string layer_bound(const trace::Layer& layer, double hbm_bound) {
  std::vector<std::pair<std::string, double>> busy;
  for (const trace::Part& part : layer.busy) busy.emplace_back(part.name, fraction(part.time, layer.time));
  const auto bytes = static_cast<double>(layer.hbm_bytes);
  busy.emplace_back("hbm", layer.time == 0 ? 0 : bytes / hbm_bound / to_seconds(layer.time));
  return busiest(busy);
}

std::vector<LayerRow> layer_rows(const trace::About& about) {
  std::vector<LayerRow> rows;
  for (const trace::Layer& layer : about.layers) {
    rows.push_back({.name = layer.name,
                    .kind = layer.kind,
                    .seconds = to_seconds(layer.time),
                    .share = fraction(layer.time, about.elapsed),
                    .macs = layer.macs,
                    .bytes = layer.hbm_bytes,
                    .bound_by = layer_bound(layer, static_cast<double>(about.hbm_bound_bytes_per_s))});
  }
  return rows;
}

}  // namespace

Summary summarize(const trace::About& about) {
  Summary s;
  s.precision = about.precision;
  s.seconds = to_seconds(about.elapsed);
  for (const trace::Clock& c : about.clocks) s.cycles.emplace_back(c.name, s.seconds * static_cast<double>(c.hz));
  s.instructions = about.instructions;
  for (const trace::Unit& unit : about.units) {
    if (unit.kind != "dma") s.engines.push_back(engine_row(unit, about.elapsed));
  }
  s.engines.push_back(dma_row(about.units, about.elapsed));
  s.hbm_read_bytes = about.hbm_read_bytes;
  s.hbm_write_bytes = about.hbm_write_bytes;
  s.hbm_bound_bytes_per_s = static_cast<double>(about.hbm_bound_bytes_per_s);
  s.macs = about.macs;
  const auto peak = static_cast<double>(about.peak_macs_per_s), macs = static_cast<double>(s.macs);
  s.macs_seconds = macs / peak;
  s.bytes_seconds = static_cast<double>(about.compulsory_bytes) / s.hbm_bound_bytes_per_s;
  s.ideal_seconds = std::max(s.macs_seconds, s.bytes_seconds);
  if (s.seconds > 0) {
    const double moved = static_cast<double>(s.hbm_read_bytes + s.hbm_write_bytes);
    s.hbm_bound_fraction = moved / (s.seconds * s.hbm_bound_bytes_per_s);
    s.mfu = macs / (s.seconds * static_cast<double>(about.bf16_macs_per_s));
  }
  std::vector<std::pair<std::string, double>> busy = {{"hbm", s.hbm_bound_fraction}};
  for (EngineRow& row : s.engines) {
    if (kind_of(row.name) == "tensor" && s.seconds > 0) row.utilization = macs / (s.seconds * peak);
    busy.emplace_back(kind_of(row.name), row.busy_fraction);
  }
  s.bound_by = busiest(busy);
  s.layers = layer_rows(about);
  return s;
}

Summary summarize(const isa::Executable& executable, const spec::ChipSpec& spec, const system::RunResult& run) {
  return summarize(about(executable, spec, run));
}

Summary summarize(const isa::Executable& executable, const spec::ChipSpec& spec, const system::RunResult& run,
                  const system::CoreRun& core) {
  return summarize(about_cores(executable, spec, run, {&core, 1}));
}

}  // namespace presil::report
