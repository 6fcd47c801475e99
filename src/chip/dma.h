// The DMA engines of a core. A transfer of queue q leaves a share on every engine; shares of one queue pass an engine
// in order (timing/transfer.h says when one may start), shares of different queues are served side by side.
//
// Sharing is fluid: what descriptor-wise round robin tends to when descriptors are small. On one engine, every active
// share progresses at full speed while their capacities sum to at most one engine; beyond that each gets a part of the
// engine in proportion to the weight of its service class, and what a slower one leaves goes to the others. When the
// engines of all cores on a stack ask for more than it gives, every share that touches HBM is slowed by the same
// factor. Speeds change only when a share starts or ends, so the work is per share, not per byte. Without contention
// each share goes at the speed it has alone.
//
// Speeds are fixed-point fractions (32 bits). The end of a share is computed when its speed changes and only then;
// progress is rounded down and durations up, so that shares never end early.
//
// Two ways to the same times. *Planned*: as long as the HBM cannot be the limit, engines do not know of each other, and
// a transfer disturbs nobody before its start latency is over. So everything up to the least start latency from now is
// settled by what is known now: each engine runs ahead by that much on its own (dma_planned.cc; dma_even.cc where every
// share could use an engine for itself), at one event for all, and a transfer has one event for its end and one that
// raises its semaphore. *Split*: every share has events of its
// own (dma_split.cc); when the HBM may be the limit, when somebody waits for a part of a transfer's increments, or when
// the increments of two transfers could mix, until nothing is in flight any more.
#pragma once
#include <array>
#include <span>
#include <vector>

#include "chip/event.h"
#include "chip/fixed_point.h"
#include "chip/loaded.h"
#include "chip/trace_hash.h"
#include "trace/trace.h"

namespace presil::chip {

struct DmaCounters {
  uint64_t transfers = 0;  // ended; every engine takes part in each
  uint64_t shares = 0, bytes = 0;
  Time busy = 0;       // at least one share active
  Time waiting = 0;    // none active, but a transfer is in flight: latency, floor, order, shares of other engines
  Time idle = 0;       // busy + waiting + idle = elapsed
  Time stretched = 0;  // summed over shares: longer than alone because of sharing
};

class DmaEngines;

// A stack of HBM, which the cores attached to it share.
struct Stack {
  uint64_t bytes_per_s = 0;
  uint32_t alike = 1;  // every core that is simulated stands for so many, which do the same at the same time
  uint64_t sides = 1;  // at most so many sides of a transfer lie in HBM
  std::vector<DmaEngines*> members;
  uint64_t asked = 0;       // by the members' shares, bytes per second at their engines' speeds
  uint64_t factor = kFull;  // by which that is too much
  bool unbalanced = false;  // a balance is scheduled
};

// Of a transfer of the program: 2 where one lies within HBM.
uint64_t hbm_sides(const Loaded& loaded);

class DmaEngines {
 public:
  struct Options {
    bool contention = true;
    bool plan = true;         // false: always split; the times are the same
    bool traced = false;      // the listener wants to hear of shares
    uint32_t first_lane = 0;  // trace lane of engine 0, and in the hash
    uint32_t cores = 1;       // attached to the stack, those that are not simulated included
    uint8_t core = 0;         // whose events these are, by physical core
  };

  struct Listener {
    virtual ~Listener() = default;
    virtual uint32_t share_ended(const trace::Event& event) = 0;  // its index in the trace
    virtual void transfer_ending() = 0;                           // it is still in flight
  };

  DmaEngines(const Loaded& loaded, const spec::ChipSpec& spec, const Options& options, Stack& stack, Events& events,
             TraceHash& hash, Listener& listener);

  // A sequencer triggers transfer `index` of Loaded now; `cause` is the trigger's trace event.
  void trigger(uint32_t index, uint32_t cause);
  // The events, by their names (event.h).
  void plan();
  void land(uint32_t queue);
  void arrive(uint32_t engine, uint32_t queue);
  void finish(uint32_t engine, uint32_t version);
  void balance();  // of all that share the stack

  uint64_t in_flight() const { return in_flight_; }
  Time last_end() const { return last_end_; }
  // The layer of the oldest transfer that has not ended; in_flight() > 0.
  uint32_t oldest_layer() const { return oldest_layer_; }
  Time oldest_since() const { return oldest_since_; }  // its trigger
  // One per engine, over [0, elapsed]; nothing happened to an engine after `elapsed`.
  std::vector<DmaCounters> counters(Time elapsed) const;

