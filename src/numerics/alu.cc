#include "numerics/alu.h"

#include <array>
#include <cmath>

#include "base/check.h"
#include "numerics/float_bits.h"
#include "numerics/names.h"
#include "numerics/power.h"

namespace presil {
namespace {

constexpr std::array<std::string_view, kAluOpCount> kOpNames = {
    "bypass", "add", "subtract", "multiply", "max", "min", "eq", "ne", "ge", "gt", "le", "lt", "logical_and",
    "logical_or", "logical_xor", "power", "divide", "abs_max", "abs_min", "abs", "square", "relu", "rsqrt",
    "reciprocal", "bit_not", "bit_and", "bit_or", "bit_xor", "shift_left", "shift_right"};

constexpr std::array<std::string_view, kReduceCommandCount> kReduceNames = {"idle", "reset", "reduce", "reset_reduce",
                                                                            "load_reduce"};

float truth(bool b) { return b ? 1.0f : 0.0f; }

}  // namespace

std::string_view alu_op_name(AluOp op) { return kOpNames[static_cast<size_t>(op)]; }
std::optional<AluOp> alu_op_from_name(std::string_view name) { return numerics::enum_from_name<AluOp>(kOpNames, name); }

std::string_view reduce_command_name(ReduceCommand c) { return kReduceNames[static_cast<size_t>(c)]; }
std::optional<ReduceCommand> reduce_command_from_name(std::string_view name) {
  return numerics::enum_from_name<ReduceCommand>(kReduceNames, name);
}

float alu_apply(AluOp op, float a, float b) {
  using numerics::canonical;
  const bool either_nan = numerics::is_nan(a) || numerics::is_nan(b);
  switch (op) {
    case AluOp::bypass: return a;
    case AluOp::add: return canonical(a + b);
    case AluOp::subtract: return canonical(a - b);
    case AluOp::multiply: return canonical(a * b);
    case AluOp::max: return either_nan ? numerics::kNan : (a > b ? a : b);
    case AluOp::min: return either_nan ? numerics::kNan : (a < b ? a : b);
    case AluOp::eq: return truth(a == b);
    case AluOp::ne: return truth(a != b);
    case AluOp::ge: return truth(a >= b);
    case AluOp::gt: return truth(a > b);
    case AluOp::le: return truth(a <= b);
    case AluOp::lt: return truth(a < b);
    case AluOp::logical_and: return truth(a != 0.0f && b != 0.0f);
    case AluOp::logical_or: return truth(a != 0.0f || b != 0.0f);
    case AluOp::logical_xor: return truth((a != 0.0f) != (b != 0.0f));
    case AluOp::power: return numerics::power(a, b);
    case AluOp::divide: return canonical(a / b);
    case AluOp::abs_max: return alu_apply(AluOp::max, std::fabs(a), std::fabs(b));
    case AluOp::abs_min: return alu_apply(AluOp::min, std::fabs(a), std::fabs(b));
    case AluOp::abs: return canonical(std::fabs(a));
    case AluOp::square: return canonical(a * a);
    case AluOp::relu: return numerics::is_nan(a) ? numerics::kNan : (a > 0.0f ? a : 0.0f);
    case AluOp::rsqrt: return canonical(1.0f / std::sqrt(a));
    case AluOp::reciprocal: return canonical(1.0f / a);
    case AluOp::bit_not: case AluOp::bit_and: case AluOp::bit_or: case AluOp::bit_xor: case AluOp::shift_left:
    case AluOp::shift_right: break;
  }
  CHECK(false, "bitvec operators work on raw bits: bit_apply");
}

uint64_t bit_apply(AluOp op, uint64_t a, uint64_t b, int width_bits) {
  const auto width = static_cast<uint64_t>(width_bits);
  switch (op) {
    case AluOp::bypass: return a;
    case AluOp::bit_not: return ~a;
    case AluOp::bit_and: return a & b;
    case AluOp::bit_or: return a | b;
    case AluOp::bit_xor: return a ^ b;
    case AluOp::shift_left: return b < width ? a << b : 0;
    case AluOp::shift_right: return b < width ? a >> b : 0;
    default: break;
  }
  CHECK(false, "not a bitvec operator");
}

}  // namespace presil
