// Encoding repeats: code that runs again with addresses and semaphore values moved by constant steps is stored once.
#pragma once
#include "isa/program.h"

namespace presil::backend {

inline constexpr int kRepeatLevelsMax = 4;

// The flat program that `program` stands for: no repeats, no deltas.
isa::Program expand(const isa::Program& program);

// The same flat program in fewer instructions; `program` has no repeats. expand(reroll(p)) == p up to unused pool
// entries. Near-linear: candidate periods come from the next occurrence of what stands at a place.
isa::Program reroll(const isa::Program& program);

}  // namespace presil::backend
