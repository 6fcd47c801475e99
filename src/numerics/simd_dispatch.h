// Which copy of a SIMD kernel this processor runs. Highway's own dispatch comes with a library whose start measures the
// resolution of timers for 2 ms, a third of what a small command takes. Used inside HWY_ONCE, after highway.h:
//
//   SIMD_EXPORT(multiply);                               // in the namespace around HWY_NAMESPACE
//   void matmul(...) { SIMD_DISPATCH(multiply)(...); }
#pragma once
#include <cstddef>

namespace presil::numerics {

enum class SimdLevel : size_t { baseline, avx2, avx512 };

// Of this processor; what Highway demands for HWY_AVX2 and HWY_AVX3.
inline SimdLevel simd_level() {
#if defined(__x86_64__)
  static const SimdLevel level = [] {
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512cd");
    return avx2 && avx512 ? SimdLevel::avx512 : avx2 ? SimdLevel::avx2 : SimdLevel::baseline;
  }();
  return level;
#else
  return SimdLevel::baseline;
#endif
}

}  // namespace presil::numerics

#define SIMD_EXPORT(name)                                                                                              \
  constexpr decltype(&HWY_STATIC_DISPATCH(name)) name##_copies[] = {&HWY_STATIC_DISPATCH(name), HWY_CHOOSE_AVX2(name), \
                                                                    HWY_CHOOSE_AVX3(name)}
#define SIMD_DISPATCH(name) (*name##_copies[static_cast<size_t>(::presil::numerics::simd_level())])
