#include "chip/dma.h"

#include <algorithm>

namespace presil::chip {
namespace {

constexpr uint64_t kFull = uint64_t{1} << 32;  // a whole engine, full speed

uint64_t fraction(uint64_t part, uint64_t whole) {
  if (part >= whole) return kFull;
  return static_cast<uint64_t>((static_cast<unsigned __int128>(part) << 32) / whole);
}
Time progress(Time elapsed, uint64_t speed) {
  if (speed == kFull) return elapsed;
  return static_cast<Time>((static_cast<unsigned __int128>(elapsed) * speed) >> 32);
}
Time time_for(Time work, uint64_t speed) {
  if (speed == kFull) return work;
  unsigned __int128 time = ((static_cast<unsigned __int128>(work) << 32) + speed - 1) / speed;
  return time > kTimeMax ? kTimeMax : static_cast<Time>(time);
}
uint64_t scaled(uint64_t rate, uint64_t speed) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(rate) * speed) >> 32);
}

}  // namespace

DmaEngines::DmaEngines(const Loaded& loaded, const spec::ChipSpec& spec, const Options& options, Events& events,
                       Listener& listener)
    : loaded_(loaded),
      options_(options),
      events_(events),
      listener_(listener),
      engine_count_(spec.dma.engines),
      hbm_limit_(spec.hbm.bytes_per_s),
      wake_(spec.semaphores.wake),
      hbm_factor_(kFull),
      queues_(spec.dma.queues),
      lanes_(size_t{spec.dma.queues} * spec.dma.engines),
      engines_(spec.dma.engines) {
  for (Queue& q : queues_) q.ring.resize(16);
  for (Engine& e : engines_) e.active.reserve(spec.dma.queues);
  for (const LoadedTransfer& t : loaded.transfers) {
    demands_.push_back({demand_of(t.timing, t.timing.full), demand_of(t.timing, t.timing.last)});
  }
}

void DmaEngines::trigger(uint32_t index, uint32_t cause) {
  const LoadedTransfer& t = loaded_.transfers[index];
  Queue& q = queues_[t.queue];
  if (q.tail - q.head == q.ring.size()) {  // full: twice the ring, flights at their new places
    std::vector<Flight> larger(q.ring.size() * 2);
    for (uint32_t s = q.head; s != q.tail; ++s) larger[s & (larger.size() - 1)] = q.at(s);
    q.ring = std::move(larger);
  }
  q.at(q.tail++) = {index, cause, engine_count_, triggered_++, events_.now() + t.timing.start_latency};
  if (++in_flight_ == 1) oldest_layer_ = t.layer;
  for (uint32_t e = 0; e < t.timing.engines_used; ++e) {
    settle(engines_[e]);
    ++engines_[e].pending;
  }
  for (uint32_t e = 0; e < engine_count_; ++e) {
    if (!lane(t.queue, e).busy) schedule_arrival(t.queue, e);
  }
}

void DmaEngines::schedule_arrival(uint32_t queue, uint32_t engine) {
  Lane& l = lane(queue, engine);
  Queue& q = queues_[queue];
  l.busy = l.next != q.tail;
  if (!l.busy) return;
  const Flight& flight = q.at(l.next);
  const timing::Transfer& timing = loaded_.transfers[flight.transfer].timing;
  Time base = flight.base + (engine < timing.engines_used ? timing::start_offset(timing, engine) : 0);
  Time start = std::max({base, l.previous_end, l.not_before});
  events_.push(start, static_cast<uint8_t>(Phase::arrive),
               {Event::Kind::arrive, static_cast<uint8_t>(queue), static_cast<uint16_t>(engine), 0});
}

DmaEngines::Demand DmaEngines::demand_of(const timing::Transfer& transfer, const timing::Share& share) const {
  if (share.on_queue == 0) return {};
  auto hbm_bytes = [](const timing::Share& s) { return s.hbm_read_bytes + s.hbm_write_bytes; };
  const auto on_queue = static_cast<uint64_t>(share.on_queue);
  const unsigned __int128 bytes = hbm_bytes(share);
  const uint64_t all_bytes = (transfer.engines_used - 1) * hbm_bytes(transfer.full) + hbm_bytes(transfer.last);
  Demand d;
  d.capacity = fraction(static_cast<uint64_t>(share.on_engine), on_queue);
  d.hbm_rate = static_cast<uint64_t>((bytes * kFemtosecondsPerSecond + on_queue - 1) / on_queue);
  d.alone = std::max(share.on_queue, duration_up(all_bytes, hbm_limit_));
  return d;
}

void DmaEngines::arrive(uint32_t engine, uint32_t queue) {
  Lane& l = lane(queue, engine);
  const Flight& flight = queues_[queue].at(l.next);
  const LoadedTransfer& t = loaded_.transfers[flight.transfer];
  Time now = events_.now();
  trace::Release release = trace::Release::trigger;
  uint32_t cause = flight.cause;
  if (now == l.not_before && l.previous_event != UINT32_MAX) release = trace::Release::descriptor;
  if (now == l.previous_end && l.previous_event != UINT32_MAX) release = trace::Release::queue;
  if (release != trace::Release::trigger) cause = l.previous_event;
  l.not_before = now + t.timing.floor;
  if (engine >= t.timing.engines_used) return end_share(engine, queue, nullptr);

  Engine& e = engines_[engine];
  settle(e);
  --e.pending;
  Active a;
  a.queue = queue;
  a.cause = cause;
  a.release = release;
  a.demand = demands_[flight.transfer][engine + 1 < t.timing.engines_used ? 0 : 1];
  a.start = a.updated = now;
  a.remaining = timing::share(t.timing, engine).on_queue;
  if (!options_.contention) {
    a.engine_speed = a.speed = kFull;
    a.end = now + a.demand.alone;
  }
  e.active.push_back(a);
  rebalance(engine);
}

