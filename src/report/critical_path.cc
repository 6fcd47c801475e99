#include "report/critical_path.h"

#include <algorithm>

#include "base/check.h"

namespace presil::report {
namespace {

using Kind = trace::WhatIf::Kind;
using trace::Event;
using trace::Release;

// "core0.vector" is "vector", "core0.vector1" too, "core0.dma3" is "dma".
std::string resource_of(const trace::Lane& lane) {
  if (lane.kind == trace::Lane::Kind::dma) return "dma";
  const std::string name = lane.name.substr(lane.name.find('.') + 1);
  return name.substr(0, name.find_last_not_of("0123456789") + 1);
}

struct Rows {
  std::vector<PathRow> all;
  PathRow& row(const std::string& resource, Kind kind) {
    auto found = std::ranges::find_if(all, [&](const PathRow& r) { return r.resource == resource && r.kind == kind; });
    if (found == all.end()) found = all.insert(all.end(), {.resource = resource, .kind = kind});
    return *found;
  }
  void add(const std::string& resource, Kind kind, Time time) {
    if (time <= 0) return;
    PathRow& r = row(resource, kind);
    r.time += time;
    r.gain_most += (time + 1) / 2;
  }
};

// Fixed part of the time from an instruction's start to its results.
Time latency_of(const trace::Trace& trace, const Event& event) {
  return event.lane < trace.about.units.size() ? trace.about.units[event.lane].latency : 0;
}

// From `results` on its way to whoever waits: [from, end). What is longer than a wake-up is a transfer that completes.
void add_wake(const trace::Trace& trace, Time from, Time end, Rows& rows) {
  const Time wake = std::min(trace.about.wake, std::max<Time>(0, end - from));
  rows.add("semaphores", Kind::latency, wake);
  rows.add("dma", Kind::latency, end - from - wake);
}

// A share in [begin, end), of which `next` was released.
void add_share(const trace::Trace& trace, const Event& event, Time begin, Time end, const Event* next, Rows& rows) {
  if (next != nullptr && next->release == Release::descriptor) {  // the next one starts a fixed time after its start
    rows.add("dma", Kind::latency, end - begin);
    return;
  }
  const Time worked = std::clamp<Time>(event.end - begin, 0, end - begin);
  rows.add("dma", Kind::rate, worked);
  if (trace.about.hbm_can_limit) {  // what it took longer than alone, as far as twice the bandwidth helps
    rows.row("hbm", Kind::rate).gain_most += std::min(worked - std::min(worked, event.alone), (worked + 1) / 2);
  }
  add_wake(trace, begin + worked, end, rows);
}

// Likewise an instruction. Triggering a transfer takes a fixed time.
void add_instruction(const trace::Trace& trace, const Event& event, Time begin, Time end, const Event* next,
                     bool triggers, Rows& rows) {
  const std::string resource = resource_of(trace.lane_list[event.lane]);
  const bool queued = next != nullptr && next->semaphore == trace::kNoSemaphore;
  if (triggers && queued) {
    rows.add("dma", Kind::latency, end - begin);
  } else if (queued) {
    rows.add(resource, Kind::rate, end - begin);
  } else {
    const Time until_results = std::clamp<Time>(event.end - begin, 0, end - begin);
    const Time latency = std::min(latency_of(trace, event), until_results);
    rows.add(resource, Kind::rate, until_results - latency);
    rows.add(resource, Kind::latency, latency);
    add_wake(trace, begin + until_results, end, rows);
  }
}

// What `event` had to load or to make before its start, at the end of [begin, end). Returns where that begins. A table
// and descriptors take a fixed time; a stationary operand is loaded by the engine's clock.
Time add_setup(const trace::Trace& trace, const Event& event, Time begin, Time end, Rows& rows) {
  const Time setup = std::min(event.setup, end - begin);
  const bool descriptors = event.release == Release::descriptors;
  const Kind kind = descriptors || event.release == Release::table_load ? Kind::latency : Kind::rate;
  rows.add(descriptors ? "dma" : resource_of(trace.lane_list[event.lane]), kind, setup);
  return end - setup;
}

}  // namespace

std::vector<Segment> critical_path(const trace::Trace& trace) {
  std::vector<Segment> path;
  if (trace.events.empty()) return path;
  auto done = [](const Event& e) { return std::max(e.end, e.busy_until); };
  auto last = std::ranges::max_element(trace.events, {}, done);
  auto at = static_cast<uint32_t>(last - trace.events.begin());
  for (Time end = done(*last); at != trace::kNoEvent;) {
    const Event& event = trace.events[at];
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
  Rows rows;
  std::vector<bool> triggers(trace.events.size());
  for (const Event& e : trace.events) {
    if (e.trigger != trace::kNoEvent) triggers[e.trigger] = true;
  }
  const std::vector<Segment> path = critical_path(trace);
  for (size_t k = 0; k < path.size(); ++k) {
    const Event& event = trace.events[path[k].event];
    const Event* next = k + 1 < path.size() ? &trace.events[path[k + 1].event] : nullptr;
    Time begin = path[k].begin, end = path[k].end;
    if (k == 0) {
      add_setup(trace, event, begin, event.start, rows);
      begin = event.start;
    }
    if (next != nullptr) end = add_setup(trace, *next, begin, end, rows);
    if (event.instruction == trace::kNoInstruction) {
      add_share(trace, event, begin, end, next, rows);
    } else {
      add_instruction(trace, event, begin, end, next, triggers[path[k].event], rows);
    }
  }
  for (const trace::Unit& unit : trace.about.units) rows.row(unit.kind, Kind::rate);
  if (!trace.about.units.empty()) rows.row("hbm", Kind::rate);
  std::ranges::stable_sort(rows.all, std::ranges::greater(), &PathRow::gain_most);
  return std::move(rows.all);
}

}  // namespace presil::report
