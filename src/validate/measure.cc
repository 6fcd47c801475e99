#include "validate/measure.h"

#include <algorithm>

#include "backend/lower.h"
#include "system/run.h"

namespace presil::validate {
namespace {

// Sums instead of keeping: for runs of millions of shares.
struct Sums final : trace::Sink {
  std::vector<bool> is_dma;
  Time share_time = 0;
  void lanes(const std::vector<trace::Lane>& lanes) override {
    for (const trace::Lane& l : lanes) is_dma.push_back(l.kind == trace::Lane::Kind::dma);
  }
  uint32_t event(const trace::Event& e) override {
    if (is_dma[e.lane]) share_time += e.end - e.start;
    return 0;
  }
};

isa::Executable lowered(tile::TileProgram program, const spec::ChipSpec& spec) {
  auto executable = backend::lower(std::move(program), spec);
  CHECK(executable.has_value(), "a validation workload does not fit its chip: " + executable.error().text());
  return std::move(*executable);
}

system::RunResult run(const isa::Executable& executable, const spec::ChipSpec& spec, trace::Sink& sink) {
  auto result = system::run(executable, spec, {}, {}, &sink);
  CHECK(result.has_value(), "a validation workload is not runnable: " + result.error().text());
  CHECK(result->outcome.ok(), "a validation workload failed: " + chip::outcome_text(result->outcome));
  return std::move(*result);
}

void sort_by_start(std::vector<Interval>& list) {
  std::sort(list.begin(), list.end(), [](const Interval& a, const Interval& b) { return a.start < b.start; });
}

}  // namespace

Measured measure(tile::TileProgram program, const spec::ChipSpec& spec) {
  isa::Executable executable = lowered(std::move(program), spec);
  trace::Trace trace;
  Measured out;
  out.elapsed = run(executable, spec, trace).elapsed;
  out.lanes = std::move(trace.lane_list);
  out.events = std::move(trace.events);
  out.sources = std::move(executable.sources);
  return out;
}

Totals measure_totals(tile::TileProgram program, const spec::ChipSpec& spec) {
  return measure_totals(lowered(std::move(program), spec), spec);
}

Totals measure_totals(const isa::Executable& executable, const spec::ChipSpec& spec) {
  Sums sums;
  const system::RunResult result = run(executable, spec, sums);
  for (const chip::DmaCounters& engine : result.counters.dma) sums.share_time -= engine.stretched;
  return {result.elapsed, sums.share_time};
}

std::vector<Interval> Measured::select(std::string_view tile_op, std::string_view lane) const {
  std::vector<Interval> out;
  for (const trace::Event& e : events) {
    const bool is_share = lanes[e.lane].kind == trace::Lane::Kind::dma;
    const bool wanted = lane.empty() ? !is_share : lanes[e.lane].name.ends_with(lane);
    if (wanted && sources[e.source].tile_op == tile_op) out.push_back({e.start, e.end});
  }
  sort_by_start(out);
  CHECK(!out.empty(), "the trace has such events");
  return out;
}

std::vector<Interval> Measured::instructions(std::string_view tile_op) const { return select(tile_op, {}); }

std::vector<Interval> Measured::shares(std::string_view tile_op, uint32_t engine) const {
  return select(tile_op, ".dma" + std::to_string(engine));
}

Interval Measured::transfer(std::string_view tile_op) const {
  Interval out{kTimeMax, 0};
  for (const trace::Event& e : events) {
    if (lanes[e.lane].kind != trace::Lane::Kind::dma || sources[e.source].tile_op != tile_op) continue;
    out = {std::min(out.start, e.start), std::max(out.end, e.end)};
  }
  return out;
}

}  // namespace presil::validate
