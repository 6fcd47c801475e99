#include "backend/spread.h"

#include <algorithm>
#include <array>
#include <vector>

#include "backend/queues.h"
#include "isa/rules.h"
#include "timing/cost.h"

namespace presil::backend {
namespace {

// The tile that an instruction writes first, or kAbsolute.
uint32_t written_tile(const isa::Program& p, const isa::Instruction& i) {
  for (int k = 0; k < i.operand_count; ++k) {
    const isa::View& v = p.operand(i, k);
    const bool tile = v.present() && v.memory != isa::Memory::hbm;
    if (tile && isa::access_of(p, i, k) != isa::Access::read) return v.base;
  }
  return isa::kAbsolute;
}

}  // namespace

void spread_engines(tile::TileProgram& program, const spec::ChipSpec& spec) {
  isa::Program& p = program.code;
  for (int kind = 0; kind < isa::kEngineKindCount; ++kind) {
    const auto engine = static_cast<isa::EngineKind>(kind);
    const uint32_t count = isa::engine_spec(spec, engine).count;
    const bool dealt = std::ranges::any_of(
        p.code, [&](const isa::Instruction& i) { return i.engine == engine && i.engine_index != 0; });
    if (count == 1 || dealt) continue;
    std::vector<Time> busy(count);
    std::vector<uint8_t> engine_of(program.tiles.size(), UINT8_MAX);
    for (isa::Instruction& i : p.code) {
      if (i.engine != engine || is_dma(i) || isa::uses_registers(p, i)) continue;
      const uint32_t tile = written_tile(p, i);
      if (tile == isa::kAbsolute) continue;
      uint8_t& own = engine_of[tile];
      if (own == UINT8_MAX) own = static_cast<uint8_t>(std::ranges::min_element(busy) - busy.begin());
      i.engine_index = own;
      busy[own] += timing::cost(p, i, spec).occupancy;
    }
  }
}

}  // namespace presil::backend
