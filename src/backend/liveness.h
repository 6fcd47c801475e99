// From its first to its last access, in program order, a tile occupies memory.
#pragma once
#include <cstdint>
#include <vector>

#include "tile/tile_program.h"

namespace presil::backend {

struct LiveRange {
  uint32_t first = UINT32_MAX, last = 0;  // instruction indices; first > last: never used
  bool used() const { return first <= last; }
  bool meets(const LiveRange& o) const { return first <= o.last && o.first <= last; }
};

std::vector<LiveRange> live_ranges(const tile::TileProgram& program);

}  // namespace presil::backend
