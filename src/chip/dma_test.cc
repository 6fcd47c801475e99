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

}  // namespace
}  // namespace presil::chip
