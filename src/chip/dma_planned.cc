// Transfers that are planned ahead, engine by engine.
#include <algorithm>

#include "chip/dma.h"
#include "chip/fixed_point.h"

namespace presil::chip {

// Whatever may begin on the engine by now does; returns when the next share may.
Time DmaEngines::begin_shares(uint32_t engine, Time now) {
  const Time* ready_at = &ready(0, engine);
  Time next = kTimeMax;
  for (uint32_t q : flying_queues_) {
    while (ready_at[q] <= now) {
      if (engine < loaded_.transfers[queues_[q].at(lane(q, engine).next).transfer].timing.engines_used) {
        activate(engine, q, now);
      } else {  // idle: its turn came
        close(q, engine, now, now);
      }
    }
    next = std::min(next, ready_at[q]);
  }
  return next;
}

// The engine alone, up to and with `until`: ends, then arrivals, then new speeds, at each instant.
void DmaEngines::run_engine(uint32_t engine, Time until) {
  Service& service = engines_[engine].service;
  std::vector<Active>& active = service.active;
  const Time* ready_at = &ready(0, engine);
  Time next_ready = kTimeMax;
  for (uint32_t q : flying_queues_) next_ready = std::min(next_ready, ready_at[q]);
  while (true) {
    Time now = next_ready;
    for (const Active& a : active) now = std::min(now, a.end);
    engines_[engine].next_change = now;
    if (now > until || now == kTimeMax) return;
    for (size_t k = 0; k < active.size();) {
      if (active[k].end > now) {
        ++k;
        continue;
      }
      const uint32_t q = active[k].queue;
      const Time start = active[k].start;
      active.erase(active.begin() + static_cast<ptrdiff_t>(k));
      close(q, engine, start, now);
      next_ready = std::min(next_ready, ready_at[q]);
      if (active.empty()) service.busy += now - service.busy_since;
    }
    if (next_ready <= now) next_ready = begin_shares(engine, now);
    if (!active.empty() && active.front().demand.capacity == kFull) {
      service.shared = active.size() > 1;
      share_evenly(active, now);
      continue;
    }
    const bool was_shared = service.shared;
    service.shared = share_engine(active);
    if (!service.shared && !was_shared) continue;
    for (Active& a : active) set_speed(a, a.engine_speed, now);
  }
}

void DmaEngines::plan_at(Time time) {
  if (time >= plan_time_) return;
  plan_time_ = time;
  events_.push(time, static_cast<uint8_t>(Phase::complete), {Event::Kind::plan});
}

// Something changes on an engine now. Whatever is triggered from now on begins `lookahead_` later at the earliest, so
// that everything before is settled.
void DmaEngines::plan() {
  if (split_ || plan_time_ != events_.now()) return;
  plan_time_ = kTimeMax;
  const Time next = commit(events_.now() + std::max<Time>(0, lookahead_ - 1));
  if (next != kTimeMax) plan_at(next);
}

// All engines up to and with `until`; returns when something changes next.
Time DmaEngines::commit(Time until) {
  flying_queues_.clear();
  for (uint32_t q = 0; q < queues_.size(); ++q) {
    if (!queues_[q].empty()) flying_queues_.push_back(q);
  }
  Time next = kTimeMax;
  for (uint32_t e = 0; e < engine_count_; ++e) {
    if (engines_[e].next_change <= until) run_engine(e, until);
    next = std::min(next, engines_[e].next_change);
  }
  return next;
}

// All shares of the oldest flights of `queue` have ended.
void DmaEngines::land(uint32_t queue) {
  Queue& q = queues_[queue];
  while (!q.empty() && q.at(q.head).shares_left == 0 && q.at(q.head).last_end <= events_.now()) {
    Flight& flight = q.at(q.head);
    raise(flight, engine_count_ - flight.shares_raised, flight.last_event);
    retire(q);
  }
}

}  // namespace presil::chip
