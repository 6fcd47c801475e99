#include "numerics/alu.h"

#include <array>

#include "base/check.h"
#include "numerics/alu_inline.h"
#include "numerics/names.h"

namespace presil {
namespace {

constexpr std::array<std::string_view, kAluOpCount> kOpNames = {
    "bypass",  "add",     "subtract", "multiply", "max",         "min",        "eq",          "ne",
    "ge",      "gt",      "le",       "lt",       "logical_and", "logical_or", "logical_xor", "power",
    "divide",  "abs_max", "abs_min",  "abs",      "square",      "relu",       "rsqrt",       "reciprocal",
    "bit_not", "bit_and", "bit_or",   "bit_xor",  "shift_left",  "shift_right"};

constexpr std::array<std::string_view, kReduceCommandCount> kReduceNames = {"idle", "reset", "reduce", "reset_reduce",
                                                                            "load_reduce"};

}  // namespace

std::string_view alu_op_name(AluOp op) { return kOpNames[static_cast<size_t>(op)]; }
std::optional<AluOp> alu_op_from_name(std::string_view name) { return numerics::enum_from_name<AluOp>(kOpNames, name); }

std::string_view reduce_command_name(ReduceCommand c) { return kReduceNames[static_cast<size_t>(c)]; }
std::optional<ReduceCommand> reduce_command_from_name(std::string_view name) {
  return numerics::enum_from_name<ReduceCommand>(kReduceNames, name);
}

float alu_apply(AluOp op, float a, float b) { return numerics::alu_apply_inline(op, a, b); }

uint64_t bit_apply(AluOp op, uint64_t a, uint64_t b, int width_bits) {
  const auto width = static_cast<uint64_t>(width_bits);
  switch (op) {
    case AluOp::bypass:
      return a;
    case AluOp::bit_not:
      return ~a;
    case AluOp::bit_and:
      return a & b;
    case AluOp::bit_or:
      return a | b;
    case AluOp::bit_xor:
      return a ^ b;
    case AluOp::shift_left:
      return b < width ? a << b : 0;
    case AluOp::shift_right:
      return b < width ? a >> b : 0;
    default:
      break;
  }
  CHECK(false, "not a bitvec operator");
}

}  // namespace presil
