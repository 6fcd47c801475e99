// Programs with loops and choices (tile/structure.h) to Executables. Between the stretches that run from beginning to
// end all engines meet. Everything that counts on a semaphore in a loop counts anew in each iteration, so waits add a
// register, which every sequencer raises by what an iteration has counted; semaphores that count alike share one.
#pragma once
#include "backend/lower.h"

namespace presil::backend {

// `program` has no findings. Tiles stay where they are: nothing is spilled or reordered.
Result<isa::Executable> lower_loops(tile::TileProgram program, const spec::ChipSpec& spec, const Options& options,
                                    Statistics& statistics);

}  // namespace presil::backend
