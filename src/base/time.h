// Simulated time: integer femtoseconds. A duration given in cycles of a clock is converted once, rounding up; starts
// are not aligned to clock edges (docs/model.md, "Time").
#pragma once
#include <cstdint>

#include "base/check.h"

namespace presil {

using Time = int64_t;  // femtoseconds since the start of the run; durations too

inline constexpr Time kFemtosecondsPerSecond = 1'000'000'000'000'000;
inline constexpr Time kNanosecond = 1'000'000;
inline constexpr Time kTimeMax = INT64_MAX / 4;

// ceil(amount * 1 s / rate). Rates are hertz or bytes per second; amounts cycles or bytes.
inline Time duration_up(uint64_t amount, uint64_t rate_per_second) {
  CHECK(rate_per_second > 0, "a rate is positive");
  unsigned __int128 product = static_cast<unsigned __int128>(amount) * kFemtosecondsPerSecond;
  return static_cast<Time>((product + rate_per_second - 1) / rate_per_second);
}

inline double to_seconds(Time t) { return static_cast<double>(t) * 1e-15; }

}  // namespace presil
