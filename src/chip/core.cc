#include "chip/core.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <memory>

#include "base/check.h"
#include "base/text.h"
#include "chip/bounds.h"
#include "chip/current_ramp.h"
#include "chip/layer_clock.h"
#include "chip/summary.h"
#include "chip/trace_hash.h"

namespace presil::chip {
namespace {

struct Semaphore {
  uint32_t value = 0;
  uint64_t waiters = 0;  // bit per queue
};

// What the last instruction of an engine that took ports took, and how long.
struct PortUse {
  timing::Ports ports = 0;
  Time begin = 0, end = 0;
  uint32_t event = trace::kNoEvent;
};

struct Engine {
  explicit Engine(const spec::ChipSpec& spec) : ramp(spec.tensor.current_ramp, spec.tensor.current_ramp_percent) {}

  Cursor cursor;
  uint32_t table = 0;      // activation table loaded
  uint32_t wait = 0;       // waits of the present instruction that are satisfied
  uint32_t threshold = 0;  // of the wait that blocks
  bool blocked = false;
  trace::Release release = trace::Release::start;  // of the present instruction, as far as known
  uint32_t cause = trace::kNoEvent;
  uint16_t semaphore = trace::kNoSemaphore;  // the last one that the present instruction had to wait for
  Time setup = 0;                            // of the present instruction: loading a table or a stationary operand
  Time free = 0;                             // end of occupancy
  Time accounted = 0;                        // busy and waits are counted up to here
  Time completed = 0;                        // of the last instruction
  Time busy = 0;
  std::array<Time, kWaitCauseCount> waits{};
  Time parted_until = 0;  // some part of the array is taken until then by an instruction that left others free
  std::array<Time, timing::kArrayParts * timing::kArrayParts> parts_free{};
  CurrentRamp ramp;
};

void wait_until(Engine& engine, Time time, WaitCause cause) {
  if (time <= engine.accounted) return;  // a part of the array still works
  engine.waits[static_cast<size_t>(cause)] += time - engine.accounted;
  engine.accounted = time;
}

// When the parts of the array that an instruction uses are free.
Time parts_free(const Engine& engine, const Step& step) {
  Time free = 0;
  for (unsigned left = step.parts; left != 0; left &= left - 1)
    free = std::max(free, engine.parts_free[static_cast<size_t>(std::countr_zero(left))]);
  return free;
}
void take_parts(Engine& engine, const Step& step, Time until) {
  for (unsigned left = step.parts; left != 0; left &= left - 1)
    engine.parts_free[static_cast<size_t>(std::countr_zero(left))] = until;
  engine.parted_until = std::max(engine.parted_until, until);
}

// A logical core: the queues and semaphores of all of its physical cores, and the DMA engines of each.
class Core final : public DmaEngines::Listener {
 public:
  // What the core is among those that run.
  struct Place {
    uint8_t number = 0;       // of its first physical core
    uint32_t first_lane = 0;  // of the trace
    uint32_t cores = 1;       // physical ones on its stack
  };

  Core(const CoreJob& job, const Place& place, const spec::ChipSpec& spec, const CoreOptions& options, Stack& stack,
       Events& events, trace::Sink* sink)
      : exe_(*job.executable),
        loaded_(*job.loaded),
        spec_(spec),
        observers_(job.observers),
        sink_(sink),
        place_(place),
        wake_(spec.semaphores.wake),
        events_(events),
        semaphores_(loaded_.semaphores),
        engines_(loaded_.queues.size(), Engine(spec)),
        port_uses_(loaded_.queues.size()),
        executed_(loaded_.queues.size()),
        layers_(loaded_.layers, loaded_.busiest_first),
        sequencers_(exe_, loaded_, job.sequencer) {
    dma_.reserve(loaded_.cores);  // a stack knows them by their addresses
    for (uint32_t core = 0; core < loaded_.cores; ++core) {
      const DmaEngines::Options own{
          .contention = options.contention,
          .plan = options.plan_transfers,
          .traced = sink != nullptr,
          .first_lane = static_cast<uint32_t>(loaded_.queues.size()) + core * spec.dma.engines,
          .cores = place.cores,
          .core = static_cast<uint8_t>(place.number + core)};
      dma_.emplace_back(loaded_, spec, own, stack, events_, hash_, *this);
    }
  }

