// What a run leaves behind, computed once at its end: counters from how often each static instruction ran, the lanes
// of the trace, and who waits for whom when nothing can move.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "chip/core.h"

namespace presil::chip {

// One lane per queue, then one per DMA engine; `core`: the chip's number of the first physical core.
std::vector<trace::Lane> lane_list(const isa::Executable& executable, const spec::ChipSpec& spec, uint32_t core);

// Adds instructions, macs and bytes to totals and layers. executed[queue][instruction] counts executions.
void count_executed(const isa::Executable& executable, const Loaded& loaded,
                    std::span<const std::vector<uint64_t>> executed, Counters& counters);

// An engine that cannot go on.
struct Blocked {
  uint32_t queue = 0;
  Cursor cursor;
  uint32_t semaphore = 0;  // among those of all cores
  uint32_t needed = 0, value = 0;
};
Outcome deadlock(const isa::Executable& executable, const Loaded& loaded, std::span<const Blocked> blocked);

}  // namespace presil::chip
