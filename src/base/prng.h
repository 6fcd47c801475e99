// Seeded integer generator (splitmix64, Steele et al. 2014): the same stream on every machine and library.
#pragma once
#include <cstdint>

namespace presil {

class Prng {
 public:
  explicit Prng(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  // Uniform in [0, bound); bound > 0.
  uint64_t below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low + 1)));
  }
  // Uniform in [0, 1), 24 bits: exact in float.
  float unit() { return static_cast<float>(next() >> 40) * 0x1p-24f; }
  // Approximately normal: sum of twelve uniforms less six (exact arithmetic, so the same everywhere).
  float normal() {
    float sum = -6.0f;
    for (int i = 0; i < 12; ++i) sum += unit();
    return sum;
  }

 private:
  uint64_t state_;
};

}  // namespace presil
