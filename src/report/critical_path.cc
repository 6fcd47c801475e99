#include "report/critical_path.h"

#include <algorithm>

#include "base/check.h"

namespace presil::report {
namespace {

// "core0.vector" is "vector", "core0.dma3" is "dma".
std::string resource_of(const trace::Lane& lane) {
  if (lane.kind == trace::Lane::Kind::dma) return "dma";
  return lane.name.substr(lane.name.find('.') + 1);
}

}  // namespace

std::vector<Segment> critical_path(const trace::Trace& trace) {
  std::vector<Segment> path;
  if (trace.events.empty()) return path;
  auto last = std::ranges::max_element(trace.events, {}, &trace::Event::end);
  auto at = static_cast<uint32_t>(last - trace.events.begin());
  for (Time end = last->end; at != trace::kNoEvent;) {
    const trace::Event& event = trace.events[at];
    const bool first = event.cause == trace::kNoEvent;
    CHECK(first || event.cause < at, "an event is released by an earlier one");
    const Time begin = first ? 0 : std::min(event.start, end);
    path.push_back({at, begin, end});
    end = begin;
    at = event.cause;
  }
  std::ranges::reverse(path);
  return path;
}

std::vector<PathRow> path_rows(const trace::Trace& trace) {
  std::vector<PathRow> rows;
  for (const Segment& segment : critical_path(trace)) {
    const trace::Event& event = trace.events[segment.event];
    const std::string resource = resource_of(trace.lane_list[event.lane]);
    auto row = std::ranges::find(rows, resource, &PathRow::resource);
    if (row == rows.end()) row = rows.insert(rows.end(), {.resource = resource});
    const Time worked = std::clamp<Time>(event.busy_until - event.start, 0, segment.end - segment.begin);
    row->busy += worked;
    row->latency += segment.end - segment.begin - worked;
  }
  std::ranges::stable_sort(rows, std::ranges::greater(), [](const PathRow& r) { return r.busy + r.latency; });
  return rows;
}

}  // namespace presil::report
