#include "chip/layer_clock.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/prng.h"

namespace presil::chip {
namespace {

using Times = std::vector<Time>;

TEST(LayerClock, TheBusiestEngineDecides) {
  LayerClock clock(3, {1, 0});  // queue 1 is the busiest
  clock.occupy(0, 0, 0, 100);
  clock.advance(20, LayerClock::kNone);
  clock.occupy(1, 1, 20, 50);
  clock.advance(130, LayerClock::kNone);
  clock.occupy(0, 2, 130, 140);
  clock.advance(150, LayerClock::kNone);
  EXPECT_EQ(clock.finish(), (Times{20 + 50, 30, 30 + 10 + 10}));
}

TEST(LayerClock, TransfersCountWhenNoEngineWorks) {
  LayerClock clock(2, {0});
  clock.occupy(0, 0, 0, 10);
  clock.advance(60, 1);
  clock.advance(70, LayerClock::kNone);
  EXPECT_EQ(clock.finish(), (Times{10 + 10, 50}));
}

// The tensor engine announces an instruction before its time.
TEST(LayerClock, AnAnnouncedInstructionTakesOverWhenItStarts) {
  LayerClock clock(3, {0, 1});
  clock.occupy(0, 0, 0, 30);
  clock.occupy(1, 2, 0, 100);
  clock.occupy(0, 1, 50, 60);
  clock.advance(100, LayerClock::kNone);
  EXPECT_EQ(clock.finish(), (Times{30, 10, 20 + 40}));
}

TEST(LayerClock, NothingIsLostAndNothingCountedTwice) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Prng prng(seed);
    LayerClock clock(5, {2, 0, 1});
    std::vector<Time> free(3);
    Time now = 0;
    for (int k = 0; k < 100; ++k) {
      now += static_cast<Time>(prng.below(20));
      clock.advance(now, prng.below(2) ? static_cast<uint32_t>(prng.below(5)) : LayerClock::kNone);
      auto q = static_cast<uint32_t>(prng.below(3));
      if (free[q] > now) continue;
      free[q] = now + static_cast<Time>(prng.below(40));
      clock.occupy(q, static_cast<uint32_t>(prng.below(5)), now, free[q]);
    }
    clock.advance(now + 100, LayerClock::kNone);
    Times times = clock.finish();
    EXPECT_EQ(std::accumulate(times.begin(), times.end(), Time{0}), now + 100) << seed;
  }
}

}  // namespace
}  // namespace presil::chip
