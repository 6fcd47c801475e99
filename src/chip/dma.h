// The DMA engines of a core. A transfer of queue q leaves a share on every engine; shares of one queue pass an engine
// in order (timing/transfer.h says when one may start), shares of different queues are served side by side.
//
// Sharing is fluid: what descriptor-wise round robin tends to when descriptors are small. On one engine, every active
// share progresses at full speed while their capacities sum to at most one engine; beyond that each gets an equal part
// of the engine, and what a slower one leaves goes to the others. When all engines together ask for more than the HBM
// gives, every share that touches HBM is slowed by the same factor. Speeds change only when a share starts or ends, so
// the work is per share, not per byte. Without contention each share goes at the speed it has alone.
//
// Speeds are fixed-point fractions (32 bits). The end of a share is computed when its speed changes and only then;
// progress is rounded down and durations up, so that shares never end early.
#pragma once
#include <array>
#include <vector>

#include "chip/event.h"
#include "chip/loaded.h"
#include "trace/trace.h"

namespace presil::chip {

struct DmaCounters {
  uint64_t transfers = 0, shares = 0, bytes = 0;
  Time busy = 0;       // at least one share active
  Time waiting = 0;    // nothing active, but a triggered share has not begun: latency, floor, order
  Time idle = 0;       // busy + waiting + idle = elapsed
  Time stretched = 0;  // summed over shares: longer than alone because of sharing
};

class DmaEngines {
 public:
  struct Options {
    bool contention = true;
    uint32_t first_lane = 0;  // trace lane of engine 0
  };

  struct Listener {
    virtual ~Listener() = default;
    virtual uint32_t share_ended(const trace::Event& event) = 0;  // its index in the trace
    virtual void transfer_ending() = 0;                           // it is still in flight
  };

  DmaEngines(const Loaded& loaded, const spec::ChipSpec& spec, const Options& options, Events& events,
             Listener& listener);

  // A sequencer triggers transfer `index` of Loaded now; `cause` is the trigger's trace event.
  void trigger(uint32_t index, uint32_t cause);
  void arrive(uint32_t engine, uint32_t queue);
  void finish(uint32_t engine, uint32_t version);

  uint64_t in_flight() const { return in_flight_; }
  Time last_end() const { return last_end_; }
  // The layer of the oldest transfer that has not ended; in_flight() > 0.
  uint32_t oldest_layer() const { return oldest_layer_; }
  // One per engine, over [0, elapsed]; nothing happened to an engine after `elapsed`.
  std::vector<DmaCounters> counters(Time elapsed) const;

 private:
  struct Flight {
    uint32_t transfer = 0;
    uint32_t cause = 0;
    uint32_t shares_left = 0;
    uint64_t order = 0;  // among all transfers
    Time base = 0;
  };
  // Flights of one queue, oldest first: a ring indexed by sequence number.
  struct Queue {
    std::vector<Flight> ring;
    uint32_t head = 0, tail = 0;
    Flight& at(uint32_t sequence) { return ring[sequence & (ring.size() - 1)]; }
    const Flight& at(uint32_t sequence) const { return ring[sequence & (ring.size() - 1)]; }
  };
  // One queue on one engine.
  struct Lane {
    uint32_t next = 0;  // sequence number of the share that is next or active
    bool busy = false;  // its arrival is scheduled, or it is active
    uint32_t previous_event = UINT32_MAX;
    Time previous_end = 0, not_before = 0;
  };
  // What a share asks for, by transfer: of every engine but the last used one, and of that.
  struct Demand {
    uint64_t capacity = 0;  // part of the engine it takes at full speed
    uint64_t hbm_rate = 0;  // bytes per second at full speed
    Time alone = 0;         // with nothing but its own transfer in the way
  };
  struct Active {
    uint32_t queue = 0, cause = 0;
    trace::Release release = trace::Release::start;
    Demand demand;
    Time start = 0;
    uint64_t engine_speed = 0, speed = 0;  // before and after the HBM's factor
    Time updated = 0, remaining = 0;       // of its time alone, when the speed last changed
    Time end = 0;                          // at this speed
  };
  struct Engine {
    std::vector<Active> active;
    Time updated = 0;        // counters
    Time next = kTimeMax;    // the end that is scheduled
    uint32_t version = 0, pending = 0;
    uint64_t hbm_rate = 0;   // asked for at engine speeds
    DmaCounters counters;
  };

  Lane& lane(uint32_t queue, uint32_t engine) { return lanes_[queue * engine_count_ + engine]; }
  void schedule_arrival(uint32_t queue, uint32_t engine);
  Demand demand_of(const timing::Transfer& transfer, const timing::Share& share) const;
  void end_share(uint32_t engine, uint32_t queue, const Active* active);
  void find_oldest();
  static void pass(Engine& engine, Time now);
  void settle(Engine& engine) { pass(engine, events_.now()); }
  void rebalance(uint32_t engine);
  void share_engine(Engine& engine) const;
  void apply_factor(uint32_t engine);

  const Loaded& loaded_;
  Options options_;
  Events& events_;
  Listener& listener_;
  uint32_t engine_count_;
  uint64_t hbm_limit_;
  Time wake_;
  uint64_t hbm_asked_ = 0, hbm_factor_ = 0;
  uint64_t in_flight_ = 0, triggered_ = 0;
  uint32_t oldest_layer_ = 0;
  Time last_end_ = 0;
  std::vector<std::array<Demand, 2>> demands_;  // by transfer: full, last
  std::vector<Queue> queues_;
  std::vector<Lane> lanes_;
  std::vector<Engine> engines_;
};

}  // namespace presil::chip
