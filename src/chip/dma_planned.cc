// Transfers that are planned ahead, engine by engine.
#include <algorithm>
#include <bit>

#include "chip/dma.h"
#include "chip/fixed_point.h"

namespace presil::chip {

// Whatever may begin on the engine by now does.
void DmaEngines::begin_shares(uint32_t engine, Time now) {
  const Time* ready_at = &ready(0, engine);
  Engine& e = engines_[engine];
  Time next = kTimeMax;
  for (uint64_t left = e.waiting; left != 0; left &= left - 1) {
    const auto q = static_cast<uint32_t>(std::countr_zero(left));
    while (ready_at[q] <= now) {
      Lane& l = lane(q, engine);
      if (engine >= queues_[q].at(l.next).timing->engines_used) {  // idle: its turn came
        l.start = now;
        close(q, engine, now);
      } else if (even_) {
        occupy(engine, q, now);
        e.even.begun |= uint64_t{1} << q;
        ++e.even.active;
      } else {
        activate(engine, q, now);
      }
    }
    next = std::min(next, ready_at[q]);
  }
  e.next_ready = next;
}

// The engine alone, up to and with `until`: ends, then arrivals, then new speeds, at each instant.
void DmaEngines::run_engine(uint32_t engine, Time until) {
  Engine& e = engines_[engine];
  Service& service = e.service;
  std::vector<Active>& active = service.active;
  while (true) {
    Time now = e.next_ready;
    for (const Active& a : active) now = std::min(now, a.end);
    e.next_change = now;
    if (now > until || now == kTimeMax) return;
    for (size_t k = 0; k < active.size();) {
      if (active[k].end > now) {
        ++k;
        continue;
      }
      const uint32_t q = active[k].queue;
      active.erase(active.begin() + static_cast<ptrdiff_t>(k));
      close(q, engine, now);
      if (active.empty()) e.busy += now - e.busy_since;
    }
    if (e.next_ready <= now) begin_shares(engine, now);
    const bool was_shared = service.shared;
    service.shared = share_engine(active);
    if (!service.shared && !was_shared) continue;
    for (Active& a : active) set_speed(a, a.engine_speed, now);
  }
}

void DmaEngines::plan_at(Time time) {
  if (time >= plan_time_) return;
  plan_time_ = time;
  push(time, Phase::complete, {Event::Kind::plan});
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
  Time next = kTimeMax;
  for (uint32_t e = 0; e < engine_count_; ++e) {
    if (engines_[e].next_change <= until) even_ ? run_even(e, until) : run_engine(e, until);
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
