// The chain of events that decided how long a run took: from the last result back, each event's start released by the
// one before it. Its pieces tile the time from 0 to the end without gap or overlap, and each belongs to one resource's
// rate (work that a faster clock or more bandwidth shortens) or latency (fixed times).
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

// The path's time by resource: a kind of engine, "dma", or "semaphores" (from an increment to whoever waits for it).
struct PathRow {
  std::string resource;
  trace::WhatIf::Kind kind = trace::WhatIf::Kind::rate;
  Time time = 0;
  Time gain_most = 0;  // if this were twice as fast, the same program would finish at most so much earlier
};

// Largest bound first; every engine, "dma" and "hbm" have a row, if only of zeros. Over rows, the times sum to the
// run's; "hbm" has no time of its own, because it shows only in transfers that take longer than alone. Exact bounds as
// long as transfers do not share DMA engines; where they do, one that comes earlier or later finds them more or less
// busy.
std::vector<PathRow> path_rows(const trace::Trace& trace);

}  // namespace presil::report
