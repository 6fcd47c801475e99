// Floating-point formats of up to 16 bits as data: every small float of the machine is a sign, exponent and mantissa
// field with a bias and a rule for what has no finite value. Another bias makes the configurable fp8 of fact sheet 6.1.
#pragma once
#include <cstdint>

#include "numerics/dtype.h"

namespace presil::numerics {

// What the largest exponents hold.
enum class Specials : uint8_t {
  ieee,      // the largest exponent: infinities and NaN
  nan_only,  // the largest pattern of either sign is NaN; what overflows, infinities too, becomes NaN (OCP fp8 e4m3fn)
  finite,    // only numbers; what overflows saturates and NaN becomes 0 (OCP fp4)
};

struct FloatFormat {
  int exponent_bits = 0, mantissa_bits = 0, bias = 0;
  Specials specials = Specials::ieee;

  constexpr int sign_shift() const { return exponent_bits + mantissa_bits; }
  constexpr uint32_t all_ones() const { return (1u << sign_shift()) - 1; }
  constexpr uint32_t infinity() const { return ((1u << exponent_bits) - 1) << mantissa_bits; }  // ieee
  constexpr uint32_t largest() const {
    return specials == Specials::ieee ? infinity() - 1 : specials == Specials::nan_only ? all_ones() - 1 : all_ones();
  }
  constexpr uint32_t nan() const {
    return specials == Specials::ieee       ? infinity() | (1u << (mantissa_bits - 1))
           : specials == Specials::nan_only ? all_ones()
                                            : 0;
  }
  constexpr uint32_t overflow() const { return specials == Specials::finite ? largest() : largest() + 1; }
};

inline constexpr FloatFormat kBf16{8, 7, 127}, kFp16{5, 10, 15};
inline constexpr FloatFormat kFp8E4m3{4, 3, 7}, kFp8E5m2{5, 2, 15}, kFp8E3m4{3, 4, 3};
inline constexpr FloatFormat kFp8E4m3fn{4, 3, 7, Specials::nan_only};
inline constexpr FloatFormat kFp4E2m1fn{2, 1, 1, Specials::finite};

// The value of a pattern; NaN is canonical.
float decode(const FloatFormat& format, uint32_t bits);
// To nearest even, canonical NaN.
uint32_t encode(const FloatFormat& format, float value);
// To one of the two neighbours, to either with a probability in proportion to its nearness: away from zero where the
// fraction that is cut off and random / 2^32 add to 1 or more. A value of the format stays whatever `random` is.
uint32_t encode_stochastic(const FloatFormat& format, float value, uint32_t random);

}  // namespace presil::numerics
