// Are planned and split transfers the same in time? Every event of random programs, on random chips.
#include "chip/dma.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "chip/core.h"
#include "chip/random_program.h"

namespace presil::chip {
namespace {

using namespace testing;
using Row = std::tuple<uint32_t, Time, Time, Time, uint64_t, uint8_t, uint32_t>;

struct Timed {
  std::vector<Row> rows;  // by lane, start, queue
  CoreResult result;
};

Timed timed(const isa::Executable& exe, const spec::ChipSpec& spec, bool plan) {
  Result<Loaded> loaded = load(exe, spec);
  EXPECT_TRUE(loaded) << loaded.error().text();
  trace::Trace trace;
  CoreOptions options;
  options.plan_transfers = plan;
  Timed t{{}, run_core(exe, *loaded, spec, options, &trace)};
  for (const trace::Event& e : trace.events) {
    t.rows.emplace_back(e.lane, e.start, e.busy_until, e.end, e.amount, e.dma_queue, e.instruction);
  }
  std::sort(t.rows.begin(), t.rows.end());
  return t;
}

spec::ChipSpec random_dma(uint64_t seed) {
  Prng prng(seed);
  spec::ChipSpec s = round_chip();
  s.dma.engines = static_cast<uint32_t>(1 + prng.below(6));
  s.dma.queues = static_cast<uint32_t>(3 + prng.below(3));
  s.dma.engine_bytes_per_s = 1'000'000'000 * (1 + prng.below(30));
  s.dma.queue_bytes_per_s = s.dma.engine_bytes_per_s * (1 + prng.below(4)) / 4;
  s.dma.transfer_floor = static_cast<Time>(prng.below(3) * prng.below(900)) * kNanosecond;
  s.dma.dispatch_per_descriptor = static_cast<Time>(prng.below(5)) * kNanosecond;
  s.dma.dispatch_max = 400 * kNanosecond;
  s.dma.hardware_generation = static_cast<Time>(prng.below(900)) * kNanosecond;
  s.dma.class_ratio = static_cast<uint32_t>(1 + prng.below(4));
  s.dma.descriptor = static_cast<Time>(prng.below(30)) * kNanosecond;
  s.hbm.bytes_per_s = s.dma.engine_bytes_per_s * s.dma.engines * (1 + prng.below(8)) / 4;
  return s;
}

TEST(Dma, PlannedAndSplitTransfersTakeTheSameTime) {
  uint64_t fewer = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    spec::ChipSpec spec = random_dma(seed);
    RandomOptions options;
    options.shares = spec.dma.engines;
    options.instructions = 150;
    options.ordered = seed % 5 == 0;
    options.classes = seed % 3 == 0;
    isa::Executable exe = random_program(seed, options).exe;
    if (seed % 2 == 0) {  // waits for whole transfers only
      for (isa::Program& p : exe.queues) {
        for (isa::Wait& w : p.waits) {
          if (w.semaphore >= isa::kEngineKindCount)
            w.value = (w.value + spec.dma.engines - 1) / spec.dma.engines * spec.dma.engines;
        }
      }
    }
    Timed planned = timed(exe, spec, true), split = timed(exe, spec, false);
    ASSERT_EQ(planned.rows, split.rows) << "seed " << seed;
    ASSERT_EQ(planned.result.elapsed, split.result.elapsed) << "seed " << seed;
    for (size_t e = 0; e < spec.dma.engines; ++e) {
      const DmaCounters &a = planned.result.counters.dma[e], &b = split.result.counters.dma[e];
      ASSERT_EQ(std::tie(a.transfers, a.shares, a.bytes, a.busy, a.waiting, a.idle, a.stretched),
                std::tie(b.transfers, b.shares, b.bytes, b.busy, b.waiting, b.idle, b.stretched))
          << "seed " << seed;
    }
    for (size_t q = 0; q < exe.queues.size(); ++q) {
      ASSERT_EQ(planned.result.counters.engines[q].waits, split.result.counters.engines[q].waits) << "seed " << seed;
    }
    fewer += planned.result.counters.events < split.result.counters.events;
  }
  EXPECT_GT(fewer, 50u);  // planning happens at all
}

// When the shares of transfers end on engine 0, by queue. All of 102,400 ns each if alone, first data after 700 ns;
// triggered by one engine each, at once.
std::vector<Time> ends_by_class(std::initializer_list<uint32_t> classes, spec::ChipSpec spec = round_chip()) {
  Assembler a;
  const int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 800);
  uint8_t queue = 0;
  for (uint32_t priority : classes) {
    const auto engine = static_cast<EngineKind>(isa::kEngineKindCount - 1 - queue);
    a.dma(engine, sbuf(128, queue * 8192, 800), hbm(x, 128 * 800), queue)
        .word(isa::slots::dma_copy::priority, priority);
    ++queue;
  }
  std::vector<Time> planned(queue), split(queue);
  for (bool plan : {true, false}) {
    for (const auto& [lane, start, busy_until, end, amount, of_queue, instruction] : timed(a.exe, spec, plan).rows) {
      if (lane == isa::kEngineKindCount) (plan ? planned : split)[of_queue] = end;
    }
  }
  EXPECT_EQ(planned, split);
  return planned;
}

