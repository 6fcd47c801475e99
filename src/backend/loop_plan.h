// What a program with loops and choices consists of, in the order of the code: segments, meetings between them, and
// what each sequencer needs to count along.
#pragma once
#include <map>

#include "backend/segment.h"

namespace presil::backend {

// By stream, values counted from the beginning of the program; registers come on top.
using Waits = std::vector<StreamWait>;

// What happens one after the other, for all sequencers.
struct Action {
  enum class Kind : uint8_t { segment, meet, control, label, counted };
  Kind kind = Kind::segment;
  uint32_t index = 0;           // segment; control: instruction; label: construct; counted: region
  bool otherwise = false;       // label: of the else side
  std::vector<int64_t> counts;  // segment: by stream, when it begins
  std::vector<Waits> drains;    // meet: by lane, what it waits for before it says that it is done
  std::vector<bool> raisers;    // meet: by lane
  int64_t target = 0;           // meet: the count at which all have met
  uint32_t next = 0;            // meet: instruction behind it
};

struct LoopPlan {
  std::vector<Action> actions;
  std::vector<Segment> segments;
  // By stream: what each region counts that may run otherwise than once.
  std::vector<std::map<uint32_t, int64_t>> histories;
  uint32_t streams = 0;  // sequencers, the one that meetings count on, DMA semaphores
};

// `slots`: DMA semaphores that there are.
LoopPlan plan_loops(const tile::TileProgram& program, const std::vector<tile::Region>& regions, const Crew& crew,
                    const Placement& placement, const std::vector<LiveRange>& ranges, uint32_t slots,
                    const spec::ChipSpec& spec);

}  // namespace presil::backend
