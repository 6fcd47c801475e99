// DMA queues for the transfers whose maker left the choice open.
#pragma once
#include "backend/lower.h"

namespace presil::backend {

bool is_dma(const isa::Instruction& i);

// Loads (HBM to SBUF) take one share of the queues in turn, stores and moves the other: a load never waits in a queue
// behind a result that is not ready, and many small transfers overlap although each queue has a least time per
// transfer.
void choose_queues(tile::TileProgram& program, const spec::ChipSpec& spec, const Options& options);

}  // namespace presil::backend
