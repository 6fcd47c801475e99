// A Program made ready to run on one chip: per static instruction its cost or transfer, computed once; waits with
// their growth per repeat; where in the HBM, SBUF or PSUM it may leave the memory. Flat arrays: the run allocates
// nothing.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "chip/cursor.h"
#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "timing/cost.h"
#include "timing/ports.h"
#include "timing/transfer.h"

namespace presil::chip {

// Semaphores are numbered over all physical cores (isa::semaphore_number).
struct LoadedWait {
  uint16_t semaphore = 0;
  uint16_t delta_count = 0;
  uint32_t delta_begin = 0;
  uint32_t value = 0;
};

struct Growth {
  uint32_t level = 0;  // index of Cursor::iteration
  int64_t step = 0;
};

// One static instruction: what the simulation of time needs of it, one cache line.
struct alignas(64) Step {
  enum class Kind : uint8_t { compute, table, transfer, control };
  Time occupancy = 0, latency = 0, prepare = 0, parts_busy = 0;  // timing::Cost
  timing::Ports ports = 0;  // in the first iteration; those that no rival ever takes are left out
  uint32_t wait_begin = 0;
  uint32_t extra = 0;  // table: the activation table; transfer: index into Loaded::transfers
  uint32_t layer = 0;
  uint16_t signal = isa::kNoSemaphore;
  uint16_t remote = isa::kNoSemaphore;  // of the other core
  uint16_t parts = timing::kWholeArray;
  uint8_t wait_count = 0;
  Kind kind = Kind::compute;
  bool ports_move = false;  // others in other iterations
  bool may_leave = false;   // some iteration may touch bytes outside of a memory
};
static_assert(sizeof(Step) == 64);

// What one execution of an instruction amounts to.
struct Traffic {
  uint64_t amount = 0;                        // macs of the tensor engine, bytes of a transfer, else elements
  std::array<uint64_t, 4> read{}, written{};  // bytes of all operands, by isa::Memory
};

struct LoadedQueue {
  isa::EngineKind engine = isa::EngineKind::sync;
  uint8_t core = 0;  // of the logical core
  std::vector<Step> steps;
  std::vector<Traffic> traffic;  // by step
  std::vector<uint32_t> rivals;  // queues of other kinds of engines that may want the same ports
  std::vector<LoadedWait> waits;
  std::vector<Growth> growths;
  RepeatMap repeats;

  uint32_t wait_value(const LoadedWait& w, const Cursor& c) const {
    int64_t value = w.value;
    for (uint32_t d = w.delta_begin; d < w.delta_begin + w.delta_count; ++d) {
      const uint32_t level = growths[d].level;
      value += growths[d].step *
               (level < kRepeatDepthMax ? int64_t{c.iteration[level]} : static_cast<int32_t>(c.iteration[level]));
    }
    return value < 0 ? 0 : static_cast<uint32_t>(value);  // below zero it always holds
  }
};

// A transfer with what the DMA engines need beyond its times.
struct LoadedTransfer {
  uint32_t timing = 0;  // index into Loaded::timings
  uint8_t queue = 0;
  uint16_t signal = isa::kNoSemaphore, remote = isa::kNoSemaphore;  // as Step's
  bool raises_whole = true;                                         // nobody waits for a part of its increments
  uint32_t layer = 0, source = isa::kNoSource;
};

struct Loaded {
  std::vector<LoadedQueue> queues;
  std::vector<LoadedTransfer> transfers;
  std::vector<timing::Transfer> timings;  // no two equal: programs move much alike
  std::vector<uint32_t> busiest_first;    // queues by the total occupancy of their instructions; equal ones by index
  uint32_t semaphores = 0, layers = 0;
  uint32_t cores = 1;    // physical ones
  bool control = false;  // some queue has branches or registers
};

// Errors: an Executable that does not hold together for this chip (queues, semaphores, repeats, pools, tensors), or
// with operands that have no meaning on any.
Result<Loaded> load(const isa::Executable& executable, const spec::ChipSpec& spec);

// Growth of operand offsets in the present iteration: offsets[k] for the instruction's k-th operand.
inline void operand_offsets(const isa::Program& program, const isa::Instruction& i, const Cursor& c,
                            std::span<int64_t> offsets) {
  for (int64_t& offset : offsets) offset = 0;
  for (const isa::Delta& d : program.deltas_of(i)) {
    if (d.target != isa::Delta::Target::operand) continue;
    offsets[d.index] += d.of_register ? d.step * static_cast<int32_t>(c.reg(d.level)) : d.step * c.iteration[d.level];
  }
}

}  // namespace presil::chip
