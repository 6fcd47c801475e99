// Is every part of every job done exactly once, whoever helps?
#include "chip/team.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace presil::chip {
namespace {

TEST(Team, DoesEveryPartOnceWithAnyNumberOfHelpers) {
  for (size_t helpers : {0, 1, 3}) {
    Team team;
    std::vector<std::thread> threads;
    for (size_t h = 0; h < helpers; ++h) threads.emplace_back([&] { team.help(); });
    for (uint32_t job = 0; job < 2000; ++job) {
      const uint32_t parts = 1 + job % 7;
      std::vector<uint32_t> done(parts);
      team.share(parts, [&](uint32_t part) { ++done[part]; });
      ASSERT_EQ(done, std::vector<uint32_t>(parts, 1)) << "job " << job;
    }
    team.close();
    for (std::thread& t : threads) t.join();
    EXPECT_FALSE(team.has_helpers());
  }
}

TEST(Team, AHelperThatComesLateOrTooLateReturns) {
  Team team;
  uint32_t sum = 0;
  team.share(3, [&](uint32_t part) { sum += part; });
  team.close();
  std::thread([&] { team.help(); }).join();
  EXPECT_EQ(sum, 3u);
}

}  // namespace
}  // namespace presil::chip
