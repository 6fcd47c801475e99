// A stretch of a program without loops and choices, synchronized for itself: whoever comes before and behind it meets
// there. The body of a loop that holds no other one is such a stretch too, and runs without meetings between its
// iterations: waits are found in two copies of the body one after the other, and those of the second copy hold for all
// iterations.
//
// Why the second copy: it begins knowing only what waits of one iteration before it imply, which every iteration but
// the first has behind it. A conflict with an iteration further back is one with the last iteration too, whose access
// to the same bytes completes later on the same semaphore. Addresses that come from registers count as all that they
// may reach, unless the loop moves on by at least as much as one iteration touches.
#pragma once
#include "backend/crew.h"

namespace presil::backend {

// A wait or signal by stream: sequencers first, in the order of the crew; then the DMA semaphores.
struct StreamWait {
  uint32_t stream = 0;
  int64_t value = 0;  // relative to what the stream has counted when the segment, or its iteration, begins
};

inline constexpr uint32_t kNoStream = UINT32_MAX;

struct SegmentStep {
  uint32_t instruction = 0;  // of the program
  uint32_t lane = 0;
  uint32_t wait_begin = 0, wait_end = 0;  // in Segment::waits
  uint32_t signal = kNoStream;
};

struct Segment {
  std::vector<SegmentStep> steps;
  std::vector<StreamWait> waits;
  std::vector<uint64_t> raised;   // by stream: increments of one pass
  std::vector<uint32_t> drainer;  // by stream: the lane that triggers its transfers, kNoStream for others
  std::vector<bool> busy;         // by lane: does something that others have to know is done
};

struct SegmentPlace {
  uint32_t first = 0, last = 0;        // instructions
  const tile::Region* loop = nullptr;  // whose body it is, if it runs without meetings
  uint32_t first_slot = 0, slots = 1;  // DMA semaphores that it may use
};

// Transfers of a segment.
uint32_t transfers_of(const tile::TileProgram& program, uint32_t first, uint32_t last);
// How many semaphores `transfers` are dealt to, at most `limit`: as many transfers for each, if that is possible.
uint32_t slots_for(uint32_t transfers, uint32_t limit);

// `ranges`, `placement`: of the program's tiles. `streams`: of all segments.
Segment make_segment(const tile::TileProgram& program, const Crew& crew, const Placement& placement,
                     const std::vector<LiveRange>& ranges, const SegmentPlace& place, uint32_t streams,
                     const spec::ChipSpec& spec);

}  // namespace presil::backend
