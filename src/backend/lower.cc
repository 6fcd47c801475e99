#include "backend/lower.h"

#include <fmt/format.h>

#include "backend/emit.h"
#include "backend/place.h"
#include "backend/queues.h"
#include "backend/repeats.h"
#include "backend/synchronize.h"
#include "base/text.h"
#include "tile/verify.h"

namespace presil::backend {
namespace {

std::string layer_of(const tile::TileProgram& program, uint32_t instruction) {
  uint32_t source = program.code.code[instruction].source;
  if (source == isa::kNoSource) return program.model;
  return program.layers[program.sources[source].layer].name;
}

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

Result<Placement> place(const tile::TileProgram& program, const std::vector<LiveRange>& ranges,
                        const spec::ChipSpec& spec) {
  Placement placement;
  place_sbuf(program, ranges, spec, placement);
  if (!placement.misfit) place_psum(program, ranges, spec, placement);
  if (placement.misfit) return misfit_error(program, *placement.misfit, spec);
  return placement;
}

Result<void> check(const tile::TileProgram& program, const spec::ChipSpec& spec) {
  std::vector<isa::Finding> findings = tile::verify(program, spec);
  if (findings.empty()) return {};
  const isa::Finding& first = findings[0];
  std::string where =
      first.instruction < program.code.code.size() ? layer_of(program, first.instruction) : program.model;
  std::string more = findings.size() > 1 ? fmt::format("; {} more findings", findings.size() - 1) : "";
  return bad_input(first.text() + more, where);
}

}  // namespace

Result<isa::Executable> lower(tile::TileProgram program, const spec::ChipSpec& spec, const Options& options) {
  if (options.verify) TRY(check(program, spec));
  choose_queues(program, spec, options);
  std::vector<LiveRange> ranges = live_ranges(program);
  Placement placement = TRY(place(program, ranges, spec));
  Synchronization sync = TRY(synchronize(program, placement, ranges, spec, options));
  isa::Executable out = TRY(emit(std::move(program), placement, sync, spec));
  if (options.reroll) {
    for (isa::Program& queue : out.queues) queue = reroll(queue);
  }
  return out;
}

}  // namespace presil::backend
