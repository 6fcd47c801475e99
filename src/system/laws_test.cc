// Can a result be impossible? Laws that every run obeys, over seeded random programs. To repeat one: its seed is in the
// message.
#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <thread>

#include "chip/random_program.h"
#include "system/run.h"

namespace presil::system {
namespace {

using chip::testing::Assembler;
using chip::testing::random_program;
using chip::testing::RandomOptions;
using chip::testing::round_chip;

constexpr uint64_t kSeeds = 150;

spec::ChipSpec random_chip(uint64_t seed) {
  Prng prng(seed);
  spec::ChipSpec s = round_chip();
  for (spec::EngineSpec* e : std::initializer_list<spec::EngineSpec*>{&s.tensor, &s.vector, &s.scalar, &s.gpsimd}) {
    e->clock_hz = 500'000'000 + prng.below(2'000'000'000);
    e->latency = static_cast<Time>(prng.below(300)) * kNanosecond;
    e->issue_overhead_cycles = static_cast<uint32_t>(prng.below(10));
  }
  s.dma.engine_bytes_per_s = 500'000'000 + prng.below(20'000'000'000);
  s.dma.queue_bytes_per_s = s.dma.engine_bytes_per_s * (1 + prng.below(4)) / 4;
  s.dma.transfer_floor = static_cast<Time>(prng.below(900)) * kNanosecond;
  s.dma.descriptor = static_cast<Time>(prng.below(60)) * kNanosecond;
  s.hbm.bytes_per_s = s.dma.engine_bytes_per_s * (1 + prng.below(8));
  return s;
}

RunResult done(const Assembler& a, const spec::ChipSpec& spec, const Options& options = {},
               trace::Sink* sink = nullptr) {
  Result<RunResult> r = run(a.exe, spec, options, {}, sink);
  EXPECT_TRUE(r) << r.error().text();
  EXPECT_TRUE(r->outcome.ok()) << chip::outcome_text(r->outcome);
  return *r;
}

TEST(Laws, BusyAndWaitsAddUpToTheElapsedTime) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    RunResult r = done(random_program(seed), random_chip(seed));
    for (const chip::EngineCounters& e : r.counters.engines) {
      EXPECT_EQ(std::accumulate(e.waits.begin(), e.waits.end(), e.busy), r.elapsed) << e.name << " seed " << seed;
      for (Time wait : e.waits) EXPECT_GE(wait, 0) << e.name << " seed " << seed;
    }
    for (const chip::DmaCounters& d : r.counters.dma) {
      EXPECT_EQ(d.busy + d.waiting + d.idle, r.elapsed) << "seed " << seed;
      EXPECT_GE(d.idle, 0) << "seed " << seed;
    }
    Time layers = 0;
    for (const chip::LayerCounters& layer : r.counters.layers) layers += layer.time;
    EXPECT_EQ(layers, r.elapsed) << "seed " << seed;
  }
}

TEST(Laws, NothingIsFasterThanItsResources) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    spec::ChipSpec spec = random_chip(seed);
    RunResult r = done(random_program(seed), spec);
    EXPECT_GE(r.elapsed,
              duration_up(r.counters.macs, uint64_t{spec.tensor.rows} * spec.tensor.columns * spec.tensor.clock_hz));
    uint64_t hbm = r.counters.read_bytes[static_cast<size_t>(isa::Memory::hbm)] +
                   r.counters.written_bytes[static_cast<size_t>(isa::Memory::hbm)];
    EXPECT_GE(r.elapsed, duration_up(hbm, spec.hbm.bytes_per_s)) << "seed " << seed;
    uint64_t moved = 0;
    for (const chip::DmaCounters& d : r.counters.dma) {
      moved += d.bytes;
      EXPECT_GE(d.busy, duration_up(d.bytes, spec.dma.engine_bytes_per_s)) << "seed " << seed;
    }
    EXPECT_EQ(moved, hbm) << "every transfer has one side in HBM; seed " << seed;
  }
}

TEST(Laws, TheTraceHasEveryByteAndEveryInstructionOnce) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    trace::Trace t;
    RunResult r = done(random_program(seed), random_chip(seed), {}, &t);
    uint64_t instructions = 0, bytes = 0, moved = 0;
    std::vector<Time> free(t.lane_list.size());
    for (size_t k = 0; k < t.events.size(); ++k) {
      const trace::Event& e = t.events[k];
      EXPECT_TRUE(e.cause == trace::kNoEvent || e.cause < k) << "seed " << seed;
      if (e.cause != trace::kNoEvent && e.release != trace::Release::queue) {
        EXPECT_LE(t.events[e.cause].start, e.start) << "seed " << seed;
      }
      if (t.lane_list[e.lane].kind == trace::Lane::Kind::dma) {
        bytes += e.amount;
        continue;
      }
      ++instructions;
      EXPECT_GE(e.start, free[e.lane]) << "one instruction at a time; seed " << seed;
      free[e.lane] = e.busy_until;
    }
    for (const chip::DmaCounters& d : r.counters.dma) moved += d.bytes;
    EXPECT_EQ(instructions, r.counters.instructions);
    EXPECT_EQ(bytes, moved);
  }
}

