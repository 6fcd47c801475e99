#include "chip/dma.h"

#include <algorithm>

#include "chip/fixed_point.h"

namespace presil::chip {

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
      raising_(loaded.semaphores),
      queues_(spec.dma.queues),
      lanes_(size_t{spec.dma.queues} * spec.dma.engines),
      engines_(spec.dma.engines) {
  for (Queue& q : queues_) {
    q.ring.resize(4);
    q.plans.resize(q.ring.size() * 2 * engine_count_);
  }
  for (Engine& e : engines_) e.active.reserve(spec.dma.queues);
  for (const LoadedTransfer& t : loaded.transfers) {
    demands_.push_back({demand_of(t.timing, t.timing.full), demand_of(t.timing, t.timing.last)});
    for (uint32_t e = 0; e < engine_count_; ++e) {
      offsets_.push_back(e < t.timing.engines_used ? timing::start_offset(t.timing, e) : 0);
    }
  }
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

void DmaEngines::trigger(uint32_t index, uint32_t cause) {
  const LoadedTransfer& t = loaded_.transfers[index];
  const uint32_t queue = t.queue;
  if (in_flight_ == 0) {
    flying_since_ = events_.now();
    oldest_layer_ = t.layer;
    split_ = !options_.plan || !options_.contention;
  }
  Flight flight{.transfer = index, .cause = cause, .shares_left = engine_count_, .order = triggered_++};
  flight.base = events_.now() + t.timing.start_latency;
  flight.mixed = t.signal != isa::kNoSemaphore && (raising_[t.signal]++ > 0 || !t.raises_whole);
  if (flight.mixed) mix(t.signal);
  add_flight(queues_[queue], flight);
  ++in_flight_;
  if (!split_ && !flight.mixed && plan_flight(queue)) return;
  if (!split_) split_all();
  for (uint32_t e = 0; e < engine_count_; ++e) {
    if (!lane(queue, e).busy) schedule_arrival(queue, e);
  }
}

void DmaEngines::add_flight(Queue& q, const Flight& flight) {
  if (q.tail - q.head == q.ring.size()) {  // full: twice the ring, flights and plans at their new places
    Queue larger = q;
    larger.ring.resize(q.ring.size() * 2);
    larger.plans.resize(q.plans.size() * 2);
    for (uint32_t s = q.head; s != q.tail; ++s) {
      larger.at(s) = q.at(s);
      std::copy_n(plan(q, s), 2 * engine_count_, plan(larger, s));
    }
    q = std::move(larger);
  }
  q.at(q.tail++) = flight;
}

// The newest flight of `queue`, alone. False when it could meet another one.
bool DmaEngines::plan_flight(uint32_t queue) {
  Queue& q = queues_[queue];
  const uint32_t sequence = q.tail - 1;
  Flight& flight = q.at(sequence);
  const timing::Transfer& t = loaded_.transfers[flight.transfer].timing;
  Time* starts = plan(q, sequence);
  Time* ends = starts + engine_count_;
  const bool follows = sequence != q.head;  // another planned flight of this queue
  const Time* before = follows ? plan(q, sequence - 1) : nullptr;
  const Time floor = follows ? loaded_.transfers[q.at(sequence - 1).transfer].timing.floor : 0;
  Time first = kTimeMax, last = 0;
  for (uint32_t e = 0; e < engine_count_; ++e) {
    const Lane& l = lane(queue, e);
    const Time previous_end = follows ? before[engine_count_ + e] : l.previous_end;
    const Time not_before = follows ? before[e] + floor : l.not_before;
    starts[e] = std::max({base_of(flight, e), previous_end, not_before});
    ends[e] = starts[e];
    if (e < t.engines_used) {
      if (demand(flight, e).hbm_rate * engine_count_ > hbm_limit_) return false;
      ends[e] += timing::share(t, e).on_queue;
    }
    first = std::min(first, starts[e]);
    last = std::max(last, ends[e]);
  }
  if (meets_another(queue, first, last)) return false;
  if (!follows) q.first_start = first;
  q.last_end = last;
  flight.planned = true;
  events_.push(last, static_cast<uint8_t>(Phase::complete),
               {Event::Kind::land, static_cast<uint8_t>(queue), 0, sequence});
  return true;
}

bool DmaEngines::meets_another(uint32_t queue, Time first_start, Time last_end) {
  const Time* plan_of_newest = plan(queues_[queue], queues_[queue].tail - 1);
  for (uint32_t other = 0; other < queues_.size(); ++other) {
    Queue& q = queues_[other];
    if (other == queue || q.empty() || first_start >= q.last_end || q.first_start >= last_end) continue;
    for (uint32_t s = q.head; s != q.tail; ++s) {
      if (meet(plan_of_newest, plan(q, s))) return true;
    }
  }
  return false;
}

// Is some engine busy with both at a time?
bool DmaEngines::meet(const Time* a, const Time* b) const {
  bool any = false;
  for (uint32_t e = 0; e < engine_count_; ++e) any |= a[e] < b[engine_count_ + e] && b[e] < a[engine_count_ + e];
  return any;
}

// All shares of a planned flight have ended.
void DmaEngines::land(uint32_t queue, uint32_t sequence) {
  Queue& q = queues_[queue];
  if (sequence != q.head || q.empty() || !q.at(sequence).planned) return;  // it was split
  Flight& flight = q.at(sequence);
  const LoadedTransfer& t = loaded_.transfers[flight.transfer];
  const Time* starts = plan(q, sequence);
  uint32_t latest = 0;
  for (uint32_t e = 0; e < engine_count_; ++e) {
    record(queue, e, starts[e], starts[engine_count_ + e]);
    if (e < t.timing.engines_used && starts[engine_count_ + e] >= starts[engine_count_ + latest]) latest = e;
  }
  raise(flight, engine_count_, lane(queue, latest).previous_event);
  retire(q);
  if (!q.empty()) q.first_start = *std::min_element(plan(q, q.head), plan(q, q.head) + engine_count_);
}

// A share has ended: the trace, counters, and what the next share of the queue on this engine must respect.
void DmaEngines::record(uint32_t queue, uint32_t engine, Time start, Time end) {
  Lane& l = lane(queue, engine);
  Flight& flight = queues_[queue].at(l.next);
  const LoadedTransfer& t = loaded_.transfers[flight.transfer];
  ++l.next;
  --flight.shares_left;
  flight.last_end = std::max(flight.last_end, end);
  if (engine < t.timing.engines_used) {
    const timing::Share& share = timing::share(t.timing, engine);
    trace::Event shown{.lane = options_.first_lane + engine, .instruction = trace::kNoInstruction, .source = t.source};
    shown.start = start;
    shown.busy_until = shown.end = end;
    shown.release = trace::Release::trigger;
    shown.cause = flight.cause;
    if (l.previous_event != trace::kNoEvent && (start == l.previous_end || start == l.not_before)) {
      shown.release = start == l.previous_end ? trace::Release::queue : trace::Release::descriptor;
      shown.cause = l.previous_event;
    }
    shown.amount = share.bytes;
    shown.dma_queue = static_cast<uint8_t>(queue);
    l.previous_event = listener_.share_ended(shown);
    DmaCounters& c = engines_[engine].counters;
    c.bytes += share.bytes;
    ++c.shares;
    c.stretched += end - start - share.on_queue;
    if (flight.planned) c.busy += end - start;
    last_end_ = std::max(last_end_, end);
  }
  l.previous_end = end;
  l.not_before = start + t.timing.floor;
}

// The semaphore rises by `count` for the latest share that has ended.
void DmaEngines::raise(Flight& flight, uint32_t count, uint32_t event) {
  const LoadedTransfer& t = loaded_.transfers[flight.transfer];
  flight.shares_raised += count;
  if (t.signal == isa::kNoSemaphore || count == 0) return;
  Event raised{Event::Kind::raise, static_cast<uint8_t>(Producer::dma), t.signal, event};
  raised.count = static_cast<uint16_t>(count);
  events_.push(std::max(events_.now(), flight.last_end + t.timing.completion + wake_),
               static_cast<uint8_t>(Phase::complete), raised);
}

// Another transfer begins to raise this semaphore. So far nobody could see the increments of an unfinished one, from
// now on they count one by one: the new ones come later than those of shares that have ended.
void DmaEngines::mix(uint16_t semaphore) {
  for (Queue& q : queues_) {
    for (uint32_t s = q.head; s != q.tail; ++s) {
      Flight& flight = q.at(s);
      if (flight.mixed || loaded_.transfers[flight.transfer].signal != semaphore) continue;
      if (!split_) split_all();
      flight.mixed = true;
      raise(flight, engine_count_ - flight.shares_left - flight.shares_raised, flight.cause);
    }
  }
}

// The oldest flight of `q` has ended.
void DmaEngines::retire(Queue& q) {
  listener_.transfer_ending();
  const LoadedTransfer& t = loaded_.transfers[q.at(q.head++).transfer];
  if (t.signal != isa::kNoSemaphore) --raising_[t.signal];
  if (--in_flight_ == 0) {
    flying_ += events_.now() - flying_since_;
    return;
  }
  const Flight* oldest = nullptr;
  for (const Queue& other : queues_) {
    if (!other.empty() && (oldest == nullptr || other.at(other.head).order < oldest->order)) oldest = &other.at(other.head);
  }
  oldest_layer_ = loaded_.transfers[oldest->transfer].layer;
}

std::vector<DmaCounters> DmaEngines::counters(Time elapsed) const {
  const Time flying = flying_ + (in_flight_ > 0 ? elapsed - flying_since_ : 0);
  std::vector<DmaCounters> all;
  for (const Engine& e : engines_) {
    DmaCounters c = e.counters;
    if (!e.active.empty()) c.busy += elapsed - e.busy_since;
    c.transfers = triggered_ - in_flight_;
    c.waiting = flying - c.busy;
    c.idle = elapsed - flying;
    all.push_back(c);
  }
  return all;
}

}  // namespace presil::chip
