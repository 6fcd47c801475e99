// alu_apply for loops whose operator is known where they are compiled: the switch folds away.
#pragma once
#include <cmath>

#include "base/check.h"
#include "numerics/alu.h"
#include "numerics/float_bits.h"
#include "numerics/power.h"

namespace presil::numerics {

inline float truth(bool b) { return b ? 1.0f : 0.0f; }

[[gnu::always_inline]] inline float alu_apply_inline(AluOp op, float a, float b) {
  const bool either_nan = is_nan(a) || is_nan(b);
  switch (op) {
    case AluOp::bypass:
      return a;
    case AluOp::add:
      return canonical(a + b);
    case AluOp::subtract:
      return canonical(a - b);
    case AluOp::multiply:
      return canonical(a * b);
    case AluOp::max:
      return either_nan ? kNan : (a > b ? a : b);
    case AluOp::min:
      return either_nan ? kNan : (a < b ? a : b);
    case AluOp::eq:
      return truth(a == b);
    case AluOp::ne:
      return truth(a != b);
    case AluOp::ge:
      return truth(a >= b);
    case AluOp::gt:
      return truth(a > b);
    case AluOp::le:
      return truth(a <= b);
    case AluOp::lt:
      return truth(a < b);
    case AluOp::logical_and:
      return truth(a != 0.0f && b != 0.0f);
    case AluOp::logical_or:
      return truth(a != 0.0f || b != 0.0f);
    case AluOp::logical_xor:
      return truth((a != 0.0f) != (b != 0.0f));
    case AluOp::power:
      return power(a, b);
    case AluOp::divide:
      return canonical(a / b);
    case AluOp::abs_max:
      return either_nan ? kNan : (std::fabs(a) > std::fabs(b) ? std::fabs(a) : std::fabs(b));
    case AluOp::abs_min:
      return either_nan ? kNan : (std::fabs(a) < std::fabs(b) ? std::fabs(a) : std::fabs(b));
    case AluOp::abs:
      return canonical(std::fabs(a));
    case AluOp::square:
      return canonical(a * a);
    case AluOp::relu:
      return is_nan(a) ? kNan : (a > 0.0f ? a : 0.0f);
    case AluOp::rsqrt:
      return canonical(1.0f / std::sqrt(a));
    case AluOp::reciprocal:
      return canonical(1.0f / a);
    case AluOp::bit_not:
    case AluOp::bit_and:
    case AluOp::bit_or:
    case AluOp::bit_xor:
    case AluOp::shift_left:
    case AluOp::shift_right:
      break;
  }
  CHECK(false, "bitvec operators work on raw bits: bit_apply");
}

}  // namespace presil::numerics
