// Fractions of a rate or a speed in 32 bits after the point; private to this room.
#pragma once
#include <cstdint>

#include "base/time.h"

namespace presil::chip {

inline constexpr uint64_t kFull = uint64_t{1} << 32;  // one

// At most one; rounded down.
inline uint64_t fraction(uint64_t part, uint64_t whole) {
  if (part >= whole) return kFull;
  if (whole == kFull) return part;
  if (part < kFull) return (part << 32) / whole;
  return static_cast<uint64_t>((static_cast<unsigned __int128>(part) << 32) / whole);
}
// What is done after `elapsed`; rounded down.
inline Time progress(Time elapsed, uint64_t speed) {
  if (speed == kFull) return elapsed;
  return static_cast<Time>((static_cast<unsigned __int128>(elapsed) * speed) >> 32);
}
// How long `work` takes; rounded up.
inline Time time_for(Time work, uint64_t speed) {
  if (speed == kFull) return work;
  if (static_cast<uint64_t>(work) < kFull - 1) {
    return static_cast<Time>(((static_cast<uint64_t>(work) << 32) + speed - 1) / speed);
  }
  unsigned __int128 time = ((static_cast<unsigned __int128>(work) << 32) + speed - 1) / speed;
  return time > kTimeMax ? kTimeMax : static_cast<Time>(time);
}
// One of `count` equal parts, as a speed.
struct Part {
  uint64_t count = 0, speed = 0, rest = 0;  // kFull = count x speed + rest
  static Part of(uint64_t count) { return count == 0 ? Part{} : Part{count, kFull / count, kFull % count}; }
};
// time_for(work, part.speed) without a division:
//   work x kFull / speed = work x count + (work x count x rest) / (kFull - rest).
// For up to 2^58 / count, that is more than a second for 64.
inline Time time_for(Time work, const Part& part) {
  const uint64_t whole = static_cast<uint64_t>(work) * part.count;
  if (part.rest == 0) return static_cast<Time>(whole);
  const uint64_t more = whole * part.rest, by = kFull - part.rest;
  uint64_t times = more >> 32, left = (more & (kFull - 1)) + times * part.rest;
  for (; left >= by; left -= by) ++times;
  return static_cast<Time>(whole + times + (left > 0));
}
inline uint64_t scaled(uint64_t rate, uint64_t speed) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(rate) * speed) >> 32);
}

}  // namespace presil::chip
