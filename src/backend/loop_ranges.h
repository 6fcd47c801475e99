// How long tiles and registers live in a program with loops. What is used beyond one iteration keeps its place for the
// whole of the outermost loop; what an iteration makes anew lives within it, and may share memory with others.
#pragma once
#include <vector>

#include "backend/liveness.h"
#include "tile/structure.h"

namespace presil::backend {

struct LoopRanges {
  std::vector<LiveRange> tiles, registers;
};

LoopRanges loop_ranges(const tile::TileProgram& program, const std::vector<tile::Region>& regions);

}  // namespace presil::backend
