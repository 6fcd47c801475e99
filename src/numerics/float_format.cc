#include "numerics/float_format.h"

#include <bit>

#include "numerics/float_bits.h"

namespace presil::numerics {

float decode(const FloatFormat& f, uint32_t bits) {
  const uint32_t sign = (bits >> f.sign_shift() & 1u) << 31;
  const uint32_t magnitude = bits & f.all_ones();
  if (magnitude > f.largest()) {
    const bool infinite = f.specials == Specials::ieee && magnitude == f.infinity();
    return infinite ? float_of(sign | kInfinityBits) : kNan;
  }
  const int exponent = static_cast<int>(magnitude >> f.mantissa_bits);
  const uint32_t mantissa = magnitude & ((1u << f.mantissa_bits) - 1);
  if (f.exponent_bits == 8) return float_of(sign | magnitude << (23 - f.mantissa_bits));
  if (exponent == 0) {
    const float value = static_cast<float>(mantissa) * power_of_two(1 - f.bias - f.mantissa_bits);
    return float_of(sign | bits_of(value));
  }
  return float_of(sign | static_cast<uint32_t>(exponent - f.bias + 127) << 23 | mantissa << (23 - f.mantissa_bits));
}

uint32_t encode(const FloatFormat& f, float value) {
  if (is_nan(value)) return f.nan();
  const uint32_t bits = bits_of(value);
  const uint32_t sign = (bits >> 31) << f.sign_shift();
  const uint32_t magnitude = bits & ~kSignBit;
  const int shift = 23 - f.mantissa_bits;
  const uint32_t least_normal = static_cast<uint32_t>(1 - f.bias + 127) << 23;
  if (f.exponent_bits == 8) {
    if (magnitude == kInfinityBits) return sign | f.infinity();
    return sign | round_off(magnitude, shift);
  }
  if (magnitude < least_normal) {
    // Adding 2^23 units of the denormal spacing rounds to that spacing, to nearest even.
    const float anchor = power_of_two(1 - f.bias - f.mantissa_bits + 23);
    return sign | (bits_of(float_of(magnitude) + anchor) - bits_of(anchor));
  }
  const uint32_t rebased = round_off(magnitude, shift) - (static_cast<uint32_t>(127 - f.bias) << f.mantissa_bits);
  if (rebased <= f.largest()) return sign | rebased;
  return f.specials == Specials::nan_only ? f.nan() : sign | f.overflow();
}

uint32_t encode_stochastic(const FloatFormat& f, float value, uint32_t random) {
  if (is_nan(value)) return f.nan();
  const uint32_t bits = bits_of(value), magnitude = bits & ~kSignBit;
  if (magnitude == kInfinityBits) return encode(f, value);
  const uint32_t sign = (bits >> 31) << f.sign_shift();
  // value = significand * 2^(exponent - 150); units of the format at that size are 2^(unit - 150).
  const int stored = static_cast<int>(magnitude >> 23);
  const int exponent = stored == 0 ? 1 : stored;
  const uint64_t significand = (magnitude & 0x7fffff) | (stored == 0 ? 0 : 1u << 23);
  const int least = 1 - f.bias + 127;  // the smallest normal number's exponent
  const int unit = (exponent > least ? exponent : least) + 23 - f.mantissa_bits;
  const int cut = unit - exponent;  // bits of the significand below the unit
  const uint64_t scaled = cut < 56 ? (significand << 32) >> cut : 0;
  const auto units = static_cast<uint32_t>((scaled + random) >> 32);
  // Units of normal numbers include the hidden bit, which the exponent field counts too; a carry runs into it.
  const uint32_t field = exponent > least ? static_cast<uint32_t>(exponent - least) << f.mantissa_bits : 0;
  const uint32_t rounded = field + units;
  if (rounded <= f.largest()) return sign | rounded;
  return f.specials == Specials::nan_only ? f.nan() : sign | f.overflow();
}

}  // namespace presil::numerics
