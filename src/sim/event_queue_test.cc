#include "sim/event_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "base/prng.h"

namespace presil::sim {
namespace {

TEST(EventQueue, OrdersByTimeThenPhaseThenSequence) {
  EventQueue<int> queue;
  queue.push(5, 1, 0);
  queue.push(5, 0, 1);
  queue.push(5, 0, 2);
  queue.push(4, 7, 3);
  std::vector<int> seen;
  for (int e; queue.pop(&e);) seen.push_back(e);
  EXPECT_EQ(seen, (std::vector<int>{3, 1, 2, 0}));
  EXPECT_EQ(queue.status(), Status::drained);
  EXPECT_EQ(queue.now(), 5);
}

// Against a sort, over random streams that push while popping.
TEST(EventQueue, EqualsASortOfEverythingPushed) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Prng prng(seed);
    EventQueue<int> queue;
    using Key = std::tuple<Time, int, int>;
    std::vector<Key> pushed, popped;
    int sequence = 0;
    auto push = [&](Time from) {
      Time time = from + prng.between(0, 20);
      int phase = static_cast<int>(prng.below(3));
      queue.push(time, static_cast<uint8_t>(phase), sequence);
      pushed.emplace_back(time, phase, sequence++);
    };
    for (int i = 0; i < 20; ++i) push(0);
    for (int e; queue.pop(&e);) {
      popped.push_back(pushed[static_cast<size_t>(e)]);
      for (uint64_t n = prng.below(3); n > 0 && sequence < 500; --n) push(queue.now() + 1);
    }
    std::sort(pushed.begin(), pushed.end());
    EXPECT_EQ(popped, pushed) << "seed " << seed;
  }
}

TEST(EventQueue, LimitsAreExactAndDistinct) {
  EventQueue<int> by_time(Limits{.time = 10});
  by_time.push(10, 0, 1);
  by_time.push(11, 0, 2);
  int e = 0;
  EXPECT_TRUE(by_time.pop(&e));
  EXPECT_FALSE(by_time.pop(&e));
  EXPECT_EQ(by_time.status(), Status::time_limit);

  EventQueue<int> by_count(Limits{.events = 2});
  for (int i = 0; i < 3; ++i) by_count.push(i, 0, i);
  EXPECT_TRUE(by_count.pop(&e));
  EXPECT_TRUE(by_count.pop(&e));
  EXPECT_FALSE(by_count.pop(&e));
  EXPECT_EQ(by_count.status(), Status::event_limit);
}

TEST(EventQueue, AdvancesOnlyPastEventsThatWouldComeLater) {
  EventQueue<int> queue;
  queue.push(10, 1, 0);
  EXPECT_FALSE(queue.advance_if_next(10, 1));  // the pushed one is older
  EXPECT_FALSE(queue.advance_if_next(11, 0));
  EXPECT_TRUE(queue.advance_if_next(10, 0));
  EXPECT_EQ(queue.now(), 10);
}

TEST(EventQueue, StopsExactlyAtALimitOfEvents) {
  for (uint64_t limit : {uint64_t{0}, uint64_t{1}, kPollEvents - 1, kPollEvents, kPollEvents + 1, 3 * kPollEvents}) {
    EventQueue<int> queue({.events = limit});
    queue.push(0, 0, 0);
    for (int e; queue.pop(&e);) {
      queue.push(queue.now() + 1, 0, e);
      while (queue.advance_if_next(queue.now(), 0)) continue;
    }
    EXPECT_EQ(queue.handled(), limit);
    EXPECT_EQ(queue.status(), Status::event_limit);
  }
}

TEST(EventQueue, ACancelIsSeenWithinAFewEvents) {
  for (uint64_t at : {uint64_t{0}, uint64_t{1}, kPollEvents, 2 * kPollEvents + 5}) {
    Cancel cancel;
    EventQueue<int> queue({.cancel = &cancel});
    queue.push(0, 0, 0);
    if (at == 0) cancel.request();
    for (int e; queue.pop(&e);) {
      if (queue.handled() == at) cancel.request();
      queue.push(queue.now() + 1, 0, e);
    }
    EXPECT_EQ(queue.status(), Status::cancelled);
    EXPECT_GE(queue.handled(), at);
    EXPECT_LE(queue.handled(), at + kPollEvents);
  }
}

}  // namespace
}  // namespace presil::sim
