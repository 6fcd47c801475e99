#include "backend/liveness.h"

#include <algorithm>

namespace presil::backend {

std::vector<LiveRange> live_ranges(const tile::TileProgram& program) {
  std::vector<LiveRange> ranges(program.tiles.size());
  for (uint32_t i = 0; i < program.code.code.size(); ++i) {
    for (const isa::View& v : program.code.operands(program.code.code[i])) {
      if (!v.present() || v.memory == isa::Memory::hbm) continue;
      LiveRange& r = ranges[v.base];
      r.first = std::min(r.first, i), r.last = i;
    }
  }
  return ranges;
}

}  // namespace presil::backend
