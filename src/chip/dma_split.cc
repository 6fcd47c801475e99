// Transfers that meet others: every share has its own arrival and end.
#include <algorithm>
#include <tuple>

#include "chip/dma.h"
#include "chip/fixed_point.h"

namespace presil::chip {

// From planned to split: what has ended is recorded, what runs is active, what is to come has its arrival.
void DmaEngines::split_all() {
  split_ = true;
  for (uint32_t queue = 0; queue < queues_.size(); ++queue) {
    Queue& q = queues_[queue];
    for (uint32_t s = q.head; s != q.tail && q.at(s).planned; ++s) split(queue, s);
    for (uint32_t e = 0; e < engine_count_; ++e) {
      if (!lane(queue, e).busy) schedule_arrival(queue, e);
    }
  }
}

void DmaEngines::split(uint32_t queue, uint32_t sequence) {
  Queue& q = queues_[queue];
  Flight& flight = q.at(sequence);
  const Time* starts = plan(q, sequence);
  const Time* ends = starts + engine_count_;
  const Time now = events_.now();
  for (uint32_t e = 0; e < engine_count_; ++e) {
    if (lane(queue, e).next != sequence) continue;  // behind a share that has not ended
    if (ends[e] <= now) {
      record(queue, e, starts[e], ends[e]);
    } else if (starts[e] <= now) {
      lane(queue, e).busy = true;
      activate(e, queue, starts[e]);
    }
  }
  flight.planned = false;
}

void DmaEngines::schedule_arrival(uint32_t queue, uint32_t engine) {
  Lane& l = lane(queue, engine);
  const Queue& q = queues_[queue];
  l.busy = l.next != q.tail;
  if (!l.busy) return;
  const Time start = std::max({base_of(q.at(l.next), engine), l.previous_end, l.not_before});
  events_.push(start, static_cast<uint8_t>(Phase::arrive),
               {Event::Kind::arrive, static_cast<uint8_t>(queue), static_cast<uint16_t>(engine), 0});
}

void DmaEngines::arrive(uint32_t engine, uint32_t queue) {
  const Flight& flight = queues_[queue].at(lane(queue, engine).next);
  if (engine >= loaded_.transfers[flight.transfer].timing.engines_used) {  // idle: its turn came
    return end_share(engine, queue, events_.now());
  }
  activate(engine, queue, events_.now());
}

// From `start`, at full speed until balance() says otherwise.
void DmaEngines::activate(uint32_t engine, uint32_t queue, Time start) {
  Engine& e = engines_[engine];
  const Flight& flight = queues_[queue].at(lane(queue, engine).next);
  if (e.active.empty()) e.busy_since = start;
  Active a;
  a.queue = queue;
  a.demand = demand(flight, engine);
  a.start = a.updated = start;
  a.remaining = options_.contention ? timing::share(loaded_.transfers[flight.transfer].timing, engine).on_queue
                                    : a.demand.alone;
  a.engine_speed = a.speed = kFull;
  a.end = start + a.remaining;
  e.active.push_back(a);
  change(engine);
}

void DmaEngines::finish(uint32_t engine, uint32_t version) {
  Engine& e = engines_[engine];
  if (version != e.version) return;
  e.next = kTimeMax;
  for (size_t k = 0; k < e.active.size();) {
    if (e.active[k].end > events_.now()) {
      ++k;
      continue;
    }
    const Active done = e.active[k];
    e.active.erase(e.active.begin() + static_cast<ptrdiff_t>(k));
    if (e.active.empty()) e.counters.busy += events_.now() - e.busy_since;
    end_share(engine, done.queue, done.start);
  }
  change(engine);
}

void DmaEngines::end_share(uint32_t engine, uint32_t queue, Time start) {
  Queue& q = queues_[queue];
  Lane& l = lane(queue, engine);
  Flight& flight = q.at(l.next);
  const LoadedTransfer& t = loaded_.transfers[flight.transfer];
  const bool idle = engine >= t.timing.engines_used;
  record(queue, engine, start, events_.now());
  if (flight.mixed || flight.shares_left == 0) {
    raise(flight, engine_count_ - flight.shares_left - flight.shares_raised, idle ? flight.cause : l.previous_event);
  }
  if (flight.shares_left == 0) retire(q);
  schedule_arrival(queue, engine);
}

void DmaEngines::change(uint32_t engine) {
  engines_[engine].changed = true;
  if (unbalanced_) return;
  if (events_.advance_if_next(events_.now(), static_cast<uint8_t>(Phase::balance))) return balance();
  unbalanced_ = true;
  events_.push(events_.now(), static_cast<uint8_t>(Phase::balance), {Event::Kind::balance});
}

// New speeds where the active shares have changed; everywhere when that changes the HBM's factor.
void DmaEngines::balance() {
  unbalanced_ = false;
  for (Engine& e : engines_) {
    if (!e.changed || !options_.contention) continue;
    share_engine(e);
    hbm_asked_ -= e.hbm_rate;
    e.hbm_rate = 0;
    for (const Active& a : e.active) e.hbm_rate += scaled(a.demand.hbm_rate, a.engine_speed);
    hbm_asked_ += e.hbm_rate;
  }
  const uint64_t factor = fraction(hbm_limit_, hbm_asked_);
  const bool all = factor != hbm_factor_;
  hbm_factor_ = factor;
  for (uint32_t engine = 0; engine < engine_count_; ++engine) {
    if (all || engines_[engine].changed) reschedule(engine);
    engines_[engine].changed = false;
  }
}

// Equal parts of the engine, filled up from the share that needs least.
void DmaEngines::share_engine(Engine& e) const {
  std::vector<Active>& active = e.active;
  uint64_t asked = 0;
  for (Active& a : active) asked += a.demand.capacity, a.engine_speed = kFull;
  if (asked <= kFull) return;
  auto less = [](const Active& a, const Active& b) {  // by queue where equal: rounding may not depend on history
    return std::tie(a.demand.capacity, a.queue) < std::tie(b.demand.capacity, b.queue);
  };
  for (size_t k = 1; k < active.size(); ++k) {  // few: insertion
    for (size_t j = k; j > 0 && less(active[j], active[j - 1]); --j) std::swap(active[j], active[j - 1]);
  }
  uint64_t left = kFull;
  for (size_t k = 0; k < active.size(); ++k) {
    const uint64_t part = std::min(active[k].demand.capacity, left / (active.size() - k));
    active[k].engine_speed = fraction(part, active[k].demand.capacity);
    left -= part;
  }
}

void DmaEngines::reschedule(uint32_t engine) {
  Engine& e = engines_[engine];
  const Time now = events_.now();
  Time next = kTimeMax;
  for (Active& a : e.active) {
    const uint64_t speed = a.demand.hbm_rate > 0 ? scaled(a.engine_speed, hbm_factor_) : a.engine_speed;
    if (speed != a.speed) {
      a.remaining = std::max<Time>(0, a.remaining - progress(now - a.updated, a.speed));
      a.updated = now;
      a.speed = std::max<uint64_t>(1, speed);
      a.end = now + time_for(a.remaining, a.speed);
    }
    next = std::min(next, a.end);
  }
  if (next == e.next) return;
  e.next = next;
  ++e.version;
  if (next == kTimeMax) return;
  events_.push(next, static_cast<uint8_t>(Phase::complete),
               {Event::Kind::finish, 0, static_cast<uint16_t>(engine), e.version});
}

}  // namespace presil::chip
