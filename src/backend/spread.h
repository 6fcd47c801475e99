// Which of several engines of a kind runs an instruction whose maker named the first.
#pragma once
#include "spec/chip_spec.h"
#include "tile/tile_program.h"

namespace presil::backend {

// Where a core has several engines of a kind, what writes one tile goes to one engine, in its order, and every other
// tile to the engine that has least to do so far. What uses registers stays where it is. Nothing changes for a kind of
// which there is one, or of which the program names others than the first itself.
void spread_engines(tile::TileProgram& program, const spec::ChipSpec& spec);

}  // namespace presil::backend
