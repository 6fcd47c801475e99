// Which instructions may decide about control flow: without data only those have to be computed.
#pragma once
#include <vector>

#include "isa/executable.h"

namespace presil::system {

// By queue and instruction: whether bytes that it writes may reach a register_load, through memory and other such
// instructions. Ranges of bytes count, not partitions, and operands that registers move may lie anywhere in their
// memory, so an instruction that is left out never matters.
std::vector<std::vector<bool>> feeds_registers(const isa::Executable& executable);

}  // namespace presil::system
