// What a single DMA engine does with the shares it has; planned and split transfers both.
#include <algorithm>
#include <tuple>

#include "chip/dma.h"
#include "chip/fixed_point.h"

namespace presil::chip {

// When the next share of the lane may begin, if there is one.
void DmaEngines::make_ready(uint32_t queue, uint32_t engine) {
  const Lane& l = lane(queue, engine);
  Time& when = ready(queue, engine);
  Engine& e = engines_[engine];
  if (l.next == queues_[queue].tail) {
    when = kTimeMax;
    e.waiting &= ~(uint64_t{1} << queue);
    return;
  }
  const Flight& flight = queues_[queue].at(l.next);
  const Time base = flight.base + flight.offsets[engine];
  when = std::max({base, l.previous_end, l.not_before});
  e.waiting |= uint64_t{1} << queue;
  e.next_ready = std::min(e.next_ready, when);
  e.next_change = std::min(e.next_change, when);
}

// The lane's next share begins.
void DmaEngines::occupy(uint32_t engine, uint32_t queue, Time start) {
  Engine& e = engines_[engine];
  if (e.service.active.empty() && e.even.active == 0) e.busy_since = start;
  e.waiting &= ~(uint64_t{1} << queue);
  ready(queue, engine) = kTimeMax;
  Lane& l = lane(queue, engine);
  l.start = start;
  l.busy = true;
}

// From `start`, at full speed until the engine is shared out.
void DmaEngines::activate(uint32_t engine, uint32_t queue, Time start) {
  const Flight& flight = queues_[queue].at(lane(queue, engine).next);
  occupy(engine, queue, start);
  Active a;
  a.queue = queue;
  a.demand = demand_of(flight, engine);
  a.updated = start;
  a.remaining = options_.contention ? timing::share(*flight.timing, engine).on_queue : a.demand.alone;
  a.engine_speed = a.speed = kFull;
  a.end = start + a.remaining;
  insert(engine, a);
}

// Active shares are kept by what they need of their class's part, then by queue: rounding may not depend on history.
void DmaEngines::insert(uint32_t engine, const Active& a) {
  std::vector<Active>& active = engines_[engine].service.active;
  auto after = std::upper_bound(active.begin(), active.end(), a, [](const Active& x, const Active& y) {
    const uint64_t needs_x = x.demand.capacity * y.demand.weight, needs_y = y.demand.capacity * x.demand.weight;
    return std::tie(needs_x, x.queue) < std::tie(needs_y, y.queue);
  });
  active.insert(after, a);
}

// The lane's share is over; the next one has to respect it.
DmaEngines::Flight& DmaEngines::close(uint32_t queue, uint32_t engine, Time end) {
  Lane& l = lane(queue, engine);
  Flight& flight = queues_[queue].at(l.next);
  flight.last_end = std::max(flight.last_end, end);
  if (--flight.shares_left == 0 && !split_) {
    push(flight.last_end, Phase::complete, {Event::Kind::land, static_cast<uint8_t>(queue)});
  }
  if (engine < flight.timing->engines_used) record(flight, l, engine, end);
  ++l.next;
  l.busy = false;
  l.previous_end = end;
  l.not_before = l.start + flight.timing->floor;
  make_ready(queue, engine);
  return flight;
}

// Parts of the engine by weight, filled up from the share that needs least of its own. False if there is enough for
// all.
bool DmaEngines::share_engine(std::vector<Active>& active) {
  uint64_t asked = 0, weights = 0;
  for (Active& a : active) asked += a.demand.capacity, weights += a.demand.weight, a.engine_speed = kFull;
  if (asked <= kFull) return false;
  uint64_t left = kFull;
  for (size_t k = 0; k < active.size(); ++k) {
    const uint64_t weight = active[k].demand.weight;
    if (active[k].demand.capacity <= left * weight / weights) {
      left -= active[k].demand.capacity, weights -= weight;
      continue;
    }
    for (; k < active.size(); ++k)
      active[k].engine_speed = fraction(left * active[k].demand.weight / weights, active[k].demand.capacity);
  }
  return true;
}

void DmaEngines::set_speed(Active& a, uint64_t speed, Time now) {
  if (speed == a.speed) return;
  a.remaining = std::max<Time>(0, a.remaining - progress(now - a.updated, a.speed));
  a.updated = now;
  a.speed = std::max<uint64_t>(1, speed);
  a.end = now + time_for(a.remaining, a.speed);
}

}  // namespace presil::chip
