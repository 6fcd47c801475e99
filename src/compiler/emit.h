// Plan to TileProgram: mechanical. Errors only for what no kernel can do, with the node's name.
#pragma once
#include "compiler/plan.h"
#include "spec/chip_spec.h"
#include "tile/tile_program.h"

namespace presil::compiler {

Result<tile::TileProgram> emit(const graph::Graph&, const Plan&, const spec::ChipSpec&);

}  // namespace presil::compiler
