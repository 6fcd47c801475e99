// The backend: TileProgram to Executable. lower.cc is its table of contents, one line per pass. Passes keep the
// program's sequential meaning: any execution that respects the queues and semaphores ends with the same memory.
#pragma once
#include "backend/spill.h"
#include "base/cancel.h"
#include "base/result.h"
#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "tile/tile_program.h"

namespace presil::backend {

struct Options {
  bool verify = true;                 // refuse programs with findings (tile/verify.h)
  uint32_t window = 256;              // instructions that may overtake one another; 1 keeps the program's order
  uint32_t far_window = 1024;         // tried as well: the next image's work may be that far away
  uint32_t reorder_gain_percent = 2;  // least gain for which the program's order (and its loops) is given up
  bool reroll = true;                 // encode periodic code as repeats
  // Unfinished transfers of one DMA queue: semaphores that its transfers rotate over. Two are enough when the backend
  // spreads transfers over queues, but not for a kernel that puts them all on one (K05 of the suite: 76 instead of 52
  // ms).
  uint32_t transfers_ahead = 4;
  uint32_t load_queues_percent = 50;     // of the DMA queues carry loads, the others stores and moves
  uint32_t semaphores_max = UINT32_MAX;  // of those that the core has
  const Cancel* cancel = nullptr;        // asked between passes
};

struct Statistics {
  bool reordered = false;
  SpillCounts spills;
  size_t instructions = 0;  // executed
  size_t stored = 0;        // after repeats
  size_t waits = 0;         // executed
};

// Lowers for one core of `spec`. Errors: the program breaks a rule of the chip, or does not fit its memories or
// semaphores; the message names layer, tile, bytes needed and available.
Result<isa::Executable> lower(tile::TileProgram program, const spec::ChipSpec& spec, const Options& options = {},
                              Statistics* statistics = nullptr);

}  // namespace presil::backend
