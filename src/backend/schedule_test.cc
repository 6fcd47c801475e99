#include "backend/schedule.h"

#include <gtest/gtest.h>

#include "backend/memory_profile.h"
#include "backend/random_program.h"
#include "backend/test_chip.h"
#include "base/prng.h"

namespace presil::backend {
namespace {

using isa::EngineKind;
using testing::chip;
using tile::Builder;

struct Program {
  Builder b{"schedule"};
  uint32_t sbuf(uint32_t bytes = 4096) { return b.sbuf(128, bytes, "t"); }
  isa::View view(uint32_t tile) { return b.tile_view(tile, DType::fp32); }
  void clear(uint32_t tile, EngineKind engine) { b.memset({.dst = view(tile), .engine = engine}); }
  void copy(uint32_t to, uint32_t from, EngineKind engine) {
    b.tensor_copy({.dst = view(to), .src = view(from), .engine = engine});
  }
  Schedule run(uint32_t window, int64_t percent = 100, const spec::ChipSpec& spec = chip()) {
    return schedule(b.program, dependence_graph(b.program), live_ranges(b.program), work_of(b.program, spec), spec,
                    {window, percent});
  }
};

TEST(Schedule, AWindowOfOneKeepsTheOrderOfEachEngine) {
  Program p;
  for (int k = 0; k < 20; ++k) p.clear(p.sbuf(), k % 3 ? EngineKind::vector : EngineKind::gpsimd);
  uint32_t last[2] = {};
  for (uint32_t i : p.run(1).order) {
    uint32_t& before = last[i % 3 ? 0 : 1];
    EXPECT_GE(i, before);
    before = i;
  }
}

TEST(Schedule, ReadyWorkOvertakesWaitingWork) {
  Program p;
  uint32_t a = p.sbuf(), b = p.sbuf(), c = p.sbuf();
  p.clear(a, EngineKind::gpsimd);    // 0
  p.copy(b, a, EngineKind::vector);  // 1 waits for 0
  p.clear(c, EngineKind::vector);    // 2 could go at once
  EXPECT_EQ(p.run(1).order, (std::vector<uint32_t>{0, 1, 2}));
  Schedule s = p.run(3);
  EXPECT_EQ(s.order, (std::vector<uint32_t>{2, 0, 1}));
  EXPECT_LT(s.elapsed, p.run(1).elapsed);
}

TEST(Schedule, OvertakingStaysWithinTheMemory) {
  Program p;
  uint32_t a = p.sbuf(), b = p.sbuf(), c = p.sbuf(65536);
  p.clear(a, EngineKind::gpsimd);
  p.copy(b, a, EngineKind::vector);
  p.clear(c, EngineKind::vector);
  spec::ChipSpec spec = chip();
  spec.sbuf.bytes_per_partition = 65536 + 2 * 4096;
  EXPECT_EQ(p.run(3, 100, spec).order, (std::vector<uint32_t>{2, 0, 1}));
  spec.sbuf.bytes_per_partition -= 64;
  EXPECT_EQ(p.run(3, 100, spec).order, (std::vector<uint32_t>{0, 1, 2}));
}

TEST(Schedule, AnotherEnginesReadKeepsAWriteBehindIt) {
  Program p;
  uint32_t a = p.sbuf(), b = p.sbuf();
  p.clear(a, EngineKind::gpsimd);    // 0
  p.clear(b, EngineKind::gpsimd);    // 1
  p.copy(b, a, EngineKind::vector);  // 2 reads a, writes b
  p.clear(a, EngineKind::gpsimd);    // 3 writes a
  EXPECT_EQ(p.run(4).order, (std::vector<uint32_t>{0, 1, 2, 3}));
}

TEST(Schedule, AccumulatorsKeepTheirOrder) {
  Program p;
  uint32_t slow = p.sbuf(), x = p.sbuf(), y = p.sbuf(), sum = p.sbuf(4);
  p.clear(x, EngineKind::vector);
  p.clear(slow, EngineKind::gpsimd);
  auto activation = [&](uint32_t from, ReduceCommand command) {
    p.b.activation({.dst = p.view(y), .data = p.view(from), .reduce_res = p.view(sum), .reduce_cmd = command});
  };
  activation(slow, ReduceCommand::reset_reduce);  // 2 waits
  activation(x, ReduceCommand::reduce);           // 3 is ready, but adds to what 2 resets
  EXPECT_EQ(p.run(4).order.back(), 3u);
  y = p.sbuf(), sum = p.sbuf(4);
  activation(x, ReduceCommand::idle);  // 4 writes what they hold, nothing else in common
  EXPECT_EQ(p.run(5).order.back(), 4u);
}

TEST(Schedule, NoOrderIsFasterThanItsLeastTime) {
  Program p;
  for (int k = 0; k < 8; ++k) p.clear(p.sbuf(), EngineKind::vector);
  std::vector<Work> work = work_of(p.b.program, chip());
  const Time all = 8 * work[0].occupancy;
  EXPECT_EQ(least_elapsed(p.b.program, work), all - work[0].occupancy);
  EXPECT_EQ(p.run(1).elapsed, all - work[0].occupancy + work[0].latency);  // nothing in between
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const tile::TileProgram program = testing::RandomProgram(seed, {}).make();
    work = work_of(program, chip());
    for (uint32_t window : {1u, 4u, 64u}) {
      Schedule s = schedule(program, dependence_graph(program), live_ranges(program), work, chip(), {window});
      EXPECT_LE(least_elapsed(program, work), s.elapsed) << seed << " " << window;
    }
  }
}

TEST(Schedule, RandomGeneratorsKeepTheirOrder) {
  Program p;
  uint32_t x = p.sbuf(), first = p.sbuf(), second = p.sbuf();
  p.clear(first, EngineKind::gpsimd);
  p.b.rng({.dst = p.b.tile_view(first, DType::uint32)});   // 1 waits for what it overwrites
  p.b.rng({.dst = p.b.tile_view(second, DType::uint32)});  // 2 is ready, but draws later numbers
  p.clear(x, EngineKind::vector);                          // 3 draws none
  EXPECT_EQ(p.run(4).order, (std::vector<uint32_t>{3, 0, 1, 2}));
}

TEST(MemoryProfile, AgreesWithAnArray) {
  Prng random(3);
  for (uint32_t size : {1u, 2u, 7u, 64u, 100u}) {
    MemoryProfile profile(size);
    std::vector<int64_t> plain(size);
    for (int k = 0; k < 300; ++k) {
      auto begin = static_cast<uint32_t>(random.below(size)), end = static_cast<uint32_t>(random.below(size + 1));
      int64_t amount = random.between(-5, 9), limit = random.between(-20, 60);
      profile.add(begin, end, amount);
      for (uint32_t p = begin; p < end; ++p) plain[p] += amount;
      std::optional<uint32_t> expected;
      for (uint32_t p = begin; p < end; ++p) {
        if (plain[p] > limit) expected = p;
      }
      ASSERT_EQ(profile.last_above(begin, end, limit), expected) << size << " " << k;
    }
  }
}

}  // namespace
}  // namespace presil::backend
