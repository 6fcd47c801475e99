// How long one instruction occupies its engine, and when its results are visible: a pure function of (instruction,
// spec), called by the chip and by every estimate. Formulas and sources: docs/model.md, "Engines".
#pragma once
#include "base/time.h"
#include "isa/program.h"
#include "spec/chip_spec.h"

namespace presil::timing {

struct Cost {
  Time occupancy = 0;  // start to the earliest start of the engine's next instruction
  Time latency = 0;    // start to results visible and the signal raised; the waiter adds semaphores.wake
  bool operator==(const Cost&) const = default;
};

// Every opcode except dma_copy and dma_transpose (transfer.h). Loading an activation table is not part of it: the chip
// adds scalar.table_load when activation_table changes.
Cost cost(const isa::Program& program, const isa::Instruction& instruction, const spec::ChipSpec& spec);

// Loading the stationary operand of one nc_matmul, which runs behind the previous instruction: occupancy of the load
// path, and start to loaded.
Cost stationary_load_cost(uint32_t columns, DType dtype, const spec::ChipSpec& spec);

}  // namespace presil::timing
