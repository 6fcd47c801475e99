// Does every instruction wait for exactly the unfinished earlier ones that it conflicts with, whatever order the ready
// ones are taken in, and is the oldest ready one taken first?
#include "chip/scoreboard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/prng.h"

namespace presil::chip {
namespace {

Box random_box(Prng& random) {
  Box b;
  b.memory = static_cast<isa::Memory>(random.below(4));
  b.writes = random.below(2) == 0;
  if (b.memory == isa::Memory::none) return b;
  b.partition = static_cast<uint32_t>(random.below(4)) * 32;
  b.partition_end = b.partition + 32 * static_cast<uint32_t>(1 + random.below(2));
  b.begin = static_cast<int64_t>(random.below(40)) * 8;
  b.end = b.begin + static_cast<int64_t>(1 + random.below(4)) * 8;
  return b;
}

bool conflict(const Box& a, const Box& b) {
  if (a.memory != b.memory || (!a.writes && !b.writes)) return false;
  for (uint32_t p = a.partition; p < a.partition_end; ++p) {
    for (int64_t byte = a.begin; byte < a.end; ++byte) {
      if (b.partition <= p && p < b.partition_end && b.begin <= byte && byte < b.end) return true;
    }
  }
  return false;
}

bool conflict(const Boxes& a, const Boxes& b) {
  return std::any_of(a.all().begin(), a.all().end(), [&](const Box& x) {
    return std::any_of(b.all().begin(), b.all().end(), [&](const Box& y) { return conflict(x, y); });
  });
}

// What the board must do, instruction by instruction.
struct Entered {
  Boxes boxes;
  uint32_t slot = 0;
  bool taken = false, finished = false;
};

bool waits(const std::vector<Entered>& all, size_t i) {
  for (size_t j = 0; j < i; ++j) {
    if (!all[j].finished && conflict(all[j].boxes, all[i].boxes)) return true;
  }
  return false;
}

TEST(Scoreboard, TakesTheOldestThatWaitsForNothing) {
  Prng random(1);
  Scoreboard board;
  std::vector<Entered> all;
  std::vector<size_t> running;
  size_t first = 0, together = 0;  // the oldest unfinished instruction; most at once
  while (all.size() < 3000 || first < all.size()) {
    while (first < all.size() && all[first].finished) ++first;
    ASSERT_EQ(board.full(), all.size() - first == Scoreboard::kSlots);
    ASSERT_EQ(board.empty(), first == all.size());
    const uint64_t choice = random.below(3);
    if (choice == 0 && !board.full() && all.size() < 3000) {
      Entered& e = all.emplace_back();
      for (uint64_t k = 1 + random.below(3); k > 0; --k) e.boxes.add(random_box(random));
      e.slot = board.enter(e.boxes.all());
      continue;
    }
    size_t expected = first;
    while (expected < all.size() && (all[expected].taken || waits(all, expected))) ++expected;
    ASSERT_EQ(board.ready(), expected < all.size());
    if (choice == 1 && board.ready()) {
      ASSERT_EQ(board.take(), all[expected].slot);
      all[expected].taken = true;
      running.push_back(expected);
      together = std::max(together, running.size());
    } else if (!running.empty()) {
      std::swap(running[random.below(running.size())], running.back());
      Entered& done = all[running.back()];
      running.pop_back();
      board.finish(done.slot);
      done.finished = true;
    }
  }
  EXPECT_GT(together, 8u);
}

TEST(Scoreboard, ReadersDoNotWaitForEachOther) {
  Scoreboard board;
  const Box write{isa::Memory::sbuf, true, 0, 128, 0, 64}, read{isa::Memory::sbuf, false, 64, 128, 60, 100};
  const uint32_t writer = board.enter({&write, 1}), a = board.enter({&read, 1}), b = board.enter({&read, 1});
  const uint32_t again = board.enter({&write, 1});
  EXPECT_EQ(board.take(), writer);
  EXPECT_FALSE(board.ready());
  board.finish(writer);
  EXPECT_EQ(board.take(), a);
  EXPECT_EQ(board.take(), b);
  board.finish(b);
  EXPECT_FALSE(board.ready());
  board.finish(a);
  EXPECT_EQ(board.take(), again);
}

}  // namespace
}  // namespace presil::chip
