// Is the checker's word worth anything? A program in which it finds nothing must compute the same on every machine that
// takes its time differently. Random programs from which waits were taken away, on machines with random times.
#include <gtest/gtest.h>

#include <cstring>

#include "chip/random_program.h"
#include "system/run.h"

namespace presil::system {
namespace {

using chip::testing::random_program;
using chip::testing::RandomOptions;
using chip::testing::round_chip;

// The same machine but for its times, which vary over two orders of magnitude.
spec::ChipSpec jittered(uint64_t seed) {
  Prng prng(seed);
  spec::ChipSpec s = round_chip();
  auto factor = [&] { return 1 + prng.below(prng.below(2) ? 100 : 4); };
  for (spec::EngineSpec* e : std::initializer_list<spec::EngineSpec*>{&s.tensor, &s.vector, &s.scalar, &s.gpsimd}) {
    e->clock_hz = 10'000'000'000 / factor();
    e->latency = static_cast<Time>(10 * factor()) * kNanosecond;
  }
  s.dma.engine_bytes_per_s = s.dma.queue_bytes_per_s = 100'000'000'000 / factor();
  s.dma.start_latency_from_hbm = static_cast<Time>(10 * factor()) * kNanosecond;
  s.dma.start_latency_from_sbuf = static_cast<Time>(10 * factor()) * kNanosecond;
  s.dma.completion = static_cast<Time>(5 * factor()) * kNanosecond;
  s.semaphores.wake = static_cast<Time>(factor()) * kNanosecond;
  return s;
}

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

std::vector<std::byte> noise(size_t bytes) {
  Prng prng(77);
  std::vector<float> values(bytes / 4);
  for (float& v : values) v = prng.normal();
  std::vector<std::byte> out(bytes);
  std::memcpy(out.data(), values.data(), bytes);
  return out;
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
      Result<RunResult> r = run(exe, jittered(10 * seed + machine), {.data = true, .check = true}, {{"x", x}});
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
