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
  if (l.next == queues_[queue].tail) {
    when = kTimeMax;
    return;
  }
  const Flight& flight = queues_[queue].at(l.next);
  const Time base = flight.base + offsets_[size_t{flight.transfer} * engine_count_ + engine];
  when = std::max({base, l.previous_end, l.not_before});
  engines_[engine].next_change = std::min(engines_[engine].next_change, when);
}

// From `start`, at full speed until the engine is shared out. Active shares are kept by what they need, then by queue:
// rounding may not depend on history.
void DmaEngines::activate(uint32_t engine, uint32_t queue, Time start) {
  Service& service = engines_[engine].service;
  Lane& l = lane(queue, engine);
  const Flight& flight = queues_[queue].at(l.next);
  const timing::Transfer& timing = loaded_.transfers[flight.transfer].timing;
  std::vector<Active>& active = service.active;
  if (active.empty()) service.busy_since = start;
  Active a;
  a.queue = queue;
  a.demand = demands_[flight.transfer][engine + 1 < timing.engines_used ? 0 : 1];
  a.start = a.updated = start;
  a.remaining = options_.contention ? timing::share(timing, engine).on_queue : a.demand.alone;
  a.engine_speed = a.speed = kFull;
  a.end = start + a.remaining;
  size_t place = active.size();
  active.push_back(a);
  for (; place > 0; --place) {
    const Active& before = active[place - 1];
    if (std::tie(before.demand.capacity, before.queue) < std::tie(a.demand.capacity, a.queue)) break;
    active[place] = before;
  }
  active[place] = a;
  l.busy = true;
  ready(queue, engine) = kTimeMax;
}

// The lane's share is over; the next one has to respect it.
DmaEngines::Flight& DmaEngines::close(uint32_t queue, uint32_t engine, Time start, Time end) {
  Lane& l = lane(queue, engine);
  Flight& flight = queues_[queue].at(l.next);
  const LoadedTransfer& t = loaded_.transfers[flight.transfer];
  flight.last_end = std::max(flight.last_end, end);
  if (--flight.shares_left == 0 && !split_) {
    events_.push(flight.last_end, static_cast<uint8_t>(Phase::complete),
                 {Event::Kind::land, static_cast<uint8_t>(queue)});
  }
  if (engine < t.timing.engines_used) record(t, flight, l, engine, start, end);
  ++l.next;
  l.busy = false;
  l.previous_end = end;
  l.not_before = start + t.timing.floor;
  make_ready(queue, engine);
  return flight;
}

// Equal parts of the engine, filled up from the share that needs least. False if there is enough for all.
bool DmaEngines::share_engine(std::vector<Active>& active) {
  uint64_t asked = 0;
  for (Active& a : active) asked += a.demand.capacity, a.engine_speed = kFull;
  if (asked <= kFull) return false;
  uint64_t left = kFull;
  for (size_t k = 0; k < active.size(); ++k) {
    const uint64_t part = left / (active.size() - k);
    if (active[k].demand.capacity <= part) {
      left -= active[k].demand.capacity;
      continue;
    }
    for (; k < active.size(); ++k) active[k].engine_speed = fraction(part, active[k].demand.capacity);
  }
  return true;
}

// share_engine() and set_speed() where every share could use the engine for itself, the usual case: all are equally
// fast, so that only the end of the shortest matters; the others keep none.
void DmaEngines::share_evenly(std::vector<Active>& active, Time now) {
  const uint64_t speed = kFull / active.size();
  Time least = kTimeMax;
  for (Active& a : active) {
    if (a.speed == speed && a.updated != now) {  // as fast as before: its end does not change
      if (a.end == kTimeMax) a.end = a.updated + time_for(a.remaining, speed);
      continue;
    }
    a.remaining = std::max<Time>(0, a.remaining - progress(now - a.updated, a.speed));
    a.updated = now;
    a.engine_speed = a.speed = speed;
    a.end = kTimeMax;
    least = std::min(least, a.remaining);
  }
  if (least == kTimeMax) return;
  const Time end = now + time_for(least, speed);
  for (Active& a : active) {
    if (a.updated == now && a.remaining == least) a.end = end;
  }
}

void DmaEngines::set_speed(Active& a, uint64_t speed, Time now) {
  if (speed == a.speed) return;
  a.remaining = std::max<Time>(0, a.remaining - progress(now - a.updated, a.speed));
  a.updated = now;
  a.speed = std::max<uint64_t>(1, speed);
  a.end = now + time_for(a.remaining, a.speed);
}

}  // namespace presil::chip