void DmaEngines::finish(uint32_t engine, uint32_t version) {
  Engine& e = engines_[engine];
  if (version != e.version) return;
  settle(e);
  e.next = kTimeMax;
  for (size_t k = 0; k < e.active.size();) {
    if (e.active[k].end > events_.now()) {
      ++k;
      continue;
    }
    Active done = e.active[k];
    e.active.erase(e.active.begin() + static_cast<ptrdiff_t>(k));
    end_share(engine, done.queue, &done);
  }
  rebalance(engine);
}

// Of an idle engine `active` is null: its turn came, it only raises the semaphore.
void DmaEngines::end_share(uint32_t engine, uint32_t queue, const Active* active) {
  Lane& l = lane(queue, engine);
  Queue& q = queues_[queue];
  Flight& flight = q.at(l.next);
  const LoadedTransfer& t = loaded_.transfers[flight.transfer];
  Time now = events_.now();
  uint32_t event = flight.cause;
  if (active != nullptr) {
    const timing::Share& share = timing::share(t.timing, engine);
    trace::Event shown{.lane = options_.first_lane + engine, .instruction = trace::kNoInstruction, .source = t.source};
    shown.start = active->start;
    shown.busy_until = shown.end = now;
    shown.release = active->release;
    shown.cause = active->cause;
    shown.amount = share.bytes;
    shown.dma_queue = static_cast<uint8_t>(queue);
    event = listener_.share_ended(shown);
    DmaCounters& counters = engines_[engine].counters;
    counters.bytes += share.bytes;
    ++counters.shares;
    counters.stretched += now - active->start - share.on_queue;
    l.previous_event = event;
    last_end_ = now;
  }
  l.previous_end = now;
  if (t.signal != isa::kNoSemaphore) {
    events_.push(now + t.timing.completion + wake_, static_cast<uint8_t>(Phase::complete),
                 {Event::Kind::raise, static_cast<uint8_t>(Producer::dma), t.signal, event});
  }
  ++l.next;
  if (--flight.shares_left == 0) {
    listener_.transfer_ending();
    ++q.head;
    --in_flight_;
    ++engines_[0].counters.transfers;
    find_oldest();
  }
  schedule_arrival(queue, engine);
}

void DmaEngines::find_oldest() {
  const Flight* oldest = nullptr;
  for (const Queue& q : queues_) {
    if (q.head == q.tail) continue;
    const Flight& flight = q.at(q.head);
    if (oldest == nullptr || flight.order < oldest->order) oldest = &flight;
  }
  if (oldest != nullptr) oldest_layer_ = loaded_.transfers[oldest->transfer].layer;
}

void DmaEngines::pass(Engine& e, Time now) {
  Time passed = now - e.updated;
  if (passed == 0) return;
  e.updated = now;
  DmaCounters& c = e.counters;
  (!e.active.empty() ? c.busy : e.pending > 0 ? c.waiting : c.idle) += passed;
}

// After the set of active shares of `engine` changed: speeds, and when the next one ends.
void DmaEngines::rebalance(uint32_t engine) {
  Engine& e = engines_[engine];
  uint64_t factor = kFull;
  if (options_.contention) {
    share_engine(e);
    hbm_asked_ -= e.hbm_rate;
    e.hbm_rate = 0;
    for (const Active& a : e.active) e.hbm_rate += scaled(a.demand.hbm_rate, a.engine_speed);
    hbm_asked_ += e.hbm_rate;
    factor = fraction(hbm_limit_, hbm_asked_);
  }
  if (factor == hbm_factor_) return apply_factor(engine);
  hbm_factor_ = factor;
  for (uint32_t other = 0; other < engine_count_; ++other) apply_factor(other);
}

// Equal parts of the engine, filled up from the share that needs least.
void DmaEngines::share_engine(Engine& e) const {
  uint64_t asked = 0;
  for (Active& a : e.active) asked += a.demand.capacity, a.engine_speed = kFull;
  if (asked <= kFull) return;
  std::vector<Active>& active = e.active;
  for (size_t k = 1; k < active.size(); ++k) {  // few: insertion
    for (size_t j = k; j > 0 && active[j].demand.capacity < active[j - 1].demand.capacity; --j) std::swap(active[j], active[j - 1]);
  }
  uint64_t left = kFull;
  for (size_t k = 0; k < active.size(); ++k) {
    uint64_t part = std::min(active[k].demand.capacity, left / (active.size() - k));
    active[k].engine_speed = fraction(part, active[k].demand.capacity);
    left -= part;
  }
}

void DmaEngines::apply_factor(uint32_t engine) {
  Engine& e = engines_[engine];
  const Time now = events_.now();
  Time next = kTimeMax;
  for (Active& a : e.active) {
    uint64_t speed = a.demand.hbm_rate > 0 ? scaled(a.engine_speed, hbm_factor_) : a.engine_speed;
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

std::vector<DmaCounters> DmaEngines::counters(Time elapsed) const {
  std::vector<DmaCounters> all;
  for (Engine e : engines_) {
    pass(e, elapsed);
    all.push_back(e.counters);
  }
  return all;
}

}  // namespace presil::chip
