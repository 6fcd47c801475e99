// Cores in time. Each sequencer runs its queue in order; when an instruction starts and how long it takes is said in
// timing/cost.h. It completes, in order, at
//   completion(i) = max(completion(i-1), start(i) + latency);
// there its semaphore rises, and whoever waits sees it `semaphores.wake` later. An activation whose table is not the
// loaded one loads it first, after its waits; no table is loaded at the start. Transfers: dma.h. Work per event, never
// per cycle; nothing is allocated per instruction.
//
// Waits are complete when time reaches them: what executes (observers) sees a legal order of the program.
//
// A logical core may be two physical cores: their queues and semaphores are those of one executable, which share its
// events; an increment by an engine of the other core's semaphore is seen `semaphores.remote_wake` later.
//
// Several cores run beside one another in one order of events. Each has its own queues, memories, semaphores and DMA
// engines; those on one stack share its bandwidth (dma.h).
#pragma once
#include <array>
#include <span>
#include <string>
#include <vector>

#include "chip/dma.h"
#include "chip/loaded.h"
#include "chip/outcome.h"
#include "chip/sequencer.h"
#include "trace/trace.h"

namespace presil::chip {

// Why an engine did not work. Semaphores by who raised them.
enum class WaitCause : uint8_t {
  tensor,
  vector,
  scalar,
  gpsimd,
  sync,
  dma,  // as Producer
  table_load,
  stationary_load,
  port,         // of SBUF or PSUM, taken by another engine
  throttle,     // the tensor engine's current ramp
  descriptors,  // made by hardware
  finished,     // no instruction left, or blocked when the run stopped
};
inline constexpr int kWaitCauseCount = 12;
std::string_view wait_cause_name(WaitCause c);

struct EngineCounters {
  std::string name;
  isa::EngineKind kind = isa::EngineKind::sync;
  uint64_t instructions = 0;
  Time busy = 0;
  std::array<Time, kWaitCauseCount> waits{};  // busy + waits = elapsed
};

struct LayerCounters {
  Time time = 0;      // layer_clock.h; over layers they sum to elapsed
  uint64_t macs = 0;  // executed
  uint64_t hbm_read_bytes = 0, hbm_write_bytes = 0;
  uint64_t instructions = 0;
  std::array<Time, isa::kEngineKindCount> busy{};  // occupancy of its instructions, table loads left out
};

struct Counters {
  std::vector<EngineCounters> engines;  // by queue
  std::vector<DmaCounters> dma;         // by DMA engine, those of a second physical core after those of the first
  std::vector<LayerCounters> layers;    // at least one
  uint64_t instructions = 0, macs = 0, events = 0;
  // By isa::Memory: bytes of all operands read and written.
  std::array<uint64_t, 4> read_bytes{}, written_bytes{};
};

// Sees every instruction when the core starts it (a transfer: when it is triggered), in a legal order.
struct Executed {
  uint32_t queue = 0, instruction = 0;
  std::span<const int64_t> offsets;       // per operand, growth in this iteration
  std::span<const uint32_t> wait_values;  // per wait
};
class Observer {
 public:
  virtual ~Observer() = default;
  // Empty, or why the machine faults here.
  virtual std::string executed(const Executed& instruction) = 0;
};

struct CoreOptions {
  bool contention = true;
  bool plan_transfers = true;  // dma.h; changes the order of the trace's events, no time
  sim::Limits limits;
  std::vector<Observer*> observers;
  SequencerOptions sequencer;
};

struct CoreResult {
  Outcome outcome;
  std::string unknown_node;  // not empty: the run ended because a value of this node is not known
  Time elapsed = 0;          // until the last instruction and the last share ended
  uint64_t trace_hash = 0;   // over (lane, instruction, start, end) of all events
  Counters counters;
};

// `loaded` is load(executable, spec).
CoreResult run_core(const isa::Executable& executable, const Loaded& loaded, const spec::ChipSpec& spec,
                    const CoreOptions& options, trace::Sink* sink);

// What one of several logical cores runs.
struct CoreJob {
  const isa::Executable* executable = nullptr;
  const Loaded* loaded = nullptr;
  std::vector<Observer*> observers;
  SequencerOptions sequencer;
  uint32_t core = 0;   // on the chip, its first physical one: its name in the trace
  uint32_t stack = 0;  // the one that it is attached to
  uint32_t alike = 1;  // cores of the stack that run the same, for which this one stands; equal for all of a stack
  bool traced = true;  // its events go to the sink
};

// At most 256 physical cores. Limits hold for all together; `options.observers` and `.sequencer` are not used. Each
// core's result is what it did until all had ended, or the first fault. The trace has the traced cores' lanes one after
// the other, and each hash counts the lanes of its core from 0, so that equal cores have equal ones.
std::vector<CoreResult> run_cores(std::span<const CoreJob> jobs, const spec::ChipSpec& spec, const CoreOptions& options,
                                  trace::Sink* sink);

}  // namespace presil::chip