 private:
  // A transfer between its trigger and the end of its last share.
  struct Flight {
    const timing::Transfer* timing = nullptr;
    const Time* offsets = nullptr;  // by engine: start after the first data
    uint32_t transfer = 0;
    uint32_t cause = 0;
    uint32_t shares_left = 0;
    uint32_t shares_raised = 0;
    bool mixed = false;  // its increments count one by one
    uint64_t order = 0;  // among all transfers
    Time triggered = 0;
    Time base = 0;                          // first data at the earliest
    Time last_end = 0;                      // of the shares that have ended, idle ones included
    Time last_event_end = 0;                // of those in the trace, and
    uint32_t last_event = trace::kNoEvent;  // the event of the last one
  };
  // Flights of one queue, oldest first: a ring indexed by sequence number.
  struct Queue {
    std::vector<Flight> ring;
    uint32_t head = 0, tail = 0;
    bool empty() const { return head == tail; }
    Flight& at(uint32_t sequence) { return ring[sequence & (ring.size() - 1)]; }
    const Flight& at(uint32_t sequence) const { return ring[sequence & (ring.size() - 1)]; }
  };
  // One queue on one engine.
  struct Lane {
    uint32_t next = 0;  // sequence number of the share that is next or active
    uint32_t previous_event = trace::kNoEvent;
    bool busy = false;  // its share is active; split: or its arrival is scheduled
    Time start = 0;     // of the active share
    Time previous_end = 0, not_before = 0;
    // Of an even engine's share. Settled: the work that has been done when it ends; fresh: what it had left at `since`.
    Time key = 0;
    Time since = 0, end = 0;
  };
  // What a share asks for, by transfer: of every engine but the last used one, and of that.
  struct Demand {
    uint64_t capacity = 0;  // part of the engine it takes at full speed
    uint64_t weight = 1;    // of its service class
    uint64_t hbm_rate = 0;  // bytes per second at full speed
    Time alone = 0;         // with nothing but its own transfer in the way
  };
  struct Active {
    uint32_t queue = 0;
    Demand demand;
    uint64_t engine_speed = 0, speed = 0;  // before and after the HBM's factor
    Time updated = 0, remaining = 0;       // of its time alone, when the speed last changed
    Time end = 0;                          // at this speed
  };
  struct Service {
    std::vector<Active> active;
    bool shared = false;  // some share is slower than alone
  };
  // The same where each of n shares progresses at a speed of 1 / n (dma_even.cc). Sets of queues are bits.
  struct Even {
    uint64_t settled = 0;  // active since `since`, at this speed
    uint64_t fresh = 0;    // took the place of others later
    uint64_t begun = 0;    // at this instant
    uint32_t active = 0;   // all of them
    Part part;             // of the engine that each has
    Time since = 0;        // of this speed
    Time done = 0;         // work of a share that has been there all the time, up to `since`
    Time least_key = kTimeMax, settled_end = kTimeMax, next_end = kTimeMax;
  };
  struct Engine {
    Service service;
    Even even;
    DmaCounters counters;
    Time busy_since = 0, busy = 0;  // busy: as far as ended
    uint64_t waiting = 0;           // bit per queue: its next share may begin some time
    Time next_ready = kTimeMax;     // planned: when the first of them may, at the latest computed
    Time next_change = kTimeMax;    // planned: the next end or arrival, at the earliest
    // Split.
    Time next = kTimeMax;  // the end that is scheduled
    uint32_t version = 0;
    bool changed = false;   // its shares are not those of the last balance
    uint64_t hbm_rate = 0;  // asked for at engine speeds
  };

  // Transfers in flight.
  Demand demand_of(const timing::Transfer& transfer, const timing::Share& share) const;
  void add_flight(Queue& q, const Flight& flight);
  void retire(Queue& q);
  void record(Flight& flight, Lane& l, uint32_t engine, Time end);
  void show(Flight& flight, Lane& l, uint32_t engine, Time end);
  void raise(Flight& flight, uint32_t count, uint32_t event);
  void mix(uint16_t semaphore);

  // One engine.
  Lane& lane(uint32_t queue, uint32_t engine) { return lanes_[engine * queues_.size() + queue]; }
  // When the lane's next share may begin; none: never.
  Time& ready(uint32_t queue, uint32_t engine) { return ready_[engine * queues_.size() + queue]; }
  const Demand& demand_of(const Flight& flight, uint32_t engine) const {
    return demands_[loaded_.transfers[flight.transfer].timing][engine + 1 < flight.timing->engines_used ? 0 : 1];
  }
  void make_ready(uint32_t queue, uint32_t engine);
  void occupy(uint32_t engine, uint32_t queue, Time start);
  void activate(uint32_t engine, uint32_t queue, Time start);
  void insert(uint32_t engine, const Active& share);
  Flight& close(uint32_t queue, uint32_t engine, Time end);
  static bool share_engine(std::vector<Active>& active);
  static void set_speed(Active& a, uint64_t speed, Time now);

  // Planned.
  void begin_planning();
  void begin_shares(uint32_t engine, Time now);
  void run_engine(uint32_t engine, Time until);
  void run_even(uint32_t engine, Time until);
  void end_even(uint32_t engine, Time now);
  void settle_even(uint32_t engine, Time now);
  void leave_even(uint32_t engine);
  Time commit(Time until);
  void plan_at(Time time);

  // Split.
  void split_all();
  void schedule_arrival(uint32_t queue, uint32_t engine);
  void end_share(uint32_t engine, uint32_t queue);
  void change(uint32_t engine);
  void ask();
  void respeed(bool all);
  void reschedule(uint32_t engine);

  void push(Time time, Phase phase, Event event) {
    event.core = options_.core;
    events_.push(time, static_cast<uint8_t>(phase), event);
  }

  const Loaded& loaded_;
  Options options_;
  Stack& stack_;
  Events& events_;
  TraceHash& hash_;
  Listener& listener_;
  uint32_t engine_count_;
  Time wake_;
  bool plannable_ = false, even_ = false, split_ = false;
  uint64_t in_flight_ = 0, triggered_ = 0;
  uint32_t oldest_layer_ = 0;
  Time oldest_since_ = 0;
  Time last_end_ = 0;
  Time flying_ = 0, flying_since_ = 0;          // time with something in flight
  std::vector<std::array<Demand, 2>> demands_;  // by timing: full, last
  std::vector<Time> offsets_;                   // by timing and engine: start after the first data
  std::vector<uint32_t> raising_;               // by semaphore: flights that raise it
  std::vector<Queue> queues_;
  std::vector<Lane> lanes_;  // by engine and queue
  std::vector<Time> ready_;  // by engine and queue
  std::vector<Engine> engines_;
  // Planned.
  Time lookahead_ = kTimeMax;  // least start latency
  Time plan_time_ = kTimeMax;  // of the plan that is scheduled
  std::vector<Part> parts_;    // by number of shares
};

}  // namespace presil::chip
