// Order and addresses: passes a and b of the backend, which depend on one another. The scheduler's order is taken if it
// promises a gain and the tiles still fit; when they do not fit in any order, some are spilled.
#pragma once
#include <string>

#include "backend/lower.h"
#include "backend/place.h"

namespace presil::backend {

// Name of the layer that instruction i belongs to, for messages; the model's without provenance.
std::string layer_of(const tile::TileProgram& program, uint32_t instruction);

Error misfit_error(const tile::TileProgram& program, const Misfit& misfit, const spec::ChipSpec& spec);

// `program` and `ranges` follow the order and the spills that were chosen.
Result<Placement> arrange(tile::TileProgram& program, std::vector<LiveRange>& ranges, const spec::ChipSpec& spec,
                          const Options& options, Statistics& statistics);

}  // namespace presil::backend
