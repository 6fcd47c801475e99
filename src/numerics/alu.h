// Operators of the vector, scalar and gpsimd datapaths. Operands are converted to fp32 first (docs/model.md,
// "Arithmetic"); bitvec operators work on the raw bits of integer types.
// Source: NKI ISA documentation, "Supported Math Operators" (fact sheet, section 6.6).
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace presil {

// clang-format off
enum class AluOp : uint8_t {
  bypass,  // first operand
  add, subtract, multiply, max, min, eq, ne, ge, gt, le, lt, logical_and, logical_or, logical_xor, power, divide,
  abs_max, abs_min, abs, square, relu, rsqrt, reciprocal,
  bit_not, bit_and, bit_or, bit_xor, shift_left, shift_right,
};
// clang-format on
inline constexpr int kAluOpCount = static_cast<int>(AluOp::shift_right) + 1;

std::string_view alu_op_name(AluOp op);
std::optional<AluOp> alu_op_from_name(std::string_view name);
constexpr bool is_bitvec(AluOp op) { return op >= AluOp::bit_not; }

// op(a, b) in fp32, or 1.0/0.0 for comparisons and logic. Unary operators ignore b.
//  - bypass returns the bits of a. Every other result that is NaN is the canonical NaN.
//  - max is a > b ? a : b and min is a < b ? a : b, NaN if either is; so max(-0, +0) and max(+0, -0) give the second.
//    abs_max and abs_min are the same on magnitudes. relu is a > 0 ? a : +0, NaN stays.
//  - Comparisons with NaN are false, except ne. In logic every value but +-0 is true, NaN too.
//  - divide, reciprocal and rsqrt = 1 / sqrt(a) are IEEE divisions and square roots, each rounded to nearest even.
//  - power: see numerics/power.h.
float alu_apply(AluOp op, float a, float b);

// Bitvec operators (and bypass) on the low `width_bits` of a and b; the caller keeps the low bits of the result. Shifts
// are logical; by the width or more they give 0.
uint64_t bit_apply(AluOp op, uint64_t a, uint64_t b, int width_bits);

// What an instruction with an accumulator does to it (fact sheet, section 9, enum reduce_cmd).
enum class ReduceCommand : uint8_t { idle, reset, reduce, reset_reduce, load_reduce };
inline constexpr int kReduceCommandCount = 5;
std::string_view reduce_command_name(ReduceCommand c);
std::optional<ReduceCommand> reduce_command_from_name(std::string_view name);

}  // namespace presil
