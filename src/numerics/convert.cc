#include "numerics/convert.h"

#include <limits>
#include <type_traits>

#include "base/check.h"
#include "numerics/float_bits.h"
#include "numerics/float_format.h"

namespace presil::numerics {
namespace {

const FloatFormat* format_of(DType t) {
  switch (t) {
    case DType::bf16:
      return &kBf16;
    case DType::fp16:
      return &kFp16;
    case DType::fp8_e4m3:
      return &kFp8E4m3;
    case DType::fp8_e5m2:
    case DType::fp8_e5m2_x4:
      return &kFp8E5m2;
    case DType::fp8_e4m3fn:
    case DType::fp8_e4m3fn_x4:
      return &kFp8E4m3fn;
    case DType::fp8_e3m4:
      return &kFp8E3m4;
    case DType::fp4_e2m1fn_x4:
      return &kFp4E2m1fn;
    default:
      return nullptr;
  }
}

constexpr uint32_t kScaleNan = 255;

float scale_value(uint32_t bits) {
  if (bits == kScaleNan) return kNan;
  return bits == 0 ? 0x1p-127f : float_of(bits << 23);
}

uint32_t scale_bits(float value) {
  if (is_nan(value) || value <= 0 || value == kInfinity) return kScaleNan;
  const uint32_t bits = bits_of(value);
  if (bits >> 23 == 0) return value < 0x1.8p-127f ? 0 : 1;  // denormal: 2^-127 or, from halfway to it on, 2^-126
  return (bits >> 23) + (bits >> 22 & 1u);
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
  CHECK(!is_packed(t), "a packed element is four numbers");
  if (const FloatFormat* format = format_of(t)) return decode(*format, word);
  switch (t) {
    case DType::fp32:
      return float_of(word);
    case DType::tf32:
      return round_to_tf32(float_of(word));
    case DType::fp8_e8m0:
      return scale_value(word & 0xff);
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
    default:
      break;
  }
  CHECK(false, "unknown dtype");
}

uint64_t from_fp32(DType t, float value) {
  CHECK(!is_packed(t), "a packed element is four numbers");
  if (const FloatFormat* format = format_of(t)) return encode(*format, value);
  switch (t) {
    case DType::fp32:
      return bits_of(value);
    case DType::tf32:
      return bits_of(round_to_tf32(value));
    case DType::fp8_e8m0:
      return scale_bits(value);
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
    default:
      break;
  }
  CHECK(false, "unknown dtype");
}

uint64_t from_fp32_stochastic(DType t, float value, uint32_t random) {
  const FloatFormat* format = format_of(t);
  return format && !is_packed(t) ? encode_stochastic(*format, value, random) : from_fp32(t, value);
}

std::array<float, 4> unpack(DType t, uint32_t bits) {
  CHECK(is_packed(t), "four numbers lie in a packed element");
  const int width = static_cast<int>(dtype_bytes(t)) * 2;
  std::array<float, 4> values{};
  for (int i = 0; i < 4; ++i) values[static_cast<size_t>(i)] = decode(*format_of(t), bits >> (i * width));
  return values;
}

uint32_t pack(DType t, const std::array<float, 4>& values) {
  CHECK(is_packed(t), "four numbers lie in a packed element");
  const int width = static_cast<int>(dtype_bytes(t)) * 2;
  uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) bits |= encode(*format_of(t), values[static_cast<size_t>(i)]) << (i * width);
  return bits;
}

}  // namespace presil::numerics
