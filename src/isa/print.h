// Text form of programs: one instruction per line, derived from the table; docs/reference/isa.md has the grammar.
// parse.h reads it back; parse(print(x)) == x, down to the bits of immediates and constants.
#pragma once
#include <string>

#include "isa/executable.h"

namespace presil::isa {

// "sbuf.bf16[p32+64 @1024 4:512 100]": partitions 32 to 95, byte 1024, 4 rows at a step of 512 elements of 100
// neighbours. Omitted: "p0+1", "@0" and steps that continue the inner dimension. "%7": on tile or tensor 7.
std::string print(const View& view);

// "vector tensor_scalar dst=... data=... op0=multiply imm0=0.5 wait=s3>=16 signal=s4 source=2". Steps per iteration of
// the repeats around follow what they change: "dst=sbuf.fp32[p0+128 512]{L0+2048}".
std::string print(const Program& program, const Instruction& instruction);

// An attribute's value by name, or as a number that parses back to the same bits.
std::string print(AttributeKind kind, uint32_t word);

// The structure must be sound (rules.h).
std::string print(const Program& program);
std::string print(const Executable& executable);

}  // namespace presil::isa
