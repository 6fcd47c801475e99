#include "trace/save.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/prng.h"

namespace presil::trace {
namespace {

Trace random_trace(uint64_t seed, size_t events) {
  Prng prng(seed);
  Trace t;
  t.lanes({{"core0.tensor", Lane::Kind::engine}, {"core0.dma0", Lane::Kind::dma}});
  Time now = 0;
  for (size_t k = 0; k < events; ++k) {
    Event e;
    e.lane = static_cast<uint32_t>(prng.below(2));
    e.instruction = prng.below(5) == 0 ? kNoInstruction : static_cast<uint32_t>(prng.below(1000));
    e.source = prng.below(7) == 0 ? UINT32_MAX : static_cast<uint32_t>(prng.below(50));
    now += static_cast<Time>(prng.below(1'000'000'000));
    e.start = prng.below(4) ? now : now / 2;  // not sorted
    e.busy_until = e.start + static_cast<Time>(prng.below(1 << 30));
    e.end = e.start + static_cast<Time>(prng.below(1 << 30));
    e.release = static_cast<Release>(prng.below(9));
    if (k > 0 && prng.below(3)) e.cause = static_cast<uint32_t>(prng.below(k));
    e.amount = prng.next() >> prng.below(64);
    e.dma_queue = prng.below(2) ? kNoDmaQueue : static_cast<uint8_t>(prng.below(16));
    e.semaphore = prng.below(2) ? kNoSemaphore : static_cast<uint16_t>(prng.below(256));
    e.setup = prng.below(2) ? 0 : e.start / 2;
    if (k > 0 && prng.below(3)) e.trigger = static_cast<uint32_t>(prng.below(k));
    e.alone = static_cast<Time>(prng.below(1 << 30));
    t.event(e);
  }
  return t;
}

bool equal(const Event& a, const Event& b) {
  return a.lane == b.lane && a.instruction == b.instruction && a.source == b.source && a.start == b.start &&
         a.busy_until == b.busy_until && a.end == b.end && a.release == b.release && a.cause == b.cause &&
         a.amount == b.amount && a.dma_queue == b.dma_queue && a.semaphore == b.semaphore && a.setup == b.setup &&
         a.trigger == b.trigger && a.alone == b.alone;
}

// Every field differs from its default and from its neighbours, so that none can be forgotten or exchanged.
struct Different {
  uint64_t next = 1;
  void field(std::string& s) { s = "text " + std::to_string(next++); }
  template <class T>
  void field(std::vector<T>& v) {
    v.resize(2);
    for (T& x : v) field(x);
  }
  template <class T>
  void field(T& x) {
    if constexpr (std::is_class_v<T>) {
      each_field(*this, x);
    } else {
      x = static_cast<T>(next++ % 250 + 1);
    }
  }
  template <class... T>
  void operator()(T&... fields) {
    (field(fields), ...);
  }
};

TEST(TraceSave, ReadsBackWhatTheRunWasAbout) {
  Trace t = random_trace(3, 10);
  Different{}.field(t.about);
  Result<Trace> back = load(save(t), "x");
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->about, t.about);
  EXPECT_NE(back->about, About{});
}

TEST(TraceSave, ReadsBackWhatItWrote) {
  for (size_t events : {0u, 1u, 1000u}) {
    Trace t = random_trace(events, events);
    Result<Trace> back = load(save(t), "x");
    ASSERT_TRUE(back) << back.error().text();
    ASSERT_EQ(back->events.size(), events);
    for (size_t k = 0; k < events; ++k) ASSERT_TRUE(equal(back->events[k], t.events[k])) << k;
    ASSERT_EQ(back->lane_list.size(), 2u);
    EXPECT_EQ(back->lane_list[1].name, "core0.dma0");
    EXPECT_EQ(back->lane_list[1].kind, Lane::Kind::dma);
    EXPECT_EQ(save(*back), save(t));
  }
}

TEST(TraceSave, RefusesWhatIsNotOne) {
  auto message = [](std::vector<std::byte> bytes) { return load(bytes, "run.trace").error().text(); };
  std::vector<std::byte> good = save(random_trace(1, 100));
  EXPECT_EQ(message({}), "run.trace: not a saved trace");
  std::vector<std::byte> future = good;
  future[8] = std::byte{9};
  EXPECT_EQ(message(future), "run.trace: trace of version 9, expected 4");
  std::vector<std::byte> greedy = good;
  greedy[22] = std::byte{1};
  EXPECT_EQ(message(greedy), "run.trace: claims " +
                                 std::to_string((uint64_t{1} << 48) +
                                                [&] {
                                                  uint64_t claimed = 0;
                                                  std::memcpy(&claimed, good.data() + 16, 8);
                                                  return claimed;
                                                }()) +
                                 " bytes in " + std::to_string(good.size() - 32));
  std::vector<std::byte> short_one(good.begin(), good.end() - 1);
  EXPECT_EQ(message(short_one), "run.trace: the trace is damaged");
}

// A bit that zstd ignores may change; what is read is then what was written.
TEST(TraceSave, DamageIsAnErrorAndNeverACrash) {
  int refused = 0;
  std::vector<std::byte> good = save(random_trace(2, 200));
  Prng prng(5);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> bad = good;
    bad[prng.below(bad.size())] ^= static_cast<std::byte>(1 + prng.below(255));
    if (prng.below(4) == 0) bad.resize(prng.below(bad.size()));
    Result<Trace> read = load(bad, "x");
    refused += !read;
    if (read) {
      EXPECT_EQ(save(*read), good);
    }
  }
  EXPECT_GT(refused, 1900);
}

}  // namespace
}  // namespace presil::trace
