// Text form of a TileProgram: model, tensors, tiles, layers, sources, order edges, then the code in the form of
// isa/print.h, whose "%7" names tile or tensor 7 and whose queue=255 leaves the DMA queue open. Constants' data is not
// part of it.
#pragma once
#include <string>

#include "tile/tile_program.h"

namespace presil::tile {

std::string print(const TileProgram& program);

}  // namespace presil::tile
