#include "chip/dma.h"

#include <algorithm>

#include "chip/fixed_point.h"

namespace presil::chip {

uint64_t hbm_sides(const Loaded& loaded) {
  uint64_t sides = 0;
  for (const timing::Transfer& t : loaded.timings) {
    sides = std::max<uint64_t>(sides, (t.full.hbm_read_bytes > 0) + (t.full.hbm_write_bytes > 0));
  }
  return sides;
}

DmaEngines::DmaEngines(const Loaded& loaded, const spec::ChipSpec& spec, const Options& options, Stack& stack,
                       Events& events, TraceHash& hash, Listener& listener)
    : loaded_(loaded),
      options_(options),
      stack_(stack),
      events_(events),
      hash_(hash),
      listener_(listener),
      engine_count_(spec.dma.engines),
      wake_(spec.semaphores.wake),
      raising_(loaded.semaphores),
      queues_(spec.dma.queues),
      lanes_(size_t{spec.dma.queues} * spec.dma.engines),
      ready_(lanes_.size(), kTimeMax),
      engines_(spec.dma.engines) {
  stack.members.push_back(this);
  even_ = true;
  for (const timing::Transfer& t : loaded.timings) even_ = even_ && t.weight == loaded.timings[0].weight;
  for (const timing::Transfer& t : loaded.timings) {
    demands_.push_back({demand_of(t, t.full), demand_of(t, t.last)});
    for (uint32_t e = 0; e < engine_count_; ++e) {
      offsets_.push_back(e < t.engines_used ? timing::start_offset(t, e) : 0);
    }
    lookahead_ = std::min(lookahead_, t.start_latency);
    even_ = even_ && demands_.back()[0].capacity == kFull && demands_.back()[1].capacity == kFull;
  }
  const uint64_t most = stack.sides * spec.dma.engine_bytes_per_s * engine_count_ * options.cores;
  plannable_ = options.plan && options.contention && most <= stack.bytes_per_s;
  for (Queue& q : queues_) q.ring.resize(4);
  for (uint64_t n = 0; n <= queues_.size(); ++n) parts_.push_back(Part::of(n));
}

DmaEngines::Demand DmaEngines::demand_of(const timing::Transfer& transfer, const timing::Share& share) const {
  if (share.on_queue == 0) return {};
  auto hbm_bytes = [](const timing::Share& s) { return s.hbm_read_bytes + s.hbm_write_bytes; };
  const auto on_queue = static_cast<uint64_t>(share.on_queue);
  const unsigned __int128 bytes = hbm_bytes(share);
  const uint64_t all_bytes = (transfer.engines_used - 1) * hbm_bytes(transfer.full) + hbm_bytes(transfer.last);
  Demand d;
  d.weight = transfer.weight;
  d.capacity = fraction(static_cast<uint64_t>(share.on_engine), on_queue);
  d.hbm_rate = static_cast<uint64_t>((bytes * kFemtosecondsPerSecond + on_queue - 1) / on_queue);
  d.alone = std::max(share.on_queue, duration_up(all_bytes, stack_.bytes_per_s));
  return d;
}

void DmaEngines::trigger(uint32_t index, uint32_t cause) {
  const LoadedTransfer& t = loaded_.transfers[index];
  if (in_flight_ == 0) {
    flying_since_ = oldest_since_ = events_.now();
    oldest_layer_ = t.layer;
    if (split_ && plannable_) begin_planning();
    split_ = !plannable_;
  }
  Flight flight{.timing = &loaded_.timings[t.timing],
                .offsets = &offsets_[size_t{t.timing} * engine_count_],
                .transfer = index,
                .cause = cause,
                .shares_left = engine_count_,
                .order = triggered_++,
                .triggered = events_.now()};
  flight.base = events_.now() + flight.timing->start_latency;
  for (const uint16_t signal : {t.signal, t.remote}) {
    if (signal == isa::kNoSemaphore) continue;
    const bool mixed = raising_[signal]++ > 0 || !t.raises_whole;
    flight.mixed = flight.mixed || mixed;
    if (mixed) mix(signal);
  }
  add_flight(queues_[t.queue], flight);
  ++in_flight_;
  for (uint32_t e = 0; e < engine_count_; ++e) {
    Lane& l = lane(t.queue, e);
    if (l.busy || l.next + 1 != queues_[t.queue].tail) continue;  // not the next one
    make_ready(t.queue, e);
    if (split_) schedule_arrival(t.queue, e);
  }
  if (!split_) plan_at(flight.base);
}

// Nothing is in flight, and shares had events of their own.
void DmaEngines::begin_planning() {
  for (Engine& e : engines_) e.next_ready = e.next_change = kTimeMax;
}

void DmaEngines::add_flight(Queue& q, const Flight& flight) {
  if (q.tail - q.head == q.ring.size()) {  // full: twice the ring, flights at their new places
    Queue larger = q;
    larger.ring.resize(q.ring.size() * 2);
    for (uint32_t s = q.head; s != q.tail; ++s) larger.at(s) = q.at(s);
    q = std::move(larger);
  }
  q.at(q.tail++) = flight;
}

// A share has ended: the trace and counters.
void DmaEngines::record(Flight& flight, Lane& l, uint32_t engine, Time end) {
  const timing::Share& share = timing::share(*flight.timing, engine);
  hash_.add(options_.first_lane + engine, trace::kNoInstruction, l.start, end);
  if (options_.traced) show(flight, l, engine, end);
  DmaCounters& c = engines_[engine].counters;
  c.bytes += share.bytes;
  ++c.shares;
  c.stretched += end - l.start - share.on_queue;
  last_end_ = std::max(last_end_, end);
}

void DmaEngines::show(Flight& flight, Lane& l, uint32_t engine, Time end) {
  const LoadedTransfer& t = loaded_.transfers[flight.transfer];
  const timing::Share& share = timing::share(*flight.timing, engine);
  trace::Event shown{.lane = options_.first_lane + engine, .instruction = trace::kNoInstruction, .source = t.source};
  shown.start = l.start;
  shown.busy_until = shown.end = end;
  shown.release = trace::Release::trigger;
  shown.cause = flight.cause;
  if (l.previous_event != trace::kNoEvent && (l.start == l.previous_end || l.start == l.not_before)) {
    shown.release = l.start == l.previous_end ? trace::Release::queue : trace::Release::descriptor;
    shown.cause = l.previous_event;
  }
  shown.amount = share.bytes;
  shown.dma_queue = t.queue;
  shown.trigger = flight.cause;
  shown.alone = share.on_queue;
  l.previous_event = listener_.share_ended(shown);
  if (end >= flight.last_event_end) flight.last_event_end = end, flight.last_event = l.previous_event;
}

// The semaphore rises by `count` for the latest share that has ended.
void DmaEngines::raise(Flight& flight, uint32_t count, uint32_t event) {
  const LoadedTransfer& t = loaded_.transfers[flight.transfer];
  flight.shares_raised += count;
  if (count == 0) return;
  for (const uint16_t signal : {t.signal, t.remote}) {
    if (signal == isa::kNoSemaphore) continue;
    Event raised{Event::Kind::raise, static_cast<uint8_t>(Producer::dma), signal, event};
    raised.count = static_cast<uint16_t>(count);
    push(std::max(events_.now(), flight.last_end + flight.timing->completion + wake_), Phase::complete, raised);
  }
}

// Increments of this semaphore count one by one from now on. So far nobody could see those of an unfinished transfer;
// increments of the next one come later than those of the shares that have ended.
void DmaEngines::mix(uint16_t semaphore) {
  if (!split_) split_all();
  for (Queue& q : queues_) {
    for (uint32_t s = q.head; s != q.tail; ++s) {
      Flight& flight = q.at(s);
      const LoadedTransfer& t = loaded_.transfers[flight.transfer];
      if (flight.mixed || (t.signal != semaphore && t.remote != semaphore)) continue;
      flight.mixed = true;
      raise(flight, engine_count_ - flight.shares_left - flight.shares_raised, flight.cause);
    }
  }
}

// The oldest flight of `q` has ended.
void DmaEngines::retire(Queue& q) {
  listener_.transfer_ending();
  const LoadedTransfer& t = loaded_.transfers[q.at(q.head++).transfer];
  for (const uint16_t signal : {t.signal, t.remote}) {
    if (signal != isa::kNoSemaphore) --raising_[signal];
  }
  if (--in_flight_ == 0) {
    flying_ += events_.now() - flying_since_;
    return;
  }
  const Flight* oldest = nullptr;
  for (const Queue& other : queues_) {
    if (!other.empty() && (oldest == nullptr || other.at(other.head).order < oldest->order))
      oldest = &other.at(other.head);
  }
  oldest_layer_ = loaded_.transfers[oldest->transfer].layer;
  oldest_since_ = oldest->triggered;
}

std::vector<DmaCounters> DmaEngines::counters(Time elapsed) const {
  const Time flying = flying_ + (in_flight_ > 0 ? elapsed - flying_since_ : 0);
  std::vector<DmaCounters> all;
  for (const Engine& e : engines_) {
    DmaCounters c = e.counters;
    c.transfers = triggered_ - in_flight_;
    c.busy = e.busy;
    if (!e.service.active.empty() || e.even.active > 0) c.busy += std::max<Time>(0, elapsed - e.busy_since);
    c.waiting = flying - c.busy;
    c.idle = elapsed - flying;
    all.push_back(c);
  }
  return all;
}

}  // namespace presil::chip
