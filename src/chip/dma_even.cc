// Planned transfers on an engine that each of its shares could use for itself: n shares progress at 1 / n each. The
// speed changes when n does; shares that one after the other take the place of one that has ended change nothing for
// the rest.
//
// A settled share has been there since n changed last. It ends when a share that has been there all the time has done
// `key`, so that nothing is updated while it waits; those with the least key end first, and at the same instant only
// those: at a speed below one, different amounts of work take different times.
#include <algorithm>
#include <bit>

#include "chip/dma.h"
#include "chip/fixed_point.h"

namespace presil::chip {
namespace {

template <class Do>
void each(uint64_t queues, Do&& act) {
  for (; queues != 0; queues &= queues - 1) act(static_cast<uint32_t>(std::countr_zero(queues)));
}

}  // namespace

// The engine alone, up to and with `until`: ends, then arrivals, then the new speed, at each instant.
void DmaEngines::run_even(uint32_t engine, Time until) {
  Engine& e = engines_[engine];
  while (true) {
    const Time now = std::min(e.next_ready, e.even.next_end);
    e.next_change = now;
    if (now > until || now == kTimeMax) return;
    bool changed = false;
    if (e.even.next_end <= now) end_even(engine, now), changed = true;
    if (e.next_ready <= now) begin_shares(engine, now);
    if (changed || e.even.begun != 0) settle_even(engine, now);
  }
}

// Shares that end now, by queue.
void DmaEngines::end_even(uint32_t engine, Time now) {
  Engine& e = engines_[engine];
  Even& s = e.even;
  const Lane* lanes = &lane(0, engine);
  uint64_t ended = 0;
  if (s.settled_end <= now) {
    each(s.settled, [&](uint32_t q) { ended |= uint64_t{lanes[q].key == s.least_key} << q; });
  }
  each(s.fresh, [&](uint32_t q) { ended |= uint64_t{lanes[q].end <= now} << q; });
  s.settled &= ~ended, s.fresh &= ~ended;
  each(ended, [&](uint32_t q) { close(q, engine, now), --s.active; });
  if (s.active == 0) e.busy += now - e.busy_since;
}

// The speed for the shares that are there now, and when the next of them ends.
void DmaEngines::settle_even(uint32_t engine, Time now) {
  Even& s = engines_[engine].even;
  Lane* lanes = &lane(0, engine);
  auto work_of = [&](uint32_t q) { return timing::share(*queues_[q].at(lanes[q].next).timing, engine).on_queue; };
  if (s.active == s.part.count) {
    each(s.begun, [&](uint32_t q) {
      Lane& l = lanes[q];
      l.key = work_of(q), l.since = now, l.end = now + time_for(l.key, s.part);
    });
    s.fresh |= s.begun;
  } else {
    s.done += progress(now - s.since, s.part.speed);
    each(s.fresh, [&](uint32_t q) { lanes[q].key += s.done - progress(now - lanes[q].since, s.part.speed); });
    each(s.begun, [&](uint32_t q) { lanes[q].key = s.done + work_of(q); });
    s.settled |= s.fresh | s.begun;
    s.fresh = 0;
    s.since = now, s.part = parts_[s.active];
  }
  s.begun = 0;
  Time least = kTimeMax, next = kTimeMax;
  each(s.settled, [&](uint32_t q) { least = std::min(least, lanes[q].key); });
  s.least_key = least;
  if (s.settled != 0) next = s.since + time_for(least - s.done, s.part);
  s.settled_end = next;
  each(s.fresh, [&](uint32_t q) { next = std::min(next, lanes[q].end); });
  s.next_end = next;
}

// The same shares as any engine has them.
void DmaEngines::leave_even(uint32_t engine) {
  Even& s = engines_[engine].even;
  auto add = [&](uint32_t q, Time since, Time remaining) {
    const Flight& flight = queues_[q].at(lane(q, engine).next);
    Active a;
    a.queue = q;
    a.demand = demand_of(flight, engine);
    a.engine_speed = a.speed = s.part.speed;
    a.updated = since, a.remaining = remaining, a.end = since + time_for(remaining, s.part);
    insert(engine, a);
  };
  each(s.settled, [&](uint32_t q) { add(q, s.since, lane(q, engine).key - s.done); });
  each(s.fresh, [&](uint32_t q) { add(q, lane(q, engine).since, lane(q, engine).key); });
  s = {};
}

}  // namespace presil::chip
