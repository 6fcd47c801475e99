#include "numerics/mx.h"

#include <algorithm>

#include "base/check.h"
#include "numerics/convert.h"
#include "numerics/float_bits.h"

namespace presil::numerics {
namespace {

// Of the largest number, and that number.
struct Range {
  int exponent;
  float largest;
};
Range range_of(DType packed) {
  CHECK(packed == DType::fp8_e4m3fn_x4 || packed == DType::fp8_e5m2_x4, "a type that numbers are quantized to");
  return packed == DType::fp8_e4m3fn_x4 ? Range{8, 448.0f} : Range{15, 57344.0f};
}

}  // namespace

uint8_t mx_scale(DType packed, float largest, MxScale rule) {
  const auto field = static_cast<int>((bits_of(largest) & ~kSignBit) >> 23);
  const int emax = range_of(packed).exponent - (rule == MxScale::roomy ? 1 : 0);
  return static_cast<uint8_t>(std::max(0, field - emax));
}

uint32_t mx_pack(DType packed, const std::array<float, 4>& values, uint8_t scale, MxScale rule) {
  // A power of two from 2^-121 to 2^127: products of it with numbers that a result can show are exact.
  const float inverse = power_of_two(127 - scale);
  const float most = range_of(packed).largest;
  std::array<float, 4> quotients{};
  for (size_t q = 0; q < 4; ++q) {
    float x = values[q] * inverse;
    if (rule == MxScale::tight && !is_nan(x)) x = std::clamp(x, -most, most);
    quotients[q] = x;
  }
  return pack(packed, quotients);
}

std::array<float, 4> mx_unpack(DType packed, uint32_t element, uint8_t scale) {
  const float factor = to_fp32(DType::fp8_e8m0, scale);
  std::array<float, 4> values = unpack(packed, element);
  for (float& x : values) x = canonical(x * factor);
  return values;
}

}  // namespace presil::numerics