  void start() {
    for (uint32_t q = 0; q < engines_.size(); ++q) {
      executed_[q].resize(loaded_.queues[q].steps.size());
      engines_[q].cursor = begin(loaded_.queues[q].repeats);
      schedule_issue(q, 0);
    }
  }

  bool faulted() const { return faulted_; }

  void handle(const Event& e) {
    DmaEngines& dma = dma_[static_cast<size_t>(e.core - place_.number)];
    switch (e.kind) {
      case Event::Kind::issue:
        return issue(e.index);
      case Event::Kind::raise:
        return raise(e);
      case Event::Kind::plan:
        return dma.plan();
      case Event::Kind::land:
        return dma.land(e.lane);
      case Event::Kind::arrive:
        return dma.arrive(e.index, e.lane);
      case Event::Kind::balance:
        return dma.balance();
      case Event::Kind::finish:
        return dma.finish(e.index, e.payload);
    }
  }

  CoreResult result(bool other_faulted) {
    if (!other_faulted) settle_outcome();
    CoreResult r;
    for (const DmaEngines& dma : dma_) r.elapsed = std::max(r.elapsed, dma.last_end());
    for (const Engine& e : engines_) r.elapsed = std::max({r.elapsed, e.completed, e.free, e.accounted});
    if (!outcome_.ok()) r.elapsed = std::max(r.elapsed, events_.now());
    r.outcome = outcome_;
    r.unknown_node = unknown_node_;
    r.trace_hash = hash_.value();
    for (uint32_t q = 0; q < engines_.size(); ++q) {
      Engine& e = engines_[q];
      wait_until(e, r.elapsed, WaitCause::finished);
      r.counters.engines.push_back({queue_name(exe_, q), loaded_.queues[q].engine, 0, e.busy, e.waits});
    }
    for (const DmaEngines& dma : dma_) {
      for (const DmaCounters& engine : dma.counters(r.elapsed)) r.counters.dma.push_back(engine);
    }
    r.counters.events = events_.handled();
    count_executed(exe_, loaded_, executed_, r.counters);
    layers_.advance(r.elapsed, layer_in_flight());
    std::vector<Time> times = layers_.finish();
    for (size_t layer = 0; layer < times.size(); ++layer) r.counters.layers[layer].time = times[layer];
    return r;
  }

 private:
  void push(Time time, Phase phase, Event event) {
    event.core = place_.number;
    events_.push(time, static_cast<uint8_t>(phase), event);
  }

  bool finished(uint32_t q) const { return engines_[q].cursor.pc >= loaded_.queues[q].steps.size(); }

  void schedule_issue(uint32_t q, Time time) {
    if (!finished(q)) push(time, Phase::issue, {Event::Kind::issue, 0, static_cast<uint16_t>(q), 0});
  }

  // The sequencer of `q` looks at its waits, and goes on as long as nothing else happens before.
  void issue(uint32_t q) {
    Engine& engine = engines_[q];
    const LoadedQueue& queue = loaded_.queues[q];
    while (true) {
      const Step& step = queue.steps[engine.cursor.pc];
      if (!waits_hold(q, engine, queue, step)) return;
      if ((step.may_leave || !observers_.empty()) && !observe(q, engine)) return;
      Time next = start(q, engine, queue, step);
      if (faulted_ || finished(q)) return;
      if (!events_.advance_if_next(next, static_cast<uint8_t>(Phase::issue))) return schedule_issue(q, next);
    }
  }

