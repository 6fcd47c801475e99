// Does lowering keep the meaning of a program? Random programs, lowered, then executed under random legal
// interleavings must read and leave the
// same bytes as the program executed one instruction after the other.
#include <gtest/gtest.h>

#include "backend/interleaving.h"
#include "backend/lower.h"
#include "backend/random_program.h"
#include "backend/repeats.h"
#include "backend/spread.h"
#include "backend/test_chip.h"
#include "isa/control.h"

namespace presil::backend {
namespace {

using testing::Interleaving;
using testing::Machine;
using testing::ProgramShape;
using testing::RandomProgram;
using testing::VirtualMemory;

spec::ChipSpec small_chip(const ProgramShape& shape) {
  spec::ChipSpec s;
  s.name = "small";
  s.sbuf.partitions = s.psum.partitions = shape.partitions;
  s.sbuf.bytes_per_partition = shape.sbuf_bytes;
  s.psum.banks = shape.psum_banks;
  s.psum.bytes_per_partition = shape.psum_bank_bytes * shape.psum_banks;
  s.dma.engines = 3, s.dma.queues = 4;
  s.hbm.bytes = 1 << 20;
  s.semaphores.count = 24;
  s.sequencer.registers = 64;
  testing::set_rates(s);
  return s;
}

Machine::Limits limits_of(const spec::ChipSpec& s, const isa::Executable& e) {
  return {s.dma.engines, static_cast<uint32_t>(s.sbuf.bytes_per_partition),
          static_cast<uint32_t>(s.psum.bytes_per_partition), s.sbuf.partitions, e.hbm_bytes};
}

void fill_inputs(VirtualMemory& memory, uint64_t seed) {
  Prng random(seed);
  for (size_t t = 0; t < memory.tensors.size(); ++t) {
    if (memory.program->tensors[t].role != isa::TensorRole::input) continue;
    const bool small = memory.program->tensors[t].name == RandomProgram::kNumbers;
    for (uint8_t& b : memory.tensors[t]) b = static_cast<uint8_t>(small ? random.below(6) : random.next());
  }
}

// A message if this interleaving ends with other bytes, or not at all.
std::optional<std::string> difference(const tile::TileProgram& program, const isa::Executable& executable,
                                      const spec::ChipSpec& spec, uint64_t seed) {
  VirtualMemory expected(program);
  fill_inputs(expected, seed);
  Machine machine(limits_of(spec, executable), seed);
  auto tensor_bytes = [&](size_t t) {
    return machine.hbm.begin() + static_cast<ptrdiff_t>(executable.tensors[t].address);
  };
  for (size_t t = 0; t < program.tensors.size(); ++t) {
    std::copy(expected.tensors[t].begin(), expected.tensors[t].end(), tensor_bytes(t));
  }
  testing::Readings readings = testing::run_sequentially(program, expected);
  Interleaving run(executable, machine, seed);
  if (auto stuck = run.run()) return stuck;
  // As sets: the order within an engine is the backend's choice.
  for (auto* all : {&readings, &run.readings}) {
    for (auto& [engine, hashes] : *all) std::sort(hashes.begin(), hashes.end());
  }
  if (run.readings != readings) return "an instruction read something else";
  for (size_t t = 0; t < program.tensors.size(); ++t) {
    if (!std::equal(expected.tensors[t].begin(), expected.tensors[t].end(), tensor_bytes(t))) {
      return "tensor " + program.tensors[t].name + " differs";
    }
  }
  return std::nullopt;
}

constexpr int kInterleavings = 6;

struct Totals {
  SpillCounts spills;
  int reordered = 0, misfits = 0;
};

// Lowers and executes programs of `shape`.
Totals expect_same_meaning(const ProgramShape& shape, uint64_t seeds, uint32_t engines = 1) {
  Totals totals;
  spec::ChipSpec spec = small_chip(shape);
  spec.tensor.count = spec.vector.count = spec.scalar.count = engines;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    tile::TileProgram program = RandomProgram(seed, shape).make();
    spread_engines(program, spec);
    Statistics statistics;
    Result<isa::Executable> executable =
        lower(program, spec, {.verify = false, .reorder_gain_percent = 0}, &statistics);
    if (!executable && shape.control_percent > 0) {  // what lives through a loop is not spilled
      ++totals.misfits;
      continue;
    }
    EXPECT_TRUE(executable) << seed << ": " << executable.error().text();
    if (!executable) return totals;
    for (isa::Program& queue : executable->queues) {
      if (!isa::has_control(queue)) queue = expand(queue);
      const std::vector<isa::Finding> findings = isa::check_control(queue, spec.sequencer.registers);
      EXPECT_TRUE(findings.empty()) << "seed " << seed << ": " << findings[0].text();
      if (!findings.empty()) return totals;
    }
    for (int k = 0; k < kInterleavings; ++k) {
      auto wrong = difference(program, *executable, spec, seed * 100 + static_cast<uint64_t>(k));
      EXPECT_FALSE(wrong) << "seed " << seed << ", interleaving " << k << ": " << *wrong;
      if (wrong) return totals;
    }
    totals.reordered += statistics.reordered;
    totals.spills.saved += statistics.spills.saved;
    totals.spills.restored += statistics.spills.restored;
    totals.spills.reloaded += statistics.spills.reloaded;
  }
  return totals;
}

TEST(LowerProperty, EveryInterleavingEqualsTheSequentialMeaning) {
  Totals totals = expect_same_meaning({}, 200);
  EXPECT_GT(totals.reordered, 100);
  EXPECT_EQ(totals.spills.saved + totals.spills.reloaded, 0u);
}

// Chips whose partitions do not divide by four, a single partition, two vector engines.
TEST(LowerProperty, OddChipsKeepTheMeaning) {
  for (uint32_t partitions : {1u, 5u, 6u, 12u}) {
    expect_same_meaning({.partitions = partitions, .vector_engines = 2}, 15);
  }
}

TEST(LowerProperty, SeveralEnginesOfAKindKeepTheMeaning) { expect_same_meaning({}, 60, 4); }

constexpr ProgramShape kLoops{
    .steps = 30, .sbuf_bytes = 1 << 15, .psum_banks = 32, .live_sbuf_max = 8, .control_percent = 25};

// Loops that run 0 to 5 times, as constants, memory or other loops say; choices; operands that move with registers.
TEST(LowerProperty, LoopsAndChoicesKeepTheMeaning) {
  ProgramShape small = kLoops;
  small.steps = 12, small.live_sbuf_max = 3, small.control_percent = 50;
  EXPECT_EQ(expect_same_meaning(kLoops, 300).misfits, 0);
  EXPECT_EQ(expect_same_meaning(small, 300).misfits, 0);
  // Tiles take over memory from one another.
  ProgramShape tight = kLoops;
  tight.live_sbuf_max = 4, tight.sbuf_bytes = 3000, tight.psum_banks = 8;
  EXPECT_LT(expect_same_meaning(tight, 300).misfits, 150);
}

// Few tiles and many accesses to each: records of accesses are summarized.
TEST(LowerProperty, LongHistoriesKeepTheMeaning) {
  Totals totals = expect_same_meaning({.steps = 1200, .live_sbuf_max = 2, .tile_bytes_max = 96}, 8);
  EXPECT_EQ(totals.spills.saved + totals.spills.reloaded, 0u);
}

// SBUF of hardly more than one instruction's operands.
TEST(LowerProperty, SpillingKeepsTheMeaning) {
  Totals totals = expect_same_meaning({.steps = 150, .sbuf_bytes = 1024, .tile_bytes_max = 300}, 60);
  EXPECT_GT(totals.spills.saved, 300u);
  EXPECT_GT(totals.spills.restored, 300u);
  EXPECT_GT(totals.spills.reloaded, 10u);
}

// Wait k of an instruction holds from the beginning.
void drop(isa::Program& p, isa::Instruction& i, uint8_t k) {
  p.waits[i.wait_begin + k].value = 0;
  for (uint8_t d = 0; d < i.delta_count;) {
    isa::Delta& delta = p.deltas[i.delta_begin + d];
    if (delta.target == isa::Delta::Target::wait && delta.index == k)
      delta = p.deltas[i.delta_begin + --i.delta_count];
    else
      ++d;
  }
}

// Can the tests above fail? Without one wait, chosen at random, most programs go wrong in some interleaving.
void expect_missing_waits_noticed(const ProgramShape& shape, int percent) {
  int planted = 0, noticed = 0;
  Prng random(7);
  const spec::ChipSpec spec = small_chip(shape);
  for (uint64_t seed = 1; seed <= 120; ++seed) {
    tile::TileProgram program = RandomProgram(seed, shape).make();
    Result<isa::Executable> executable = lower(program, spec, {.verify = false, .reroll = false});
    if (!executable) continue;  // tiles that live through loops do not fit
    struct Site {
      isa::Program* program;
      isa::Instruction* instruction;
      uint8_t wait;
    };
    std::vector<Site> waits;
    for (isa::Program& queue : executable->queues) {
      for (isa::Instruction& i : queue.code) {
        for (uint8_t k = 0; k < i.wait_count; ++k) waits.push_back({&queue, &i, k});
      }
    }
    if (waits.empty()) continue;
    const Site& site = waits[random.below(waits.size())];
    drop(*site.program, *site.instruction, site.wait);
    ++planted;
    for (int k = 0; k < 60; ++k) {
      if (!difference(program, *executable, spec, seed * 100 + static_cast<uint64_t>(k))) continue;
      ++noticed;
      break;
    }
  }
  EXPECT_GT(planted, 100);
  EXPECT_GT(noticed * 100, planted * percent) << noticed << " of " << planted;
}

TEST(LowerProperty, AMissingWaitIsNoticed) { expect_missing_waits_noticed({}, 60); }
TEST(LowerProperty, AMissingWaitInALoopIsNoticed) { expect_missing_waits_noticed(kLoops, 15); }

}  // namespace
}  // namespace presil::backend
