// Waits from true dependences: RAW, WAR and WAW on bytes of tiles and tensors, on memory that tiles inherit from
// earlier ones, and explicit order edges; reduced to those that no other wait implies.
//
// What orders what (design: an instruction starts, then completes):
//  - A sequencer starts its instructions in order and they complete in order. Operands are read between start and
//    completion, results are visible at completion. So on one sequencer only a read of a result needs a wait, and not
//    even that where the tensor engine accumulates in PSUM.
//  - A transfer is asynchronous: it reads and writes between its trigger's start and its completion, and is ordered
//  with
//    nothing else, its own queue included.
//  - Transfers of a DMA queue rotate over a few semaphores; a trigger waits for the previous transfer on its semaphore,
//    so that a semaphore counts whole transfers.
#pragma once
#include <vector>

#include "backend/dependences.h"
#include "backend/lower.h"
#include "backend/place.h"

namespace presil::backend {

struct Sequencer {
  isa::EngineKind kind = isa::EngineKind::sync;
  uint8_t index = 0;
  auto operator<=>(const Sequencer&) const = default;
};

struct Synchronization {
  std::vector<Sequencer> sequencers;  // streams 0 .. count-1
  uint32_t streams = 0;               // the rest are DMA semaphores
  std::vector<uint32_t> sequencer;    // by instruction
  std::vector<Event> events;          // by instruction: what completes it; for a DMA, its transfer
  std::vector<uint32_t> wait_begin;   // by instruction, and the end of the last
  std::vector<Event> waits;

  std::span<const Event> waits_of(uint32_t i) const {
    return {waits.data() + wait_begin[i], waits.data() + wait_begin[i + 1]};
  }
};

// Fills in the waits, once streams and events are numbered.
void find_waits(const tile::TileProgram& program, const Placement& placement, const std::vector<LiveRange>& ranges,
                Synchronization& numbered);

Result<Synchronization> synchronize(const tile::TileProgram& program, const Placement& placement,
                                    const std::vector<LiveRange>& ranges, const spec::ChipSpec& spec,
                                    const Options& options);

}  // namespace presil::backend