  bool waits_hold(uint32_t q, Engine& engine, const LoadedQueue& queue, const Step& step) {
    for (; engine.wait < step.wait_count; ++engine.wait) {
      const LoadedWait& wait = queue.waits[step.wait_begin + engine.wait];
      Semaphore& semaphore = semaphores_[wait.semaphore];
      engine.threshold = queue.wait_value(wait, engine.cursor);
      if (semaphore.value >= engine.threshold) continue;
      semaphore.waiters |= uint64_t{1} << q;
      engine.blocked = true;
      return false;
    }
    return true;
  }

  // All waits of the present instruction hold. Returns when its sequencer looks at the next one.
  Time start(uint32_t q, Engine& engine, const LoadedQueue& queue, const Step& step) {
    layers_.advance(events_.now(), layer_in_flight());
    Time start = std::max(engine.free, events_.now());
    if (events_.now() + step.prepare > start) {
      start = prepare(engine, step);
    } else if (step.kind == Step::Kind::table && engine.table != step.extra) {
      start = load_table(engine, step.extra, start);
    }
    if (engine.parted_until > start) start = std::max(start, parts_free(engine, step));
    const bool at_ports = step.ports != 0 || step.ports_move;
    if (at_ports) start = take_ports(q, engine, step, start);
    const Time slowed = queue.engine == isa::EngineKind::tensor ? slow_down(engine, step, start) : 0;
    engine.free = start + step.occupancy + slowed;
    const Time until = step.parts_busy > 0 ? start + step.parts_busy : start + step.occupancy;
    if (step.parts_busy > 0) take_parts(engine, step, until + slowed);
    engine.busy += std::max<Time>(0, until - std::max(start, engine.accounted));
    engine.accounted = std::max(engine.accounted, until);
    wait_until(engine, until + slowed, WaitCause::throttle);
    engine.completed = std::max(engine.completed, start + step.latency + slowed);
    ++executed_[q][engine.cursor.pc];
    layers_.occupy(q, step.layer, start, engine.free);
    engine.cause = emit(q, engine, start);
    if (at_ports) port_uses_[q].event = engine.cause;
    engine.release = trace::Release::queue;
    engine.semaphore = trace::kNoSemaphore;
    engine.setup = 0;
    raise_later(queue, engine, step);
    engine.wait = 0;
    if (step.kind == Step::Kind::control) {
      if (!control(q, engine)) return engine.free;
    } else {
      advance(queue.repeats, engine.cursor);
    }
    // What prepares behind the instruction before it looks at its waits from then on.
    bool early = !finished(q) && queue.steps[engine.cursor.pc].prepare > 0;
    return early ? start : engine.free;
  }

  // Takes the step's ports from the first moment at which no other kind of engine has them, and returns that.
  Time take_ports(uint32_t q, Engine& engine, const Step& step, Time start) {
    const timing::Ports ports =
        step.ports_move ? (step.ports & timing::kSbufPort) | psum_banks_now(q, engine) : step.ports;
    const Time wanted = start;
    for (const PortUse* other = occupant(q, ports, start, step.occupancy); other != nullptr;
         other = occupant(q, ports, start, step.occupancy)) {
      start = other->end;
      engine.cause = other->event;
    }
    if (start > wanted) {
      engine.release = trace::Release::port;
      wait_until(engine, start, WaitCause::port);
    }
    port_uses_[q] = {ports, start, start + step.occupancy, trace::kNoEvent};
    return start;
  }

  const PortUse* occupant(uint32_t q, timing::Ports ports, Time start, Time occupancy) const {
    for (const uint32_t rival : loaded_.queues[q].rivals) {
      const PortUse& use = port_uses_[rival];
      if ((use.ports & ports) != 0 && use.begin < start + occupancy && start < use.end) return &use;
    }
    return nullptr;
  }

  timing::Ports psum_banks_now(uint32_t q, const Engine& engine) const {
    const isa::Instruction& instruction = exe_.queues[q].code[engine.cursor.pc];
    std::array<int64_t, UINT8_MAX> offsets;
    const std::span<int64_t> used{offsets.data(), instruction.operand_count};
    operand_offsets(exe_.queues[q], instruction, engine.cursor, used);
    return timing::psum_banks(exe_.queues[q], instruction, used, spec_);
  }

