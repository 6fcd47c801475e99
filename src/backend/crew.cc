#include "backend/crew.h"

#include <algorithm>

#include "isa/control.h"

namespace presil::backend {
namespace {

using isa::Instruction;
using isa::Opcode;

// Done by each sequencer for itself.
bool is_shared(const Instruction& i) { return isa::is_control(i.opcode) && i.opcode != Opcode::register_store; }

// By instruction: the end of the outermost loop or choice around it, or the next instruction. Who has work on one side
// of a choice follows the other one too, since all meet behind it.
std::vector<uint32_t> ends_of(const tile::TileProgram& program, const std::vector<tile::Region>& regions) {
  std::vector<uint32_t> ends(program.code.code.size());
  for (const tile::Region& r : regions) {
    const bool straight = r.kind == tile::Region::Kind::straight;
    for (uint32_t n = r.first; n < r.last; ++n) ends[n] = straight ? n + 1 : r.last;
  }
  return ends;
}

// Registers that lane `q` needs, those included from which others that it needs are computed.
std::vector<bool> needs_of(const Crew& crew, uint32_t q, const tile::TileProgram& program) {
  std::vector<bool> needs(program.registers);
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t n = 0; n < crew.done[q]; ++n) {
      const Instruction& i = program.code.code[n];
      if (i.delta_count == 0 && !isa::is_control(i.opcode)) continue;
      const tile::RegisterUse use = tile::register_use(program.code, i);
      const bool own = !is_shared(i)
                           ? Sequencer{i.engine, i.engine_index} == crew.sequencers[q]
                           : tile::is_structure(i.opcode) || (use.written < needs.size() && needs[use.written]);
      if (!own) continue;
      for (uint32_t r : use.reads) changed |= !needs[r], needs[r] = true;
      if (tile::is_structure(i.opcode) && use.written < needs.size())
        changed |= !needs[use.written], needs[use.written] = true;
    }
  }
  return needs;
}

}  // namespace

bool Crew::executes(uint32_t lane, const tile::TileProgram& program, uint32_t n) const {
  const Instruction& i = program.code.code[n];
  if (!is_shared(i)) return Sequencer{i.engine, i.engine_index} == sequencers[lane];
  if (!alive(lane, n)) return false;
  return tile::is_structure(i.opcode) || needs[lane][tile::register_use(program.code, i).written];
}

Crew crew_of(const tile::TileProgram& program, const std::vector<tile::Region>& regions) {
  Crew crew;
  for (const Instruction& i : program.code.code) {
    const Sequencer s{i.engine, i.engine_index};
    auto at = std::ranges::lower_bound(crew.sequencers, s);
    if (!is_shared(i) && (at == crew.sequencers.end() || *at != s)) crew.sequencers.insert(at, s);
  }
  if (crew.sequencers.empty()) crew.sequencers.push_back({});  // nothing but registers
  crew.done.assign(crew.sequencers.size(), 0);
  const std::vector<uint32_t> ends = ends_of(program, regions);
  for (uint32_t n = 0; n < ends.size(); ++n) {
    const Instruction& i = program.code.code[n];
    if (is_shared(i)) continue;
    const Sequencer s{i.engine, i.engine_index};
    uint32_t& done =
        crew.done[static_cast<size_t>(std::ranges::lower_bound(crew.sequencers, s) - crew.sequencers.begin())];
    done = std::max(done, ends[n]);
  }
  for (uint32_t q = 0; q < crew.sequencers.size(); ++q) crew.needs.push_back(needs_of(crew, q, program));
  return crew;
}

}  // namespace presil::backend