// Two saturating queues: the one of the better class has its part of the engine exactly, to the rounding of a speed's
// 32 bits, and the other one the rest.
TEST(Dma, QueuesShareAnEngineByTheirClasses) {
  constexpr double kAlone = 102'400e-9, kStart = 700e-9;
  const auto expect = [](const std::vector<Time>& ends, std::vector<double> expected) {
    ASSERT_EQ(ends.size(), expected.size());
    for (size_t k = 0; k < ends.size(); ++k) EXPECT_NEAR(to_seconds(ends[k]), kStart + expected[k] * kAlone, 0.1e-9);
  };
  expect(ends_by_class({0, 0}), {2, 2});
  expect(ends_by_class({3, 3}), {2, 2});
  expect(ends_by_class({0, 1}), {3.0 / 2, 2});  // 2 to 1
  expect(ends_by_class({1, 0}), {2, 3.0 / 2});
  expect(ends_by_class({0, 2}), {5.0 / 4, 2});  // 4 to 1
  expect(ends_by_class({0, 3}), {9.0 / 8, 2});
  expect(ends_by_class({2, 3}), {3.0 / 2, 2});
  // 2, 1 and 1 of four parts, then halves.
  expect(ends_by_class({2, 3, 3}), {2, 3, 3});
  spec::ChipSpec spec = round_chip();
  spec.dma.class_ratio = 1;
  expect(ends_by_class({0, 3}, spec), {2, 2});
  spec.dma.class_ratio = 10;
  expect(ends_by_class({1, 2}, spec), {11.0 / 10, 2});
}

// What needs less than its part leaves the rest to the others, whatever its class.
TEST(Dma, WhatAClassLeavesGoesToTheOthers) {
  spec::ChipSpec spec = round_chip();
  spec.dma.queue_bytes_per_s = spec.dma.engine_bytes_per_s / 2;  // alone 204,800 ns
  const std::vector<Time> two = ends_by_class({0, 3}, spec), three = ends_by_class({0, 3, 3}, spec);
  EXPECT_EQ(two, (std::vector<Time>(2, 205'500 * kNanosecond)));
  ASSERT_EQ(three.size(), 3u);
  EXPECT_EQ(three[0], 205'500 * kNanosecond);
  // The others had half of what they need until then, and have all of it afterwards.
  EXPECT_NEAR(to_seconds(three[1]), 307'900e-9, 0.1e-9);
  EXPECT_EQ(three[1], three[2]);
}

// Hardware makes a transfer's descriptors in a fixed time each, behind what its sequencer does before.
TEST(Dma, HardwareMakesDescriptorsBehindEarlierWork) {
  spec::ChipSpec spec = round_chip();
  spec.dma.hardware_generation = 600 * kNanosecond;
  const auto starts = [&](EngineKind engine, uint32_t work, int transfers) {
    Assembler a;
    const int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 100);
    if (work > 0) a.copy(engine, sbuf(128, 65536, work), sbuf(128, 0, work));
    for (int k = 0; k < transfers; ++k) {
      a.dma(engine, sbuf(128, 0, 100), hbm(x, 128 * 100))
          .word(isa::slots::dma_copy::dge_mode, static_cast<uint32_t>(isa::DgeMode::hwdge));
    }
    std::vector<Time> out;
    for (const Row& row : timed(a.exe, spec, true).rows) {
      if (std::get<0>(row) == static_cast<uint32_t>(engine)) out.push_back(std::get<1>(row) / kNanosecond);
    }
    return out;
  };
  EXPECT_EQ(starts(EngineKind::sync, 0, 3), (std::vector<Time>{600, 1200, 1800}));
  EXPECT_EQ(starts(EngineKind::scalar, 1000, 1), (std::vector<Time>{0, 1000}));  // hidden
  EXPECT_EQ(starts(EngineKind::scalar, 599, 1), (std::vector<Time>{0, 600}));    // but for 1 ns
  EXPECT_EQ(starts(EngineKind::scalar, 1000, 2), (std::vector<Time>{0, 1000, 1600}));
}

}  // namespace
}  // namespace presil::chip
