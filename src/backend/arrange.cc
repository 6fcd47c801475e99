#include "backend/arrange.h"

#include <fmt/format.h>

#include "backend/schedule.h"
#include "backend/spill.h"
#include "base/text.h"

namespace presil::backend {
namespace {

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

// Takes the scheduler's order if its model promises a gain and memory permits it.
bool reorder(tile::TileProgram& program, std::vector<LiveRange>& ranges, Placement& placement,
             const spec::ChipSpec& spec, const Options& options) {
  if (options.window <= 1) return false;
  Graph graph = dependence_graph(program);
  if (requested(options.cancel)) return false;
  Time own = schedule(program, graph, ranges, spec, {}).elapsed;
  Time enough = own / 100 * (100 - Time{options.reorder_gain_percent});
  // Tiles do not pack without gaps, and a tile that has memory to spare around it lets loads run further ahead.
  for (int64_t percent : {50, 25}) {
    if (requested(options.cancel)) return false;
    Schedule better = schedule(program, graph, ranges, spec, {options.window, percent});
    if (better.elapsed > enough || requested(options.cancel)) return false;
    tile::TileProgram candidate = reordered(program, better.order);
    std::vector<LiveRange> candidate_ranges = live_ranges(candidate);
    if (!place_all(candidate, candidate_ranges, spec, placement)) continue;
    program = std::move(candidate), ranges = std::move(candidate_ranges);
    return true;
  }
  return false;
}

}  // namespace

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
