#include "numerics/convert.h"

#include <limits>
#include <type_traits>

#include "base/check.h"
#include "numerics/float_bits.h"

namespace presil::numerics {
namespace {

struct FloatFormat {
  int exponent_bits, mantissa_bits;
  constexpr int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  constexpr int sign_shift() const { return exponent_bits + mantissa_bits; }
  constexpr uint32_t infinity() const { return ((1u << exponent_bits) - 1) << mantissa_bits; }
  constexpr uint32_t nan() const { return infinity() | (1u << (mantissa_bits - 1)); }
};
constexpr FloatFormat kBf16{8, 7}, kFp16{5, 10}, kE4m3{4, 3}, kE5m2{5, 2};

float decode(FloatFormat f, uint32_t bits) {
  const uint32_t sign = (bits >> f.sign_shift() & 1u) << 31;
  const uint32_t magnitude = bits & ((1u << f.sign_shift()) - 1);
  if (magnitude > f.infinity()) return kNan;
  if (magnitude == f.infinity()) return float_of(sign | kInfinityBits);
  const int exponent = static_cast<int>(magnitude >> f.mantissa_bits);
  const uint32_t mantissa = magnitude & ((1u << f.mantissa_bits) - 1);
  if (f.exponent_bits == 8) return float_of(sign | magnitude << (23 - f.mantissa_bits));
  if (exponent == 0) {
    const float value = static_cast<float>(mantissa) * power_of_two(1 - f.bias() - f.mantissa_bits);
    return float_of(sign | bits_of(value));
  }
  return float_of(sign | static_cast<uint32_t>(exponent - f.bias() + 127) << 23 | mantissa << (23 - f.mantissa_bits));
}

// Rounds away the low `shift` bits of a magnitude, to nearest even; a carry runs into the exponent, as it should.
uint32_t round_off(uint32_t magnitude, int shift) {
  return (magnitude + (1u << (shift - 1)) - 1 + (magnitude >> shift & 1u)) >> shift;
}

uint32_t encode(FloatFormat f, float value) {
  if (is_nan(value)) return f.nan();
  const uint32_t bits = bits_of(value);
  const uint32_t sign = (bits >> 31) << f.sign_shift();
  const uint32_t magnitude = bits & ~kSignBit;
  const int shift = 23 - f.mantissa_bits;
  const uint32_t least_normal = static_cast<uint32_t>(1 - f.bias() + 127) << 23;
  if (f.exponent_bits == 8) {
    if (magnitude == kInfinityBits) return sign | f.infinity();
    return sign | round_off(magnitude, shift);
  }
  if (magnitude < least_normal) {
    // Adding 2^23 units of the denormal spacing rounds to that spacing, to nearest even.
    const float anchor = power_of_two(1 - f.bias() - f.mantissa_bits + 23);
    return sign | (bits_of(float_of(magnitude) + anchor) - bits_of(anchor));
  }
  const uint32_t rebased = round_off(magnitude, shift) - (static_cast<uint32_t>(127 - f.bias()) << f.mantissa_bits);
  return sign | (rebased < f.infinity() ? rebased : f.infinity());
}

float round_to_tf32(float value) {
  if (is_nan(value)) return kNan;
  const uint32_t bits = bits_of(value);
  const uint32_t magnitude = bits & ~kSignBit;
  if (magnitude == kInfinityBits) return value;
  return float_of((bits & kSignBit) | round_off(magnitude, 13) << 13);
}

// To nearest even, then saturated. Every |value| >= 2^23 is an integer already.
template <class Integer>
Integer to_integer(float value) {
  if (is_nan(value)) return 0;
  constexpr double low = static_cast<double>(std::numeric_limits<Integer>::min());
  constexpr double past_high = static_cast<double>(std::numeric_limits<Integer>::max() / 2 + 1) * 2.0;
  const double wide = value;
  if (wide < low) return std::numeric_limits<Integer>::min();
  if (wide >= past_high) return std::numeric_limits<Integer>::max();
  const bool integral = value >= 0x1p23f || value <= -0x1p23f;
  const double rounded = integral ? wide : (wide + 0x1.8p52) - 0x1.8p52;
  return rounded >= past_high ? std::numeric_limits<Integer>::max() : static_cast<Integer>(rounded);
}

template <class Integer>
uint64_t integer_bits(float value) {
  return static_cast<std::make_unsigned_t<Integer>>(to_integer<Integer>(value));
}

}  // namespace

float to_fp32(DType t, uint64_t bits) {
  const auto word = static_cast<uint32_t>(bits);
  switch (t) {
    case DType::fp32:
      return float_of(word);
    case DType::tf32:
      return round_to_tf32(float_of(word));
    case DType::bf16:
      return decode(kBf16, word & 0xffff);
    case DType::fp16:
      return decode(kFp16, word & 0xffff);
    case DType::fp8_e4m3:
      return decode(kE4m3, word & 0xff);
    case DType::fp8_e5m2:
      return decode(kE5m2, word & 0xff);
    case DType::int8:
      return static_cast<float>(static_cast<int8_t>(bits));
    case DType::uint8:
      return static_cast<float>(static_cast<uint8_t>(bits));
    case DType::int16:
      return static_cast<float>(static_cast<int16_t>(bits));
    case DType::uint16:
      return static_cast<float>(static_cast<uint16_t>(bits));
    case DType::int32:
      return static_cast<float>(static_cast<int32_t>(word));
    case DType::uint32:
      return static_cast<float>(word);
    case DType::int64:
      return static_cast<float>(static_cast<int64_t>(bits));
    case DType::boolean:
      return (bits & 0xff) != 0 ? 1.0f : 0.0f;
  }
  CHECK(false, "unknown dtype");
}

uint64_t from_fp32(DType t, float value) {
  switch (t) {
    case DType::fp32:
      return bits_of(value);
    case DType::tf32:
      return bits_of(round_to_tf32(value));
    case DType::bf16:
      return encode(kBf16, value);
    case DType::fp16:
      return encode(kFp16, value);
    case DType::fp8_e4m3:
      return encode(kE4m3, value);
    case DType::fp8_e5m2:
      return encode(kE5m2, value);
    case DType::int8:
      return integer_bits<int8_t>(value);
    case DType::uint8:
      return integer_bits<uint8_t>(value);
    case DType::int16:
      return integer_bits<int16_t>(value);
    case DType::uint16:
      return integer_bits<uint16_t>(value);
    case DType::int32:
      return integer_bits<int32_t>(value);
    case DType::uint32:
      return integer_bits<uint32_t>(value);
    case DType::int64:
      return integer_bits<int64_t>(value);
    case DType::boolean:
      return value != 0.0f ? 1 : 0;
  }
  CHECK(false, "unknown dtype");
}

}  // namespace presil::numerics
