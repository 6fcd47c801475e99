// Is the checker's word worth anything? A program in which it finds nothing must compute the same on every machine that
// takes its time differently. Random programs from which waits were taken away, on machines with random times.
#include <gtest/gtest.h>

#include "chip/random_program.h"
#include "system/jittered.h"
#include "system/run.h"

namespace presil::system {
namespace {

using chip::testing::random_program;
using chip::testing::RandomOptions;
using chip::testing::round_chip;
using testing::jittered;
using testing::noise;

// `count` random waits satisfied from the start.
isa::Executable without_waits(isa::Executable exe, uint64_t seed, uint64_t count) {
  Prng prng(seed);
  std::vector<isa::Wait*> waits;
  for (isa::Program& p : exe.queues) {
    for (isa::Wait& w : p.waits) waits.push_back(&w);
  }
  for (; count > 0; --count) waits[prng.below(waits.size())]->value = 0;
  return exe;
}

TEST(CheckerLaw, WithoutFindingsTimeDoesNotChangeData) {
  const std::vector<std::byte> x = noise(128 * 4096 * 4);
  int clean = 0, found = 0, different = 0;
  for (uint64_t seed = 0; seed < 80; ++seed) {
    RandomOptions options;
    options.instructions = 16;
    options.ordered = options.written = true;
    const isa::Executable exe = without_waits(random_program(seed, options).exe, seed, 40 * (seed % 5));
    std::vector<RunResult> runs;
    for (uint64_t machine = 0; machine < 6; ++machine) {
      Result<RunResult> r =
          run(exe, jittered(round_chip(), 10 * seed + machine), {.data = true, .check = true}, {{"x", x}});
      ASSERT_TRUE(r) << r.error().text();
      runs.push_back(std::move(*r));
    }
    const bool races = !runs[0].findings.empty();
    bool differs = false;
    for (const RunResult& r : runs) {
      EXPECT_EQ(!r.findings.empty(), races) << "one run judges all of them; seed " << seed;
      differs |= r.outputs[0].bytes != runs[0].outputs[0].bytes;
    }
    EXPECT_TRUE(races || !differs) << "seed " << seed;
    (races ? found : clean) += 1;
    different += differs;
  }
  // The law is about something: there are programs of each kind, and some of the racing ones do show it.
  EXPECT_GT(clean, 10);
  EXPECT_GT(found, 10);
  EXPECT_GT(different, 0);
}

}  // namespace
}  // namespace presil::system
