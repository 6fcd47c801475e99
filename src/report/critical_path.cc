#include "report/critical_path.h"

#include <algorithm>

#include "base/check.h"

namespace presil::report {

std::vector<Segment> critical_path(const trace::Trace& trace) {
  std::vector<Segment> path;
  if (trace.events.empty()) return path;
  auto last = std::ranges::max_element(trace.events, {}, &trace::Event::end);
  uint32_t at = static_cast<uint32_t>(last - trace.events.begin());
  for (Time end = last->end; at != UINT32_MAX;) {
    const trace::Event& event = trace.events[at];
    const bool first = event.cause == UINT32_MAX;
    CHECK(first || event.cause < at, "an event is released by an earlier one");
    Time begin = first ? 0 : std::min(event.start, end);
    path.push_back({at, begin, end});
    end = begin;
    at = event.cause;
  }
  std::ranges::reverse(path);
  return path;
}

}  // namespace presil::report
