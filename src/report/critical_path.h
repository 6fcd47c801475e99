// The chain of events that decided how long a run took: from the last result back, each event's start released by the
// one before it. The segments tile the time from 0 to the end without gap or overlap.
#pragma once
#include <string>
#include <vector>

#include "trace/trace.h"

namespace presil::report {

struct Segment {
  uint32_t event = 0;  // index into Trace::events
  Time begin = 0, end = 0;
};

// First to last. Time before the first event of the chain belongs to that event's segment.
std::vector<Segment> critical_path(const trace::Trace& trace);

// The path's time by resource: an engine, or "dma" for all DMA engines.
struct PathRow {
  std::string resource;
  Time busy = 0;     // the resource works
  Time latency = 0;  // its result is on the way, or the next event is about to start
};
// Most time first; over rows, busy + latency sum to the run's time.
std::vector<PathRow> path_rows(const trace::Trace& trace);

}  // namespace presil::report
