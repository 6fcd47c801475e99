// Transfers whose shares have events of their own.
#include <algorithm>

#include "chip/dma.h"
#include "chip/fixed_point.h"

namespace presil::chip {

// From planned to split: what was planned happens up to now, the rest has its events.
void DmaEngines::split_all() {
  commit(events_.now());
  split_ = true;
  plan_time_ = kTimeMax;
  for (uint32_t e = 0; e < engine_count_; ++e) {
    if (even_) leave_even(e);
    if (!engines_[e].service.active.empty()) change(e);
    for (uint32_t q = 0; q < queues_.size(); ++q) {
      if (!lane(q, e).busy) schedule_arrival(q, e);
    }
  }
}

void DmaEngines::schedule_arrival(uint32_t queue, uint32_t engine) {
  if (ready(queue, engine) == kTimeMax) return;
  lane(queue, engine).busy = true;
  push(ready(queue, engine), Phase::arrive,
       {Event::Kind::arrive, static_cast<uint8_t>(queue), static_cast<uint16_t>(engine)});
}

void DmaEngines::arrive(uint32_t engine, uint32_t queue) {
  const Flight& flight = queues_[queue].at(lane(queue, engine).next);
  if (engine >= flight.timing->engines_used) {  // idle: its turn came
    lane(queue, engine).start = events_.now();
    return end_share(engine, queue);
  }
  activate(engine, queue, events_.now());
  change(engine);
}

void DmaEngines::finish(uint32_t engine, uint32_t version) {
  Engine& e = engines_[engine];
  if (version != e.version) return;
  e.next = kTimeMax;
  std::vector<Active>& active = e.service.active;
  for (size_t k = 0; k < active.size();) {
    if (active[k].end > events_.now()) {
      ++k;
      continue;
    }
    const uint32_t queue = active[k].queue;
    active.erase(active.begin() + static_cast<ptrdiff_t>(k));
    if (active.empty()) e.busy += events_.now() - e.busy_since;
    end_share(engine, queue);
  }
  change(engine);
}

void DmaEngines::end_share(uint32_t engine, uint32_t queue) {
  Flight& flight = close(queue, engine, events_.now());
  if (flight.mixed || flight.shares_left == 0) {
    const bool shown = engine < flight.timing->engines_used;
    raise(flight, engine_count_ - flight.shares_left - flight.shares_raised,
          shown ? lane(queue, engine).previous_event : flight.cause);
  }
  if (flight.shares_left == 0) retire(queues_[queue]);
  schedule_arrival(queue, engine);
}

void DmaEngines::change(uint32_t engine) {
  engines_[engine].changed = true;
  if (stack_.unbalanced) return;
  if (events_.advance_if_next(events_.now(), static_cast<uint8_t>(Phase::balance))) return balance();
  stack_.unbalanced = true;
  push(events_.now(), Phase::balance, {Event::Kind::balance});
}

// New speeds where the active shares have changed; everywhere when that changes the HBM's factor.
void DmaEngines::balance() {
  stack_.unbalanced = false;
  for (DmaEngines* member : stack_.members) member->ask();
  const uint64_t factor = fraction(stack_.bytes_per_s, stack_.asked * stack_.alike);
  const bool all = factor != stack_.factor;
  stack_.factor = factor;
  for (DmaEngines* member : stack_.members) member->respeed(all);
}

void DmaEngines::ask() {
  for (Engine& e : engines_) {
    if (!e.changed || !options_.contention) continue;
    share_engine(e.service.active);
    stack_.asked -= e.hbm_rate;
    e.hbm_rate = 0;
    for (const Active& a : e.service.active) e.hbm_rate += scaled(a.demand.hbm_rate, a.engine_speed);
    stack_.asked += e.hbm_rate;
  }
}

void DmaEngines::respeed(bool all) {
  for (uint32_t engine = 0; engine < engine_count_; ++engine) {
    if (all || engines_[engine].changed) reschedule(engine);
    engines_[engine].changed = false;
  }
}

void DmaEngines::reschedule(uint32_t engine) {
  Engine& e = engines_[engine];
  Time next = kTimeMax;
  for (Active& a : e.service.active) {
    set_speed(a, a.demand.hbm_rate > 0 ? scaled(a.engine_speed, stack_.factor) : a.engine_speed, events_.now());
    next = std::min(next, a.end);
  }
  if (next == e.next) return;
  e.next = next;
  ++e.version;
  if (next == kTimeMax) return;
  push(next, Phase::complete, {Event::Kind::finish, 0, static_cast<uint16_t>(engine), e.version});
}

}  // namespace presil::chip