TEST(Laws, ContentionOnlySlows) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    spec::ChipSpec spec = random_chip(seed);
    EXPECT_GE(done(random_program(seed), spec).elapsed, done(random_program(seed), spec, {.contention = false}).elapsed)
        << "seed " << seed;
  }
}

// With contention off, no improvement of the machine slows a program.
TEST(Laws, ABetterMachineIsNeverSlower) {
  using Better = std::function<void(spec::ChipSpec&)>;
  const std::vector<std::pair<const char*, Better>> improvements = {
      {"tensor clock", [](spec::ChipSpec& s) { s.tensor.clock_hz = s.tensor.clock_hz * 5 / 4; }},
      {"vector clock", [](spec::ChipSpec& s) { s.vector.clock_hz *= 2; }},
      {"scalar clock", [](spec::ChipSpec& s) { s.scalar.clock_hz = s.scalar.clock_hz * 11 / 10; }},
      {"gpsimd clock", [](spec::ChipSpec& s) { s.gpsimd.clock_hz *= 3; }},
      {"vector latency", [](spec::ChipSpec& s) { s.vector.latency /= 2; }},
      {"table load", [](spec::ChipSpec& s) { s.scalar.table_load /= 3; }},
      {"wake", [](spec::ChipSpec& s) { s.semaphores.wake = 0; }},
      {"queue bandwidth", [](spec::ChipSpec& s) { s.dma.queue_bytes_per_s = s.dma.engine_bytes_per_s; }},
      {"DMA bandwidth", [](spec::ChipSpec& s) { s.dma.engine_bytes_per_s *= 2, s.dma.queue_bytes_per_s *= 2; }},
      {"HBM bandwidth", [](spec::ChipSpec& s) { s.hbm.bytes_per_s = s.hbm.bytes_per_s * 3 / 2; }},
      {"floor", [](spec::ChipSpec& s) { s.dma.transfer_floor /= 2; }},
      {"descriptor", [](spec::ChipSpec& s) { s.dma.descriptor = 0; }},
  };
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const spec::ChipSpec spec = random_chip(seed);
    const Assembler a = random_program(seed);
    Time before = done(a, spec, {.contention = false}).elapsed;
    for (const auto& [name, better] : improvements) {
      spec::ChipSpec improved = spec;
      better(improved);
      EXPECT_LE(done(a, improved, {.contention = false}).elapsed, before) << name << " seed " << seed;
    }
  }
}

// A program for more DMA engines waits for more increments; it is the same otherwise. A row dealt to more engines is
// cut finer, so descriptors are free here.
TEST(Laws, MoreDmaEnginesAreNeverSlower) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    spec::ChipSpec spec = random_chip(seed);
    spec.dma.descriptor = 0;
    Time before = kTimeMax;
    for (uint32_t engines : {1u, 2u, 4u, 8u, 16u}) {
      spec.dma.engines = engines;
      RandomOptions options;
      options.shares = engines;
      options.ordered = true;
      Time now = done(random_program(seed, options), spec, {.contention = false}).elapsed;
      EXPECT_LE(now, before) << engines << " engines, seed " << seed;
      before = now;
    }
  }
}

TEST(Laws, TracingChangesNothingAndRunsRepeat) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Assembler a = random_program(seed);
    const spec::ChipSpec spec = random_chip(seed);
    trace::Trace t;
    RunResult first = done(a, spec), again = done(a, spec), traced = done(a, spec, {}, &t);
    EXPECT_EQ(first.trace_hash, again.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.trace_hash, traced.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.elapsed, traced.elapsed) << "seed " << seed;
  }
}

TEST(Laws, TheHashSeesADifferenceOfOneTick) {
  Assembler a = random_program(1);
  spec::ChipSpec spec = random_chip(1), other = spec;
  ++other.vector.latency;
  EXPECT_NE(done(a, spec).trace_hash, done(a, other).trace_hash);
}

TEST(Laws, RunsInOneProcessAreIndependent) {
  std::vector<uint64_t> alone, together(8);
  for (uint64_t seed = 0; seed < 8; ++seed) alone.push_back(done(random_program(seed), random_chip(seed)).trace_hash);
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&, seed] { together[seed] = done(random_program(seed), random_chip(seed)).trace_hash; });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(alone, together);
}

}  // namespace
}  // namespace presil::system
