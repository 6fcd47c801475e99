// Whether an instruction has a meaning where it stands: what it reads must make sense to it.
#pragma once
#include <string>

#include "chip/execute_reference.h"

namespace presil::campaign {

// Products of something else than a permutation by is_transpose: not even an error is documented.
inline constexpr std::string_view kNoPermutation = " moves no permutation";

// Why not; empty if it has one. Operands are absolute and lie inside the machine's memories.
std::string meaningless(const isa::Program& program, const isa::Instruction& instruction,
                        chip::reference::Machine& machine);

}  // namespace presil::campaign