  static Time slow_down(Engine& engine, const Step& step, Time start) {
    if (step.kind != Step::Kind::compute || step.occupancy == 0) return 0;
    return engine.ramp.work(start, step.occupancy);
  }

  bool control(uint32_t q, Engine& engine) {
    const uint32_t pc = engine.cursor.pc;
    const Sequencers::Stop stop = sequencers_.step(q, engine.cursor);
    if (stop.kind != Sequencers::Stop::Kind::none) stopped(q, pc, stop);
    return !faulted_;
  }

  void stopped(uint32_t q, uint32_t pc, const Sequencers::Stop& stop) {
    faulted_ = true;
    const bool endless = stop.kind == Sequencers::Stop::Kind::endless;
    if (stop.kind == Sequencers::Stop::Kind::unknown) unknown_node_ = stop.text;
    outcome_ = {endless ? Outcome::Kind::loop_limit : Outcome::Kind::fault,
                queue_name(exe_, q),
                q,
                pc,
                source_text(exe_, exe_.queues[q].code[pc].source),
                stop.text};
  }

  void raise_later(const LoadedQueue& queue, const Engine& engine, const Step& step) {
    if (step.kind == Step::Kind::transfer) return dma_[queue.core].trigger(step.extra, engine.cause);
    const auto producer = static_cast<uint8_t>(queue.engine);
    if (step.remote != isa::kNoSemaphore) {
      push(engine.completed + spec_.semaphores.remote_wake, Phase::complete,
           {Event::Kind::raise, producer, step.remote, engine.cause});
    }
    if (step.signal == isa::kNoSemaphore) return;
    push(engine.completed + wake_, Phase::complete, {Event::Kind::raise, producer, step.signal, engine.cause});
  }

  Time load_table(Engine& engine, uint32_t table, Time start) {
    engine.table = table;
    engine.release = trace::Release::table_load;
    engine.setup = spec_.scalar.table_load;
    wait_until(engine, start + spec_.scalar.table_load, WaitCause::table_load);
    return engine.accounted;
  }

  // Behind the engine's previous instruction: loading a stationary operand, making descriptors.
  Time prepare(Engine& engine, const Step& step) {
    const bool loads = step.kind != Step::Kind::transfer;
    engine.release = loads ? trace::Release::stationary_load : trace::Release::descriptors;
    engine.setup = step.prepare;
    wait_until(engine, events_.now() + step.prepare, loads ? WaitCause::stationary_load : WaitCause::descriptors);
    return events_.now() + step.prepare;
  }

  void raise(const Event& e) {
    Semaphore& semaphore = semaphores_[e.index];
    if (semaphore.value + uint64_t{e.count} > spec_.semaphores.maximum) return overflow(e);
    semaphore.value += e.count;
    for (uint64_t left = semaphore.waiters; left != 0; left &= left - 1) {
      auto q = static_cast<uint32_t>(std::countr_zero(left));
      Engine& engine = engines_[q];
      if (semaphore.value < engine.threshold) continue;
      semaphore.waiters &= ~(uint64_t{1} << q);
      engine.blocked = false;
      if (events_.now() > engine.accounted) {
        wait_until(engine, events_.now(), static_cast<WaitCause>(e.lane));
        engine.release = trace::Release::semaphore;
        engine.cause = e.payload;
        engine.semaphore = e.index;
      }
      ++engine.wait;
      schedule_issue(q, events_.now());
    }
  }

  uint32_t emit(uint32_t q, const Engine& engine, Time start) {
    hash_.add(q, engine.cursor.pc, start, engine.completed);
    if (sink_ == nullptr) return 0;
    trace::Event event;
    event.lane = place_.first_lane + q;
    event.instruction = engine.cursor.pc;
    event.start = start;
    event.end = engine.completed;
    event.source = exe_.queues[q].code[engine.cursor.pc].source;
    event.busy_until = engine.free;
    event.release = engine.release;
    event.cause = engine.cause;
    event.amount = loaded_.queues[q].traffic[engine.cursor.pc].amount;
    if (engine.semaphore != trace::kNoSemaphore)
      event.semaphore = static_cast<uint16_t>(engine.semaphore % exe_.semaphores);
    event.setup = engine.setup;
    return sink_->event(event);
  }

