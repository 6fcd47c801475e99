// Plan to TileProgram: mechanical. Errors only for what no kernel can do, with the node's name.
#pragma once
#include "compiler/plan.h"
#include "spec/chip_spec.h"
#include "tile/tile_program.h"

namespace presil::compiler {

// HBM keeps the model's own types at its ends; the core has no 64-bit integers and no booleans of its own.
inline DType boundary_dtype(DType t) {
  return t == DType::int64 ? DType::int32 : t == DType::boolean ? DType::uint8 : t;
}

Result<tile::TileProgram> emit(const graph::Graph&, const Plan&, const spec::ChipSpec&);

}  // namespace presil::compiler
