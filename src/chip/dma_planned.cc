// Transfers that are planned ahead, engine by engine.
#include <algorithm>

#include "chip/dma.h"
#include "chip/fixed_point.h"

namespace presil::chip {

// The engine alone, up to and with `until`: ends, then arrivals, then new speeds, at each instant.
// ended(queue, lane, start, end) before a lane is closed.
template <class Ended>
void DmaEngines::run_engine(uint32_t engine, Service& service, std::span<Lane> lanes, Time until, Ended&& ended) const {
  std::vector<Active>& active = service.active;
  while (true) {
    Time now = kTimeMax;
    for (const Active& a : active) now = std::min(now, a.end);
    for (uint32_t q : flying_queues_) now = std::min(now, lanes[q].ready);
    if (now > until || now == kTimeMax) return;
    for (size_t k = 0; k < active.size();) {
      if (active[k].end > now) {
        ++k;
        continue;
      }
      const uint32_t q = active[k].queue;
      ended(q, lanes[q], active[k].start, now);
      close(q, engine, lanes[q], active[k].start, now);
      active.erase(active.begin() + static_cast<ptrdiff_t>(k));
      if (active.empty()) service.busy += now - service.busy_since;
    }
    for (uint32_t q : flying_queues_) {
      Lane& l = lanes[q];
      while (l.ready <= now) {
        if (engine < loaded_.transfers[queues_[q].at(l.next).transfer].timing.engines_used) {
          activate(service, engine, q, l, now);
        } else {  // idle: its turn came
          ended(q, l, now, now);
          close(q, engine, l, now, now);
        }
      }
    }
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
  events_.push(time, static_cast<uint8_t>(Phase::arrive), {Event::Kind::plan});
}

// The first share of something new begins, or has begun by now.
void DmaEngines::plan() {
  if (split_ || plan_time_ != events_.now()) return;
  plan_time_ = kTimeMax;
  commit(events_.now());
  if (!postpone()) predict();
}

// Transfers that begin soon would change the prediction. If nothing can land before the next one begins, it is made
// then. Others only delay a transfer: it lands neither before its last prediction nor before it could alone.
bool DmaEngines::postpone() {
  Time next = kTimeMax, landing = kTimeMax;
  for (uint32_t q : flying_queues_) {
    const Queue& queue = queues_[q];
    for (uint32_t s = queue.head; s != queue.tail; ++s) {
      const Flight& flight = queue.at(s);
      const Time alone = flight.base + loaded_.transfers[flight.transfer].timing.full.on_queue;
      landing = std::min(landing, flight.land_time == kTimeMax ? alone : std::max(alone, flight.land_time));
      if (flight.base > events_.now()) next = std::min(next, flight.base);
    }
  }
  if (next == kTimeMax || landing <= next) return false;
  plan_at(next);
  return true;
}

void DmaEngines::commit(Time until) {
  flying_queues_.clear();
  for (uint32_t q = 0; q < queues_.size(); ++q) {
    if (!queues_[q].empty()) flying_queues_.push_back(q);
  }
  for (uint32_t e = 0; e < engine_count_; ++e) {
    run_engine(e, engines_[e].service, lanes(e), until,
               [&](uint32_t queue, const Lane&, Time start, Time end) { record(queue, e, start, end); });
  }
}

// With what is known now: when does each transfer land?
void DmaEngines::predict() {
  std::vector<Time>& lands = predicted_;
  lands.clear();
  for (uint32_t q : flying_queues_) {
    Queue& queue = queues_[q];
    queue.first_prediction = lands.size();
    for (uint32_t s = queue.head; s != queue.tail; ++s) lands.push_back(queue.at(s).last_end);
  }
  for (uint32_t e = 0; e < engine_count_; ++e) {
    scratch_.active = engines_[e].service.active;
    scratch_.shared = engines_[e].service.shared;
    for (uint32_t q : flying_queues_) scratch_lanes_[q] = lane(q, e);
    run_engine(e, scratch_, scratch_lanes_, kTimeMax, [&](uint32_t q, const Lane& l, Time, Time end) {
      Time& land = lands[queues_[q].first_prediction + (l.next - queues_[q].head)];
      land = std::max(land, end);
    });
  }
  for (uint32_t q : flying_queues_) {
    Queue& queue = queues_[q];
    for (uint32_t s = queue.head; s != queue.tail; ++s) {
      Flight& flight = queue.at(s);
      const Time land = lands[queue.first_prediction + (s - queue.head)];
      if (land == flight.land_time) continue;
      flight.land_time = land;
      events_.push(land, static_cast<uint8_t>(Phase::complete), {Event::Kind::land, static_cast<uint8_t>(q)});
    }
  }
}

// All shares of the oldest flights of `queue` have ended, unless this event is out of date.
void DmaEngines::land(uint32_t queue) {
  Queue& q = queues_[queue];
  if (split_ || q.empty() || q.at(q.head).land_time > events_.now()) return;
  commit(events_.now());
  while (!q.empty() && q.at(q.head).land_time <= events_.now()) {
    Flight& flight = q.at(q.head);
    uint32_t latest = 0;
    const uint32_t used = loaded_.transfers[flight.transfer].timing.engines_used;
    for (uint32_t e = 0; e < used; ++e) {
      if (lane(queue, e).previous_end >= lane(queue, latest).previous_end) latest = e;
    }
    raise(flight, engine_count_, lane(queue, latest).previous_event);
    retire(q);
  }
}

}  // namespace presil::chip
