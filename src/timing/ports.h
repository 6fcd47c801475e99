// Which ports of SBUF and PSUM an instruction occupies that another engine may want at the same time (fact sheet,
// section 2.4). Which pairs of engines exclude each other is the chip's: vector.sbuf_with_gpsimd, psum_with_scalar.
#pragma once
#include <cstdint>
#include <span>

#include "isa/program.h"
#include "spec/chip_spec.h"

namespace presil::timing {

// Bit 0: the SBUF port that the vector and gpsimd engines share. The others: banks of PSUM, from the first; where the
// rule makes no difference between banks, all of them. Two instructions of different kinds of engines whose bits meet
// exclude each other.
using Ports = uint64_t;
inline constexpr Ports kSbufPort = 1;

// In the first iteration; empty for engines that exclude nobody.
Ports ports_of(const isa::Program& program, const isa::Instruction& instruction, const spec::ChipSpec& spec);
// Of a vector or scalar instruction, those of PSUM. `offsets`: growth of each operand's place in this iteration.
Ports psum_banks(const isa::Program& program, const isa::Instruction& instruction, std::span<const int64_t> offsets,
                 const spec::ChipSpec& spec);

}  // namespace presil::timing
