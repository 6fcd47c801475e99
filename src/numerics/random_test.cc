#include "numerics/random.h"

#include <gtest/gtest.h>

namespace presil::numerics {
namespace {

// Known answers of the authors' library (Random123, kat_vectors).
TEST(Random, PhiloxGivesItsAuthorsNumbers) {
  using Block = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({}, {}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, AWordIsAFunctionOfSeedStreamAndIndex) {
  EXPECT_EQ(random_word(0, 0, 0), 0x6627e8d5u);
  EXPECT_EQ(random_word(0, 0, 3), 0x9b00dbd8u);
  const uint64_t ones = ~uint64_t{0};
  EXPECT_EQ(random_word(ones, ones, ones),
            philox4x32({0xffffffff, 0x3fffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff})[3]);
  EXPECT_NE(random_word(1, 0, 0), random_word(0, 0, 0));
  EXPECT_NE(random_word(0, 1, 0), random_word(0, 0, 0));
}

// The sequence written out from Marsaglia's recurrence with his seeds.
TEST(Random, XorwowFollowsItsRecurrence) {
  Xorwow state = {123456789, 362436069, 521288629, 88675123, 5783321, 6615241};
  uint32_t x = 123456789, y = 362436069, z = 521288629, w = 88675123, v = 5783321, d = 6615241;
  for (int i = 0; i < 1000; ++i) {
    const uint32_t t = x ^ (x >> 2);
    x = y, y = z, z = w, w = v;
    v = (v ^ (v << 4)) ^ (t ^ (t << 1));
    ASSERT_EQ(next_word(state), (d += 362437) + v);
  }
  EXPECT_EQ(state, (Xorwow{x, y, z, w, v, d}));
}

}  // namespace
}  // namespace presil::numerics
