// What is wrong with a TileProgram for a given chip: everything, not the first. The backend can lower a program
// without findings unless memory or semaphores run out.
#pragma once
#include <vector>

#include "isa/rules.h"
#include "tile/tile_program.h"

namespace presil::tile {

// Findings carry the instruction's index in program.code, or none for tiles, tensors and order edges. Checked: ids and
// bounds of views, legal start partitions, tiles against the chip's memories, the rules of each instruction (dtypes,
// shapes, engines: isa/rules.h), and that no tile, output or scratch tensor is read before anything is written to it.
std::vector<isa::Finding> verify(const TileProgram& program, const spec::ChipSpec& spec);

}  // namespace presil::tile
