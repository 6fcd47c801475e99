#include "numerics/fma.h"

#include <cmath>

#include "base/check.h"

namespace presil::numerics {

bool has_fma() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2");
#else
  return true;  // part of the base instruction set
#endif
}

void require_fma() {
  CHECK(has_fma(), "this processor has no fused multiply-add; results are defined with it");
  // (1 + 2^-12)^2 - (1 + 2^-11) is exactly 2^-24; with two roundings it would be 0.
  volatile float a = 1.0f + 0x1p-12f, c = -(1.0f + 0x1p-11f);
  CHECK(std::fma(a, a, c) == 0x1p-24f, "std::fma rounds once");
}

}  // namespace presil::numerics
