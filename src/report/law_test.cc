// Can a report contradict the machine? Laws over seeded random programs and chips; a failing one prints its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "chip/random_program.h"
#include "report/about.h"
#include "report/critical_path.h"
#include "report/summary.h"
#include "report/what_if.h"
#include "system/record.h"

namespace presil::report {
namespace {

using chip::testing::Assembler;
using chip::testing::random_program;
using chip::testing::round_chip;
using Kind = trace::WhatIf::Kind;

constexpr uint64_t kSeeds = 100;

spec::ChipSpec random_chip(uint64_t seed) {
  Prng prng(seed);
  spec::ChipSpec s = round_chip();
  for (spec::EngineSpec* e : std::initializer_list<spec::EngineSpec*>{&s.tensor, &s.vector, &s.scalar, &s.gpsimd}) {
    e->clock_hz = 500'000'000 + prng.below(2'000'000'000);
    e->latency = static_cast<Time>(prng.below(300)) * kNanosecond;
    e->initiation_min_cycles = static_cast<uint32_t>(1 + prng.below(100));
  }
  s.scalar.table_load = static_cast<Time>(prng.below(2000)) * kNanosecond;
  s.semaphores.wake = static_cast<Time>(prng.below(60)) * kNanosecond;
  s.dma.engine_bytes_per_s = 500'000'000 + prng.below(20'000'000'000);
  s.dma.queue_bytes_per_s = s.dma.engine_bytes_per_s * (1 + prng.below(4)) / 4;
  s.dma.transfer_floor = static_cast<Time>(prng.below(900)) * kNanosecond;
  s.dma.descriptor = static_cast<Time>(prng.below(60)) * kNanosecond;
  s.hbm.bytes_per_s = s.dma.engine_bytes_per_s * (1 + prng.below(8));
  return s;
}

struct Recorded {
  trace::Trace trace;
  system::RunResult run;
};

Recorded recorded(const Assembler& a, const spec::ChipSpec& spec, const system::Options& options = {}) {
  Recorded r;
  auto run = system::record(a.exe, spec, options, {}, r.trace);
  EXPECT_TRUE(run) << run.error().text();
  r.run = *run;
  auto memories = std::move(r.trace.about.memories);
  r.trace.about = about(a.exe, spec, r.run);
  r.trace.about.memories = std::move(memories);
  return r;
}

TEST(ReportLaws, BusyAndWaitsAreTheWholeRun) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Recorded r = recorded(random_program(seed), random_chip(seed));
    std::vector<Time> busy(r.trace.lane_list.size());
    for (const trace::Event& e : r.trace.events) busy[e.lane] += e.busy_until - e.start;
    for (size_t lane = 0; lane < r.trace.about.units.size(); ++lane) {
      const trace::Unit& unit = r.trace.about.units[lane];
      Time sum = unit.busy;
      for (const trace::Part& wait : unit.waits) sum += wait.time;
      EXPECT_EQ(sum, r.run.elapsed) << unit.name << ", seed " << seed;
      if (unit.kind == "dma") {
        EXPECT_LE(unit.busy, busy[lane]) << "shares overlap; " << unit.name << ", seed " << seed;
      } else {
        EXPECT_EQ(unit.busy, busy[lane]) << unit.name << ", seed " << seed;
      }
    }
  }
}

TEST(ReportLaws, TheCriticalPathIsTheWholeRun) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Recorded r = recorded(random_program(seed), random_chip(seed));
    Time sum = 0, at = 0;
    for (const Segment& s : critical_path(r.trace)) {
      EXPECT_EQ(s.begin, at) << "seed " << seed;
      at = s.end;
    }
    EXPECT_EQ(at, r.run.elapsed) << "seed " << seed;
    for (const PathRow& row : path_rows(r.trace)) sum += row.time;
    EXPECT_EQ(sum, r.run.elapsed) << "seed " << seed;
  }
}

// The bounds are upper bounds: whatever is made twice as good, the same program gains no more. A tick per event for
// durations that are rounded up. Without contention: with it, a transfer that comes earlier or later may find the DMA
// engines more or less busy, whatever made it so.
TEST(ReportLaws, NothingGainsMoreThanItsBound) {
  const system::Options alone{.contention = false};
  std::map<std::pair<std::string, Kind>, int> gained;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Assembler program = random_program(seed);
    const spec::ChipSpec spec = random_chip(seed);
    Recorded r = recorded(program, spec, alone);
    const std::vector<PathRow> rows = path_rows(r.trace);
    for (const trace::WhatIf& w : levers(spec)) {
      if (w.kind == Kind::size) continue;
      auto row =
          std::ranges::find_if(rows, [&](const PathRow& p) { return p.resource == w.resource && p.kind == w.kind; });
      const Time most = row == rows.end() ? 0 : row->gain_most;
      auto better = system::run(program.exe, changed(spec, w), alone);
      ASSERT_TRUE(better);
      const Time gain = r.run.elapsed - better->elapsed, rounding = static_cast<Time>(r.trace.events.size());
      EXPECT_GE(gain, -rounding) << w.resource << " kind " << static_cast<int>(w.kind) << ", seed " << seed;
      EXPECT_LE(gain, most + rounding) << w.resource << " kind " << static_cast<int>(w.kind) << ", seed " << seed;
      gained[{w.resource, w.kind}] += gain > 0;
    }
  }
  for (const char* resource : {"tensor", "vector", "scalar", "gpsimd", "dma", "hbm"}) {
    EXPECT_GT((gained[{resource, Kind::rate}]), 0) << resource << " is never worth doubling";
  }
  for (const char* resource : {"tensor", "vector", "scalar", "gpsimd", "dma", "semaphores"}) {
    EXPECT_GT((gained[{resource, Kind::latency}]), 0) << resource << " is never worth halving";
  }
}

// A machine that is twice as good in everything takes half of the time, and less than that helps less.
TEST(ReportLaws, NothingGainsMoreThanHalf) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Assembler program = random_program(seed);
    const spec::ChipSpec spec = random_chip(seed);
    const Time before = system::run(program.exe, spec)->elapsed;
    const auto tried = what_ifs(program.exe, spec, before, nullptr);
    ASSERT_TRUE(tried) << tried.error().text();
    for (const trace::WhatIf& w : *tried) {
      if (w.kind == Kind::size) continue;
      EXPECT_GE(2 * w.same_program, before) << w.resource << ", seed " << seed;
    }
  }
}

TEST(ReportLaws, RecordingChangesNothing) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Assembler program = random_program(seed);
    const spec::ChipSpec spec = random_chip(seed);
    auto plain = system::run(program.exe, spec);
    ASSERT_TRUE(plain);
    EXPECT_EQ(recorded(program, spec).run.trace_hash, plain->trace_hash) << "seed " << seed;
  }
}

TEST(ReportLaws, NoMemoryHoldsMoreThanItsCapacity) {
  uint64_t most = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Recorded r = recorded(random_program(seed), random_chip(seed));
    for (const trace::Residency& memory : r.trace.about.memories) {
      std::vector<uint64_t> total(2000);
      for (const trace::Residency::Row& row : memory.rows) {
        for (size_t k = 0; k < row.bytes.size(); ++k) total.at(row.first + k) += row.bytes[k];
      }
      for (uint64_t bytes : total) EXPECT_LE(bytes, memory.capacity_bytes) << memory.memory << ", seed " << seed;
      most = std::max(most, std::ranges::max(total));
    }
  }
  EXPECT_GT(most, 0u);
}

}  // namespace
}  // namespace presil::report
