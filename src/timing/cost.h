// How long one instruction occupies its engine, and when its results are visible: a pure function of (instruction,
// spec), called by the chip and by every estimate. Formulas and sources: docs/model.md, "Engines".
//
// An engine starts instructions in order. With `ready` the time at which an instruction's waits are satisfied (each at
// the semaphore's increment plus semaphores.wake) and `previous` the start of the instruction before it:
//   start = max(previous + occupancy(previous), max(ready, previous) + prepare)
//   results and signal at start + latency
#pragma once
#include "base/time.h"
#include "isa/program.h"
#include "spec/chip_spec.h"

namespace presil::timing {

// Parts of the tensor engine's array, a quarter of its rows by a quarter of its columns each. An instruction that uses
// only some (parts_busy > 0) also waits until those are free, and holds them longer than it holds the engine's queue:
//   start = max(above, end of parts_busy of the instructions before it on any of its parts)
// An instruction of the whole array uses all of them.
inline constexpr uint32_t kArrayParts = 4;
inline constexpr uint16_t kWholeArray = UINT16_MAX;

struct Cost {
  Time occupancy = 0;  // start to the earliest start of the engine's next instruction
  Time latency = 0;    // start to results visible and the signal raised
  Time prepare = 0;    // runs behind the previous instruction: loading the stationary operand of the tensor engine
  uint16_t parts = kWholeArray;  // bit per part of the array, row by row
  Time parts_busy = 0;           // how long they are taken; 0: the whole array, for the occupancy
  bool operator==(const Cost&) const = default;
};

// Every opcode except those of the DMA engines (transfer.h). Loading an activation table is not part of it: the chip
// adds scalar.table_load when activation_table changes.
Cost cost(const isa::Program& program, const isa::Instruction& instruction, const spec::ChipSpec& spec);

// Whether the vector engine runs the instruction in a performance mode (fact sheet, section 3.2).
bool performance_mode(const isa::Program& program, const isa::Instruction& instruction, const spec::ChipSpec& spec);

// The activation table that the instruction needs (numerics/activation.h); 0 if none.
int table_of(const isa::Program& program, const isa::Instruction& instruction);

// Start to loaded of one hardware LoadStationary instruction, as a profiler shows it (record I30); `prepare` of an
// instruction is only the part of it that the multiplication cannot follow immediately.
Time stationary_load_duration(uint32_t columns, DType dtype, const spec::ChipSpec& spec);

}  // namespace presil::timing
