// Is the quick way to the end of an even share the exact one?
#include "chip/fixed_point.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace presil::chip {
namespace {

TEST(FixedPoint, TimeAtAPartIsThatAtItsSpeed) {
  Prng random(1);
  for (uint64_t count = 1; count <= 64; ++count) {
    const Part part = Part::of(count);
    ASSERT_EQ(part.speed * count + part.rest, kFull);
    for (int k = 0; k < 2000; ++k) {
      const auto work = static_cast<Time>(random.next() >> (12 + random.below(52)));
      ASSERT_EQ(time_for(work, part), time_for(work, part.speed)) << work << " at 1 / " << count;
    }
  }
  EXPECT_EQ(time_for(0, Part::of(3)), 0);
  EXPECT_EQ(time_for(1, Part::of(3)), 4);  // 1 / 3 is rounded down, the time up
}

}  // namespace
}  // namespace presil::chip
