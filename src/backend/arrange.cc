#include "backend/arrange.h"

#include <fmt/format.h>

#include <optional>

#include "backend/schedule.h"
#include "backend/spill.h"
#include "backend/weave.h"
#include "base/text.h"

namespace presil::backend {
namespace {

Error oversize_error(const tile::TileProgram& program, const Oversize& o, const spec::ChipSpec& spec) {
  const isa::Instruction& i = program.code.code[o.instruction];
  std::string tiles;
  for (const isa::View& v : program.code.operands(i)) {
    if (v.memory != isa::Memory::sbuf) continue;
    const tile::Tile& t = program.tiles[v.base];
    tiles += fmt::format("{}'{}' of {}", tiles.empty() ? "" : ", ", t.name, bytes_text(t.bytes));
  }
  return unsupported(
      fmt::format("{} needs {} per partition for its operands ({}), {} of {} are free for them",
                  isa::row(i.opcode).name, bytes_text(o.bytes_needed), tiles, bytes_text(o.bytes_available), spec.name),
      layer_of(program, o.instruction));
}

// Spills until what remains can be laid out. The first budgets leave room for loads to run ahead (three quarters of
// SBUF made a matmul with panels twice as large as SBUF 3.4 times as fast as all of it); the last resort leaves no
// gaps.
Result<void> place_with_spills(tile::TileProgram& program, std::vector<LiveRange>& ranges, const spec::ChipSpec& spec,
                               Placement& placement, Statistics& statistics) {
  const uint64_t room = spec.sbuf.bytes_per_partition;
  auto attempt = [&](uint64_t budget, bool isolate) -> Result<void> {
    auto result = spill(program, spec, budget, isolate);
    if (const auto* oversize = std::get_if<Oversize>(&result)) return oversize_error(program, *oversize, spec);
    Spilled& spilled = std::get<Spilled>(result);
    std::vector<LiveRange> spilled_ranges = live_ranges(spilled.program);
    place_sbuf(spilled.program, spilled_ranges, spec, placement);
    if (placement.misfit) return misfit_error(spilled.program, *placement.misfit, spec);
    statistics.spills = spilled.counts;
    program = std::move(spilled.program), ranges = std::move(spilled_ranges);
    return {};
  };
  for (uint64_t eighths : {6, 5, 4, 3, 7, 8}) {
    if (attempt(room * eighths / 8, false)) return {};
  }
  return attempt(room, true);
}

bool place_all(const tile::TileProgram& program, const std::vector<LiveRange>& ranges, const spec::ChipSpec& spec,
               Placement& placement) {
  place_sbuf(program, ranges, spec, placement);
  if (!placement.misfit) place_psum(program, ranges, spec, placement);
  return !placement.misfit;
}

// An order, and where its tiles lie.
struct Order {
  tile::TileProgram program;
  std::vector<LiveRange> ranges;
  Placement placement;
  Time elapsed = 0;
};

// The scheduler's order with a window of so many instructions, if its model promises less than `enough` and memory
// permits it. Tiles do not pack without gaps, and a tile that has memory to spare around it lets loads run further
// ahead: SBUF is filled up to a share that then turns out to be possible.
std::optional<Order> reordered_within(const tile::TileProgram& program, const std::vector<LiveRange>& ranges,
                                      const Graph& graph, const std::vector<Work>& work, const spec::ChipSpec& spec,
                                      const Options& options, uint32_t window, Time enough) {
  for (int64_t percent : {90, 85, 80, 75, 60, 50, 25}) {
    if (requested(options.cancel)) return std::nullopt;
    Schedule better = schedule(program, graph, ranges, work, spec, {window, percent});
    if (better.elapsed > enough || requested(options.cancel)) return std::nullopt;
    Order order{reordered(program, better.order), {}, {}, better.elapsed};
    order.ranges = live_ranges(order.program);
    if (place_all(order.program, order.ranges, spec, order.placement)) return order;
  }
  return std::nullopt;
}

// The same for layers that take turns, where a coarse model finds enough in that for the scheduler to have a look.
std::optional<Order> woven(const tile::TileProgram& program, const Graph& graph, const std::vector<Work>& work,
                           const spec::ChipSpec& spec, const Options& options, Time enough) {
  const Woven turns = weave(program, graph, work, spec);
  if (turns.elapsed > turns.alone / 100 * 99 || turns.elapsed > enough || requested(options.cancel))
    return std::nullopt;
  const tile::TileProgram turned = reordered(program, turns.order);
  return reordered_within(turned, live_ranges(turned), dependence_graph(turned), work_of(turned, spec), spec, options,
                          options.window, enough);
}

// Takes the scheduler's order if its model promises a gain. What runs far ahead keeps memory that nearer instructions
// could use, so neither window is the better one for all programs.
bool reorder(tile::TileProgram& program, std::vector<LiveRange>& ranges, Placement& placement,
             const spec::ChipSpec& spec, const Options& options) {
  if (options.window <= 1) return false;
  Graph graph = dependence_graph(program);
  if (requested(options.cancel)) return false;
  auto with_gain = [&](Time elapsed) { return elapsed / 100 * (100 - Time{options.reorder_gain_percent}); };
  const std::vector<Work> work = work_of(program, spec);
  const Time least = least_elapsed(program, work);
  Time enough = with_gain(schedule(program, graph, ranges, work, spec, {}).elapsed);
  std::optional<Order> best;
  for (uint32_t window : {options.window, options.far_window}) {
    if (window < options.window || least > enough) continue;
    std::optional<Order> order = reordered_within(program, ranges, graph, work, spec, options, window, enough);
    if (order) enough = with_gain(order->elapsed), best = std::move(order);
  }
  if (best) enough = best->elapsed / 100 * 99;  // the program's order and its loops are given up already
  if (least <= enough) {
    std::optional<Order> order = woven(program, graph, work, spec, options, enough);
    if (order) best = std::move(order);
  }
  if (!best || requested(options.cancel)) return false;
  program = std::move(best->program), ranges = std::move(best->ranges), placement = std::move(best->placement);
  return true;
}

}  // namespace

Error misfit_error(const tile::TileProgram& program, const Misfit& misfit, const spec::ChipSpec& spec) {
  const tile::Tile& t = program.tiles[misfit.tile];
  bool psum = t.memory == isa::Memory::psum;
  std::string available =
      psum ? fmt::format("all {} PSUM banks of {} are in use", spec.psum.banks, spec.name)
           : fmt::format("a partition of {} has {}", spec.name, bytes_text(spec.sbuf.bytes_per_partition));
  return unsupported(fmt::format("tile '{}' needs {} in each of {} partitions, {}", t.name, bytes_text(t.bytes),
                                 t.partitions, available),
                     layer_of(program, misfit.instruction));
}

std::string layer_of(const tile::TileProgram& program, uint32_t instruction) {
  uint32_t source = program.code.code[instruction].source;
  if (source == isa::kNoSource) return program.model;
  return program.layers[program.sources[source].layer].name;
}

Result<Placement> arrange(tile::TileProgram& program, std::vector<LiveRange>& ranges, const spec::ChipSpec& spec,
                          const Options& options, Statistics& statistics) {
  Placement placement;
  statistics.reordered = reorder(program, ranges, placement, spec, options);
  if (statistics.reordered) return placement;
  TRY(go_on_unless(options.cancel));
  place_sbuf(program, ranges, spec, placement);
  if (placement.misfit) {
    TRY(go_on_unless(options.cancel));
    TRY(place_with_spills(program, ranges, spec, placement, statistics));
    Placement other;
    statistics.reordered = reorder(program, ranges, other, spec, options);
    if (statistics.reordered) return other;
  }
  place_psum(program, ranges, spec, placement);
  if (placement.misfit) return misfit_error(program, *placement.misfit, spec);
  return placement;
}

}  // namespace presil::backend
