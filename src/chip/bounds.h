// Does an instruction stay inside the memories? Asked once per static instruction over all iterations of its repeats,
// and again per execution only where some iteration may leave.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "isa/executable.h"
#include "spec/chip_spec.h"

namespace presil::chip {

// `counts`: iterations of the repeats around the instruction, outermost first.
bool may_leave(const isa::Program& program, const isa::Instruction& instruction, std::span<const uint32_t> counts,
               const isa::Executable& executable, const spec::ChipSpec& spec);

// What lies outside with these operand offsets: "nc_matmul moving: bytes [a, b) of ...", empty when nothing does.
std::string leaving_text(const isa::Program& program, const isa::Instruction& instruction,
                         std::span<const int64_t> offsets, const isa::Executable& executable,
                         const spec::ChipSpec& spec);

}  // namespace presil::chip
