#include "numerics/power.h"

#include <cmath>

#include "numerics/activation_tables.inc"
#include "numerics/float_bits.h"

namespace presil::numerics {
namespace {

template <size_t N>
double polynomial(const double (&coefficients)[N], double x) {
  double sum = coefficients[N - 1];
  for (size_t i = N - 1; i-- > 0;) sum = std::fma(sum, x, coefficients[i]);
  return sum;
}

double double_power_of_two(int exponent) { return std::bit_cast<double>(static_cast<uint64_t>(exponent + 1023) << 52); }

// log2 of a positive finite value, as a double.
double log2_of(float value) {
  double x = value;  // normal in double, whatever it was in fp32
  const auto bits = std::bit_cast<uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & ((1ull << 52) - 1)) | 1023ull << 52);
  if (m > static_cast<double>(kRootHalf) * 2.0) {
    m *= 0.5;
    exponent += 1;
  }
  const double s = (m - 1.0) / (m + 1.0);
  return std::fma(s, polynomial(kPowerLog2, s * s), static_cast<double>(exponent));
}

// 2^x as fp32, overflowing to infinity and 0.
float exp2_of(double x) {
  if (x >= 128.0) return kInfinity;
  if (x <= -150.0) return 0.0f;
  const double k = (x + 0x1.8p52) - 0x1.8p52;
  return static_cast<float>(polynomial(kPowerExp2, x - k) * double_power_of_two(static_cast<int>(k)));
}

float integer_power(float a, int n) {
  const float x2 = a * a, x4 = x2 * x2;
  switch (n) {
    case 0:
      return 1.0f;
    case 1:
      return a;
    case 2:
      return x2;
    case 3:
      return x2 * a;
    case 4:
      return x4;
    case 5:
      return x4 * a;
    case 6:
      return x4 * x2;
    case 7:
      return x4 * x2 * a;
    default:
      return x4 * x4;
  }
}

bool is_integer(float b) {
  const double wide = b;
  return std::fabs(b) >= 0x1p23f || (wide + 0x1.8p52) - 0x1.8p52 == wide;
}

// Floats from 2^24 on are even.
bool is_odd(float b) {
  if (std::fabs(b) >= 0x1p24f) return false;
  return (static_cast<int32_t>(b) & 1) != 0;
}

}  // namespace

float power(float a, float b) {
  if (is_nan(a) || is_nan(b)) return kNan;
  if (std::fabs(b) <= 8.0f && is_integer(b)) {
    const float result = integer_power(a, static_cast<int>(std::fabs(b)));
    return canonical(b < 0.0f ? 1.0f / result : result);
  }
  if (b == 0.5f) return canonical(std::sqrt(a));
  if (b == -0.5f) return canonical(1.0f / std::sqrt(a));
  const float magnitude = std::fabs(a);
  if (std::fabs(b) == kInfinity) {
    if (magnitude == 1.0f) return 1.0f;
    return (magnitude > 1.0f) == (b > 0.0f) ? kInfinity : 0.0f;
  }
  const bool negative = std::signbit(a);
  const bool integral = is_integer(b);
  float result = 0.0f;
  if (magnitude == 0.0f || magnitude == kInfinity) {
    result = (magnitude == 0.0f) == (b > 0.0f) ? 0.0f : kInfinity;
  } else {
    if (negative && !integral) return kNan;
    result = exp2_of(static_cast<double>(b) * log2_of(magnitude));
  }
  return negative && integral && is_odd(b) ? -result : result;
}

}  // namespace presil::numerics