  uint32_t share_ended(const trace::Event& event) override {
    trace::Event shown = event;
    shown.lane += place_.first_lane;
    return sink_->event(shown);
  }

  void transfer_ending() override { layers_.advance(events_.now(), layer_in_flight()); }

  // Of the oldest transfer; of two that were triggered at one instant, that of the first core.
  uint32_t layer_in_flight() const {
    if (dma_.size() == 1) return dma_[0].in_flight() > 0 ? dma_[0].oldest_layer() : LayerClock::kNone;
    uint32_t layer = LayerClock::kNone;
    Time since = kTimeMax;
    for (const DmaEngines& dma : dma_) {
      if (dma.in_flight() > 0 && dma.oldest_since() < since) layer = dma.oldest_layer(), since = dma.oldest_since();
    }
    return layer;
  }

  bool observe(uint32_t q, const Engine& engine) {
    const LoadedQueue& queue = loaded_.queues[q];
    const isa::Instruction& instruction = exe_.queues[q].code[engine.cursor.pc];
    const Step& step = queue.steps[engine.cursor.pc];
    if (loaded_.control) {
      const Sequencers::Stop stop = sequencers_.addresses(q, engine.cursor);
      if (stop.kind != Sequencers::Stop::Kind::none) return stopped(q, engine.cursor.pc, stop), false;
    }
    std::array<int64_t, UINT8_MAX> offsets;
    std::array<uint32_t, UINT8_MAX> values;
    Executed executed{
        q, engine.cursor.pc, {offsets.data(), instruction.operand_count}, {values.data(), step.wait_count}};
    operand_offsets(exe_.queues[q], instruction, engine.cursor, {offsets.data(), instruction.operand_count});
    for (uint32_t k = 0; k < step.wait_count; ++k) {
      values[k] = queue.wait_value(queue.waits[step.wait_begin + k], engine.cursor);
    }
    std::string problem;
    if (step.may_leave) problem = leaving_text(exe_.queues[q], instruction, executed.offsets, exe_, spec_);
    for (size_t k = 0; k < observers_.size() && problem.empty(); ++k) problem = observers_[k]->executed(executed);
    if (problem.empty()) return true;
    faulted_ = true;
    outcome_ = {Outcome::Kind::fault, queue_name(exe_, q), q, engine.cursor.pc, source_text(exe_, instruction.source),
                std::move(problem)};
    return false;
  }

  void overflow(const Event& e) {
    faulted_ = true;
    outcome_.kind = Outcome::Kind::fault;
    outcome_.detail =
        fmt::format("semaphore {} rises above its maximum {}", e.index % exe_.semaphores, spec_.semaphores.maximum);
  }

  void settle_outcome() {
    if (faulted_ || events_.status() == sim::Status::cancelled) return;
    if (events_.status() == sim::Status::time_limit) {
      outcome_.kind = Outcome::Kind::time_limit;
      outcome_.detail = "not finished after " + seconds_text(to_seconds(events_.now()));
    } else if (events_.status() == sim::Status::event_limit) {
      outcome_.kind = Outcome::Kind::event_limit;
      outcome_.detail = fmt::format("not finished after {} events", events_.handled());
    } else {
      std::vector<Blocked> blocked;
      for (uint32_t q = 0; q < engines_.size(); ++q) {
        const Engine& e = engines_[q];
        if (!e.blocked) continue;
        const LoadedQueue& queue = loaded_.queues[q];
        uint16_t semaphore = queue.waits[queue.steps[e.cursor.pc].wait_begin + e.wait].semaphore;
        blocked.push_back({q, e.cursor, semaphore, e.threshold, semaphores_[semaphore].value});
      }
      if (!blocked.empty()) outcome_ = deadlock(exe_, loaded_, blocked);
    }
  }

