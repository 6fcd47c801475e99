#include "numerics/random.h"

namespace presil::numerics {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  constexpr uint64_t kMultiply0 = 0xd2511f53, kMultiply1 = 0xcd9e8d57;
  constexpr uint32_t kWeyl0 = 0x9e3779b9, kWeyl1 = 0xbb67ae85;
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = kMultiply0 * counter[0], b = kMultiply1 * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

uint32_t random_word(uint64_t seed, uint64_t stream, uint64_t index) {
  auto low = [](uint64_t x) { return static_cast<uint32_t>(x); };
  auto high = [](uint64_t x) { return static_cast<uint32_t>(x >> 32); };
  const uint64_t block = index / 4;
  return philox4x32({low(block), high(block), low(stream), high(stream)}, {low(seed), high(seed)})[index % 4];
}

uint32_t next_word(Xorwow& s) {
  const uint32_t t = s[0] ^ (s[0] >> 2);
  s = {s[1], s[2], s[3], s[4], s[4] ^ (s[4] << 4) ^ t ^ (t << 1), s[5] + 362437};
  return s[4] + s[5];
}

}  // namespace presil::numerics
