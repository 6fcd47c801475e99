// What of its operands an instruction really reads or writes.
#pragma once
#include <vector>

#include "isa/program.h"

namespace presil::isa {

// Scales of MX data: one per 8 partitions, in the first partitions of each 32 from the operand's first on (fact sheet
// 6.4).
inline constexpr uint32_t kMxQuadrant = 32, kMxGroup = 8, kMxScales = kMxQuadrant / kMxGroup;

// The parts of operand k: the whole view, but of MX scales the partitions that hold any; nothing if it is absent.
std::vector<View> touched(const Program& program, const Instruction& instruction, int k);

}  // namespace presil::isa