  const isa::Executable& exe_;
  const Loaded& loaded_;
  const spec::ChipSpec& spec_;
  const std::vector<Observer*>& observers_;
  trace::Sink* sink_;
  Place place_;
  Time wake_;
  Events& events_;
  TraceHash hash_;
  std::vector<DmaEngines> dma_;  // by physical core
  std::vector<Semaphore> semaphores_;
  std::vector<Engine> engines_;
  std::vector<PortUse> port_uses_;               // by queue
  std::vector<std::vector<uint64_t>> executed_;  // per queue and static instruction
  LayerClock layers_;
  Sequencers sequencers_;
  std::string unknown_node_;
  Outcome outcome_;
  bool faulted_ = false;
};

}  // namespace

std::string_view wait_cause_name(WaitCause c) {
  switch (c) {
    case WaitCause::tensor:
      return "tensor";
    case WaitCause::vector:
      return "vector";
    case WaitCause::scalar:
      return "scalar";
    case WaitCause::gpsimd:
      return "gpsimd";
    case WaitCause::sync:
      return "sync";
    case WaitCause::dma:
      return "dma";
    case WaitCause::table_load:
      return "table_load";
    case WaitCause::stationary_load:
      return "stationary_load";
    case WaitCause::port:
      return "port";
    case WaitCause::throttle:
      return "throttle";
    case WaitCause::descriptors:
      return "descriptors";
    case WaitCause::finished:
      return "finished";
  }
  return {};
}

CoreResult run_core(const isa::Executable& executable, const Loaded& loaded, const spec::ChipSpec& spec,
                    const CoreOptions& options, trace::Sink* sink) {
  const CoreJob job{&executable, &loaded, options.observers, options.sequencer};
  return run_cores({&job, 1}, spec, options, sink).front();
}

std::vector<CoreResult> run_cores(std::span<const CoreJob> jobs, const spec::ChipSpec& spec, const CoreOptions& options,
                                  trace::Sink* sink) {
  uint32_t physical = 0;
  for (const CoreJob& job : jobs) physical += job.loaded->cores;
  CHECK(!jobs.empty() && physical <= 256, "an event names its core with 8 bits");
  std::map<uint32_t, Stack> stacks;
  std::map<uint32_t, uint32_t> attached;  // cores of a stack
  for (const CoreJob& job : jobs) {
    Stack& stack = stacks[job.stack];
    stack.bytes_per_s = spec.hbm.bytes_per_s;
    stack.alike = job.alike;
    stack.sides = std::max(stack.sides, hbm_sides(*job.loaded));
    attached[job.stack] += job.alike * job.loaded->cores;
  }
  Events events(options.limits);
  std::vector<std::unique_ptr<Core>> cores;
  std::vector<Core*> by_number;  // of a physical core
  std::vector<trace::Lane> lanes;
  for (const CoreJob& job : jobs) {
    const Core::Place place{static_cast<uint8_t>(by_number.size()), static_cast<uint32_t>(lanes.size()),
                            attached[job.stack]};
    trace::Sink* own = job.traced ? sink : nullptr;
    cores.push_back(std::make_unique<Core>(job, place, spec, options, stacks[job.stack], events, own));
    by_number.resize(by_number.size() + job.loaded->cores, cores.back().get());
    if (!job.traced) continue;
    for (trace::Lane& lane : lane_list(*job.executable, spec, job.core)) lanes.push_back(std::move(lane));
  }
  if (sink != nullptr) sink->lanes(lanes);
  for (const auto& core : cores) core->start();
  bool faulted = false;
  for (Event e; !faulted && events.pop(&e); faulted = by_number[e.core]->faulted()) by_number[e.core]->handle(e);
  std::vector<CoreResult> results;
  for (const auto& core : cores) results.push_back(core->result(faulted && !core->faulted()));
  return results;
}

}  // namespace presil::chip
