// Registers and control flow of a sequencer: which instructions they are, what a register operation computes, and the
// rules that make a queue with branches one that can be run. Repeats are an encoding and no control flow: a branch
// stays within the iteration of the repeats around it.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "isa/executable.h"
#include "isa/program.h"
#include "isa/rules.h"
#include "numerics/alu.h"

namespace presil::isa {

inline constexpr uint32_t kRegistersMax = 64;  // that a chip file may give a sequencer

constexpr bool is_control(Opcode o) { return o >= Opcode::register_move && o <= Opcode::halt; }
// Whether a queue does anything that its text alone does not determine.
bool has_control(const Program& program);
bool has_control(const Executable& executable);
// Whether operand offsets or wait values of the instruction come from registers.
bool reads_registers(const Program& program, const Instruction& instruction);

// In 32-bit two's complement: add, subtract, multiply, max, min, comparisons (1 or 0), bit_and, bit_or, bit_xor, and
// logical shifts, which give 0 from 32 bits on. Nothing for other operators.
std::optional<uint32_t> register_apply(AluOp op, uint32_t a, uint32_t b);

// Everything that keeps a queue from being run: targets outside the queue or inside other repeats, loops and their ends
// that do not belong together or cross, registers that may be read before anything was put into them, or that the
// sequencer does not have.
std::vector<Finding> check_control(const Program& program, uint32_t registers);

}  // namespace presil::isa
