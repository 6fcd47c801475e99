// Do several cores share what they share, and nothing else?
#include <gtest/gtest.h>

#include <cstring>

#include "chip/random_program.h"
#include "system/parts.h"
#include "system/run.h"

namespace presil::system {
namespace {

using namespace chip::testing;
using isa::HbmTensor;

RunResult done(const isa::Executable& exe, const spec::ChipSpec& spec, const Options& options = {},
               const std::vector<Input>& inputs = {}) {
  Result<RunResult> r = run(exe, spec, options, inputs);
  EXPECT_TRUE(r) << r.error().text();
  EXPECT_TRUE(r->outcome.ok()) << chip::outcome_text(r->outcome);
  return *r;
}

spec::ChipSpec chip_of(uint32_t cores, uint32_t stacks) {
  spec::ChipSpec spec = round_chip();
  spec.cores = cores;
  spec.hbm.stacks = stacks;
  return spec;
}

// One transfer of 128 partitions x `columns` fp32 from HBM.
Assembler loads(uint32_t columns) {
  Assembler a;
  const int64_t x = a.tensor("x", isa::TensorRole::input, 128 * columns);
  a.dma(EngineKind::sync, sbuf(128, 0, columns), hbm(x, 128 * columns)).signal(0);
  a.wait(EngineKind::vector).wait(0, 4);
  return a;
}

TEST(Cores, RunsSpreadOverTheStacks) {
  const spec::ChipSpec spec = chip_of(8, 4);
  EXPECT_EQ(cores_of_run(spec, 3), (std::vector<uint32_t>{0, 2, 4}));
  EXPECT_EQ(cores_of_run(spec, 6), (std::vector<uint32_t>{0, 2, 4, 6, 1, 3}));
  EXPECT_EQ(cores_of_run(chip_of(2, 1), 2), (std::vector<uint32_t>{0, 1}));
}

// Equal cores are simulated once: what comes out is what every core for itself gives, to the femtosecond.
TEST(Cores, SimulatedOnceEqualsSimulatedAll) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Prng prng(seed);
    Assembler a = random_program(seed);
    spec::ChipSpec spec = chip_of(8, static_cast<uint32_t>(1) << prng.below(4));
    spec.dma.engine_bytes_per_s = 500'000'000 + prng.below(20'000'000'000);
    spec.dma.queue_bytes_per_s = spec.dma.engine_bytes_per_s * (1 + prng.below(4)) / 4;
    spec.hbm.bytes_per_s = spec.dma.engine_bytes_per_s * (1 + prng.below(16));
    a.exe.cores = static_cast<uint32_t>(1 + prng.below(8));
    const RunResult once = done(a.exe, spec), all = done(a.exe, spec, {.every_core = true});
    EXPECT_EQ(once.elapsed, all.elapsed) << "seed " << seed;
    EXPECT_EQ(once.trace_hash, all.trace_hash) << "seed " << seed;
    ASSERT_EQ(once.cores.size(), a.exe.cores);
    for (uint32_t n = 0; n < a.exe.cores; ++n) {
      const CoreRun &x = once.cores[n], &y = all.cores[n];
      EXPECT_EQ(x.core, y.core);
      EXPECT_EQ(x.elapsed, y.elapsed) << "seed " << seed << " core " << n;
      EXPECT_EQ(x.trace_hash, y.trace_hash) << "seed " << seed << " core " << n;
      for (size_t q = 0; q < x.counters.engines.size(); ++q) {
        EXPECT_EQ(x.counters.engines[q].busy, y.counters.engines[q].busy) << "seed " << seed;
        EXPECT_EQ(x.counters.engines[q].waits, y.counters.engines[q].waits) << "seed " << seed;
      }
      for (size_t e = 0; e < x.counters.dma.size(); ++e) {
        EXPECT_EQ(x.counters.dma[e].stretched, y.counters.dma[e].stretched) << "seed " << seed;
        EXPECT_EQ(x.counters.dma[e].waiting, y.counters.dma[e].waiting) << "seed " << seed;
      }
    }
  }
}

// Four engines of 1 GB/s load 512 KiB in 131.072 us; a stack of 4 GB/s serves one core fully and two at half of it.
TEST(Cores, TwoOnAStackShareItsBandwidth) {
  spec::ChipSpec spec = chip_of(4, 2);
  spec.hbm.bytes_per_s = 4'000'000'000;
  Assembler a = loads(1024);
  const Time alone = done(a.exe, spec).elapsed;
  a.exe.cores = 2;
  EXPECT_EQ(done(a.exe, spec).elapsed, alone) << "a stack each";
  a.exe.cores = 4;
  EXPECT_EQ(done(a.exe, spec).elapsed, alone + 131'072 * kNanosecond);
  spec.hbm.bytes_per_s = 8'000'000'000;
  EXPECT_EQ(done(a.exe, spec).elapsed, alone) << "enough for both";
}

// With three cores on two stacks, one has its stack for itself.
TEST(Cores, AStackThatFewerUseIsFaster) {
  spec::ChipSpec spec = chip_of(4, 2);
  spec.hbm.bytes_per_s = 4'000'000'000;
  Assembler a = loads(1024);
  const Time alone = done(a.exe, spec).elapsed;
  a.exe.cores = 3;
  const RunResult r = done(a.exe, spec);
  EXPECT_EQ(r.cores[1].elapsed, alone);
  EXPECT_EQ(r.cores[0].elapsed, alone + 131'072 * kNanosecond);
  EXPECT_EQ(r.cores[2].elapsed, r.cores[0].elapsed);
  EXPECT_EQ(r.elapsed, r.cores[0].elapsed);
}

// Each core doubles its part; `axis` of [4, 8] in 4 parts.
TEST(Cores, EachHasItsPartOfTheData) {
  for (int32_t axis : {0, 1}) {
    for (bool every_core : {false, true}) {
      Assembler a;
      const int64_t x = a.tensor("x", isa::TensorRole::input, 8), y = a.tensor("y", isa::TensorRole::output, 8);
      for (HbmTensor& t : a.exe.tensors) {
        t.shape = axis == 0 ? std::vector<int64_t>{1, 8} : std::vector<int64_t>{4, 2};
        t.split_axis = axis;
      }
      a.dma(EngineKind::sync, sbuf(1, 0, 8), hbm(x, 8)).signal(0);
      a.add(EngineKind::vector, sbuf(1, 64, 8), sbuf(1, 0, 8), sbuf(1, 0, 8)).wait(0, 4).signal(1);
      a.dma(EngineKind::sync, hbm(y, 8), sbuf(1, 64, 8)).wait(1, 1);
      a.exe.cores = 4;
      std::vector<float> values(32), result(32);
      for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) + 0.5f;
      const Options options{.data = true, .check = true, .every_core = every_core};
      const RunResult r = done(a.exe, chip_of(4, 2), options, {{"x", std::as_bytes(std::span(values))}});
      ASSERT_EQ(r.outputs[0].bytes.size(), 128u);
      std::memcpy(result.data(), r.outputs[0].bytes.data(), 128);
      for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(result[i], 2 * values[i]) << "axis " << axis << " at " << i;
    }
  }
}

TEST(Cores, PartsOfAMiddleAxisAreJoinedAsTheyWereCut) {
  const HbmTensor t{.name = "t", .dtype = DType::uint8, .shape = {3, 2, 5}, .bytes = 30, .split_axis = 1};
  std::vector<std::byte> whole(90), joined(90);
  for (size_t i = 0; i < whole.size(); ++i) whole[i] = static_cast<std::byte>(i);
  std::vector<std::vector<std::byte>> storage;
  for (uint32_t part = 0; part < 3; ++part) {
    const auto piece = part_of(t, 3, part, whole, storage);
    EXPECT_EQ(piece[0], whole[part * 10]);
    EXPECT_EQ(piece[10], whole[30 + part * 10]);
    join_part(t, 3, part, piece, joined);
  }
  EXPECT_EQ(joined, whole);
}

TEST(Cores, MoreThanThereAreAreRefused) {
  Assembler a = loads(64);
  a.exe.cores = 3;
  EXPECT_EQ(run(a.exe, chip_of(2, 1)).error().text(), "compiled for 3 cores, chip round has 2");
  a.exe.cores = 2;
  a.exe.hbm_bytes = 700'000'000;
  EXPECT_EQ(run(a.exe, chip_of(2, 1)).error().text(),
            "2 cores share 1073741824 bytes of HBM, but need 700000000 bytes each and 0 for constants");
}

}  // namespace
}  // namespace presil::system
