// Two TilePrograms as the program of a pair: one for each core, lowered by itself and joined over one HBM map.
#pragma once
#include <array>

#include "backend/lower.h"

namespace presil::backend {

// What the cores have in common are tensors of the same name, which agree in type, shape and, if both have them, bytes;
// and exchanges: the k-th sendrecv of a pipe on one core meets the k-th on the other, and so do the k-th core_barriers
// of an engine. Exchanges of a core stay in its program's order. A tensor that both cores access needs core_barriers
// between them, of which the checker sees to it.
// Layers of the same name and kind become one, with the sum of their macs and bytes. Errors: those of `lower`, naming
// the core; a chip without pairs; tensors or tables of functions that contradict each other; exchanges that do not
// meet, or in loops.
Result<isa::Executable> lower_pair(std::array<tile::TileProgram, 2> cores, const spec::ChipSpec& spec,
                                   const Options& options = {});

}  // namespace presil::backend
