// Range reduction and Taylor series, summed from the smallest term on.
#include "numerics/real_functions.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace presil::numerics::real {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLn2High = 0x1.62e42fefap-1, kLn2Low = 0x1.cf79abc9e3b3ap-40;
constexpr double kPiHigh = 0x1.921fb544p+1, kPiLow = 0x1.0b4611a626331p-33;
constexpr double kPi = 0x1.921fb54442d18p+1;

double times_power_of_two(double x, int64_t k) {
  while (k > 1000) x *= 0x1p1000, k -= 1000;
  while (k < -1000) x *= 0x1p-1000, k += 1000;
  return x * std::bit_cast<double>(static_cast<uint64_t>(k + 1023) << 52);
}

// sum of r^(first + 2 i) / (first + 2 i)! with alternating signs: sine (first = 1) and cosine (first = 0), |r| <= pi/2.
double circular(double r, int first) {
  double sum = 0;
  for (int n = first + 26; n >= first; n -= 2) {
    // Horner in r^2: each round divides by the two factors that the next power adds.
    sum = 1.0 - sum * (r * r / ((n + 1) * (n + 2)));
  }
  return first == 1 ? r * sum : sum;
}

double turned(double x, double (*part)(double r)) {
  if (!(std::fabs(x) < 1e8)) return kNan;
  const double k = std::nearbyint(x / kPi), r = (x - k * kPiHigh) - k * kPiLow;
  return std::fmod(std::fabs(k), 2.0) == 1.0 ? -part(r) : part(r);
}

}  // namespace

double exp(double x) {
  if (std::isnan(x)) return x;
  if (x > 710) return kInfinity;
  if (x < -746) return 0;
  const double k = std::nearbyint(x * 1.4426950408889634), r = (x - k * kLn2High) - k * kLn2Low;
  double sum = 1;
  for (int n = 17; n >= 1; --n) sum = 1.0 + sum * r / n;
  return times_power_of_two(sum, static_cast<int64_t>(k));
}

double log(double x) {
  if (std::isnan(x) || x < 0) return kNan;
  if (x == 0) return -kInfinity;
  if (std::isinf(x)) return x;
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752) m *= 2, --exponent;
  const double s = (m - 1) / (m + 1), square = s * s;
  double sum = 0;
  for (int n = 41; n >= 1; n -= 2) sum = sum * square + 1.0 / n;
  return exponent * kLn2High + (2 * s * sum + exponent * kLn2Low);
}

double sin(double x) {
  return turned(x, [](double r) { return circular(r, 1); });
}
double cos(double x) {
  return turned(x, [](double r) { return circular(r, 0); });
}

double atan(double x) {
  if (std::isnan(x)) return x;
  const double y = std::fabs(x);
  if (y > 1) return std::copysign(kPi / 2 - atan(1 / y), x);
  // Half the angle twice, so that the series is short.
  double t = y;
  for (int i = 0; i < 2; ++i) t = t / (1 + std::sqrt(1 + t * t));
  double sum = 0;
  for (int n = 41; n >= 1; n -= 2) sum = 1.0 / n - sum * (t * t);
  return std::copysign(4 * t * sum, x);
}

double tanh(double x) {
  const double y = std::fabs(x);
  if (std::isnan(x)) return x;
  if (y > 30) return std::copysign(1.0, x);
  if (y < 0.1) {  // through the sine's series with positive signs: sinh / cosh
    double sinh = 1, cosh = 1;
    for (int n = 16; n >= 2; n -= 2) cosh = 1 + cosh * (y * y) / (n * (n - 1));
    for (int n = 17; n >= 3; n -= 2) sinh = 1 + sinh * (y * y) / (n * (n - 1));
    return x * sinh / cosh;
  }
  const double e = exp(2 * y);
  return std::copysign(1 - 2 / (e + 1), x);
}

double erf(double x) {
  const double y = std::fabs(x);
  if (std::isnan(x)) return x;
  if (y > 6) return std::copysign(1.0, x);
  constexpr double kTwoOverRootPi = 1.1283791670955126;
  if (y < 3) {  // e^(-x^2) sum of 2^n x^(2n+1) / (1 3 5 ..): all terms positive
    double sum = 1;
    for (int n = 60; n >= 1; --n) sum = 1 + sum * 2 * y * y / (2 * n + 1);
    return std::copysign(kTwoOverRootPi * y * sum * exp(-y * y), x);
  }
  double fraction = y;  // continued fraction of erfc
  for (int n = 60; n >= 1; --n) fraction = y + n / 2.0 / fraction;
  return std::copysign(1 - exp(-y * y) / fraction * kTwoOverRootPi / 2, x);
}

double power(double a, double b) {
  if (b == std::nearbyint(b) && std::fabs(b) <= 64) {
    double result = 1;
    for (int n = static_cast<int>(std::fabs(b)); n > 0; --n) result *= a;
    return b < 0 ? 1 / result : result;
  }
  return a == 0 ? 0 : exp(b * log(a));
}

}  // namespace presil::numerics::real
