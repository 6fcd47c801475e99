// Do all executors agree? Random programs on random machines: a run with data, one without, and one with its data in a
// thread of its own take the same time to the femtosecond, and the data is that of the plain interpreter, to the bit.
#include <gtest/gtest.h>

#include <algorithm>

#include "backend/lower.h"
#include "isa/control.h"
#include "isa/rules.h"
#include "tests/campaign/long.h"
#include "tests/campaign/plain.h"
#include "tests/campaign/random_chip.h"
#include "tests/campaign/random_tile_program.h"
#include "tile/verify.h"

namespace presil::campaign {
namespace {

struct Totals {
  int programs = 0, damaged = 0, accepted = 0, lowered = 0, meaningless = 0, reordered = 0;
  int looping = 0;  // of those lowered
  uint64_t spills = 0;
  std::vector<uint64_t> executed = std::vector<uint64_t>(isa::kOpcodeCount);
};

backend::Options random_options(Prng& random) {
  backend::Options o;
  o.window = random.below(3) == 0 ? 1 : static_cast<uint32_t>(1 + random.below(300));
  o.reorder_gain_percent = random.below(2) ? 0 : 2;
  o.reroll = random.below(2) != 0;
  o.transfers_ahead = static_cast<uint32_t>(1 + random.below(4));
  o.load_queues_percent = static_cast<uint32_t>(random.below(101));
  return o;
}

ProgramOptions random_sizes(Prng& random) {
  ProgramOptions o;
  o.steps = static_cast<int>(1 + random.below(random.below(4) == 0 ? 80 : 24));
  o.live_tiles_max = static_cast<int>(2 + random.below(random.below(3) == 0 ? 100 : 20));
  o.row_max = static_cast<uint32_t>(1 + random.below(random.below(4) == 0 ? 200 : 48));
  if (random.below(3) == 0) o.control_percent = 5 + random.below(30);
  return o;
}

void expect_same_outputs(const std::vector<system::Output>& found, const std::vector<system::Output>& expected,
                         const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t k = 0; k < found.size(); ++k) {
    EXPECT_EQ(found[k].name, expected[k].name) << what;
    EXPECT_TRUE(found[k].bytes == expected[k].bytes) << what << ": " << found[k].name << " differs";
  }
}

void expect_agreement(const isa::Executable& exe, const spec::ChipSpec& spec, const std::vector<system::Input>& inputs,
                      const PlainResult& plain, const std::string& what) {
  Result<system::RunResult> data = system::run(exe, spec, {.data = true, .check = true}, inputs);
  ASSERT_TRUE(data) << what << ": " << data.error().text();
  const bool stale = plain.undefined.ends_with("nothing wrote") || plain.undefined.ends_with("no matmul started");
  if (!plain.undefined.empty()) {
    // Bytes that an earlier tile left at the same place pass for written: the checker knows no tiles.
    EXPECT_TRUE(!data->outcome.ok() || stale) << what << ": " << plain.undefined;
    return;
  }
  ASSERT_TRUE(data->outcome.ok()) << what << ": " << chip::outcome_text(data->outcome);
  expect_same_outputs(data->outputs, plain.outputs, what);
  Result<system::RunResult> time = system::run(exe, spec);
  Result<system::RunResult> threads = system::run(exe, spec, {.data = true, .threads = 2}, inputs);
  ASSERT_TRUE(time && threads) << what;
  EXPECT_EQ(time->trace_hash, data->trace_hash) << what;
  EXPECT_EQ(time->elapsed, data->elapsed) << what;
  EXPECT_EQ(threads->trace_hash, data->trace_hash) << what;
  expect_same_outputs(threads->outputs, plain.outputs, what + ", two threads");
}

void try_program(uint64_t seed, Totals& totals) {
  const std::string what = "seed " + std::to_string(seed);
  Prng random(seed);
  const spec::ChipSpec spec = random_chip(random.next());
  RandomTileProgram made = random_tile_program(random.next(), spec, random_sizes(random));
  ++totals.programs;
  const bool damaged = random.below(3) == 0;
  if (damaged) damage(made.program, random.next()), ++totals.damaged;
  const std::vector<isa::Finding> findings = tile::verify(made.program, spec);
  EXPECT_TRUE(damaged || findings.empty()) << what << ": " << findings[0].text();
  if (!findings.empty()) return;
  ++totals.accepted;
  const PlainResult plain = interpret(made.program, spec, made.inputs());
  if (plain.undefined.ends_with("moves no permutation")) return;  // the instruction's result is not defined
  backend::Statistics statistics;
  Result<isa::Executable> exe = backend::lower(made.program, spec, random_options(random), &statistics);
  if (!exe) {  // does not fit this chip
    EXPECT_FALSE(exe.error().message.empty()) << what;
    return;
  }
  const std::vector<isa::Finding> broken = isa::verify(*exe, spec);
  EXPECT_TRUE(broken.empty()) << what << ": " << broken[0].text();
  ++totals.lowered;
  totals.meaningless += !plain.undefined.empty();
  totals.reordered += statistics.reordered;
  totals.looping += isa::has_control(*exe);
  totals.spills += statistics.spills.saved + statistics.spills.reloaded;
  for (size_t o = 0; o < plain.executed.size(); ++o) totals.executed[o] += plain.executed[o];
  expect_agreement(*exe, spec, made.inputs(), plain, what);
}

TEST(Agreement, DataWithTimeWithoutTimeAndPlain) {
  const auto [first, last] = seeds(is_long() ? 6000 : 400);
  const auto programs = static_cast<int>(last - first);
  Totals totals;
  for (uint64_t seed = first; seed < last && !HasFailure(); ++seed) {
    ASSERT_NO_THROW(try_program(seed, totals)) << "seed " << seed;
  }
  RecordProperty("accepted", totals.accepted);
  std::printf(
      "%d programs, %d of them damaged; %d accepted, %d fit, %d with loops; %d without a meaning, %d reordered, "
      "%lu spills\n",
      totals.programs, totals.damaged, totals.accepted, totals.lowered, totals.looping, totals.meaningless,
      totals.reordered, static_cast<unsigned long>(totals.spills));
  EXPECT_GE(totals.accepted * 10, totals.programs * 6);
  EXPECT_GE(totals.lowered * 10, totals.accepted * 8);
  EXPECT_GT(totals.reordered, programs / 10);
  EXPECT_GT(totals.looping, programs / 10);
  EXPECT_GT(totals.spills, 0u);
  for (const isa::InstructionRow& row : isa::all_rows()) {
    if (isa::is_control(row.opcode) || isa::is_exchange(row.opcode)) continue;
    const uint64_t count = totals.executed[static_cast<size_t>(row.opcode)];
    std::printf("  %-24s %lu\n", std::string(row.name).c_str(), static_cast<unsigned long>(count));
    EXPECT_GE(count, is_long() ? 1000u : 10u) << row.name;
  }
}

}  // namespace
}  // namespace presil::campaign
