// The chain of events that decided how long a run took: from the last result back, each event's start released by the
// one before it. The segments tile the time from 0 to the end without gap or overlap.
#pragma once
#include <vector>

#include "trace/trace.h"

namespace presil::report {

struct Segment {
  uint32_t event = 0;  // index into Trace::events
  Time begin = 0, end = 0;
};

// First to last. Time before the first event of the chain belongs to that event's segment.
std::vector<Segment> critical_path(const trace::Trace& trace);

}  // namespace presil::report
