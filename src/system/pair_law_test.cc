// Is the checker's word worth anything over two cores? As checker_law_test.cc asks of one: random programs of a pair
// whose transfers and increments cross, from which waits were taken and in which signals went elsewhere, on machines
// with random times.
#include <gtest/gtest.h>

#include <cstring>

#include "chip/assemble.h"
#include "system/jittered.h"
#include "system/run.h"

namespace presil::system {
namespace {

using namespace chip::testing;
using system::testing::jittered;
using system::testing::noise;
constexpr uint32_t kShares = 4;    // DMA engines of a core
constexpr uint16_t kPerCore = 8;   // semaphores of what a core raises: one per engine, then one per DMA queue
constexpr uint32_t kColumns = 32;  // of a buffer, of which each core has four
constexpr uint32_t kElements = 128 * kColumns;

struct PairProgram {
  Prng prng;
  Assembler cores[2];
  int64_t x = 0, out = 0;
  std::vector<uint32_t> raised = std::vector<uint32_t>(2 * kPerCore);

  explicit PairProgram(uint64_t seed, int instructions) : prng(seed) {
    x = cores[0].tensor("x", isa::TensorRole::input, 8 * kElements);
    out = cores[0].tensor("out", isa::TensorRole::output, 8 * kElements);
    for (uint32_t b = 0; b < 8; ++b) finish(load(b / 4, b % 4, b), b / 4, 5);
    for (int n = 0; n < instructions; ++n) add(static_cast<uint32_t>(prng.below(2)));
    for (uint32_t b = 0; b < 8; ++b) {
      const uint32_t core = b / 4;
      finish(cores[core].dma(EngineKind::sync, hbm(out + b * kElements * 4, kElements), place(b % 4)), core, 5);
    }
  }

  View place(int64_t b) const { return sbuf(128, b * 4 * kColumns, kColumns); }
  View any() { return place(static_cast<int64_t>(prng.below(4))); }

  Assembler::Last load(uint32_t core, int64_t buffer, int64_t part) {
    return cores[core].dma(EngineKind::sync, place(buffer), hbm(x + part * kElements * 4, kElements));
  }

  void add(uint32_t core) {
    Assembler& a = cores[core];
    switch (prng.below(5)) {
      case 0:
        return finish(a.add(EngineKind::vector, any(), any(), any()), core, 1);
      case 1:
        return finish(a.activation(Activation::relu, any(), any()), core, 2);
      case 2:
        return finish(a.add(EngineKind::gpsimd, any(), any(), any()), core, 3);
      case 3:  // to the other core
        return finish(a.dma(EngineKind::sync, of_peer(any()), any()), core, 5);
      default: {  // from there
        const View dst = any();
        return finish(a.dma(EngineKind::scalar, dst, of_peer(any()), 1), core, 6);
      }
    }
  }

  // After everything before it on either core, and both cores hear of it.
  void finish(const Assembler::Last& last, uint32_t core, uint32_t semaphore) {
    for (uint16_t s = 0; s < raised.size(); ++s) {
      if (raised[s] > 0) last.wait(s, raised[s]);
    }
    const uint32_t id = core * kPerCore + semaphore;
    last.signal_both(static_cast<uint16_t>(id));
    raised[id] += semaphore >= 5 ? kShares : 1;
  }

  isa::Executable exe() const { return pair_of(cores[0], cores[1]); }
};

std::vector<RunResult> on_machines(const isa::Executable& exe, uint64_t seed, std::span<const std::byte> x) {
  std::vector<RunResult> runs;
  for (uint64_t machine = 0; machine < 5; ++machine) {
    Result<RunResult> r =
        run(exe, jittered(pair_chip(), 10 * seed + machine), {.data = true, .check = true}, {{"x", x}});
    EXPECT_TRUE(r) << r.error().text();
    runs.push_back(std::move(*r));
  }
  return runs;
}

TEST(PairLaw, WithoutFindingsTimeDoesNotChangeData) {
  const std::vector<std::byte> x = noise(8 * kElements * 4);
  int clean = 0, found = 0, different = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    isa::Executable exe = PairProgram(seed, 14).exe();
    Prng prng(seed + 1000);
    for (uint64_t left = 12 * (seed % 5); left > 0; --left) {
      isa::Program& p = exe.queues[prng.below(exe.queues.size())];
      if (!p.waits.empty()) p.waits[prng.below(p.waits.size())].value = 0;
    }
    const std::vector<RunResult> runs = on_machines(exe, seed, x);
    const bool races = !runs[0].findings.empty();
    bool differs = false;
    for (const RunResult& r : runs) {
      EXPECT_EQ(!r.findings.empty(), races) << "one run judges all of them; seed " << seed;
      differs |= r.outputs[0].bytes != runs[0].outputs[0].bytes;
    }
    EXPECT_TRUE(races || !differs) << "seed " << seed;
    EXPECT_FALSE(races && seed % 5 == 0) << "nothing was taken away; seed " << seed;
    (races ? found : clean) += 1;
    different += differs;
  }
  EXPECT_GE(clean, 10);
  EXPECT_GT(found, 10);
  EXPECT_GT(different, 0);
}

// A signal that goes to one core only, or to another semaphore, is missed: the run does not end, or the checker speaks.
TEST(PairLaw, ASignalThatGoesElsewhereIsFound) {
  const std::vector<std::byte> x = noise(8 * kElements * 4);
  int deadlocks = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    isa::Executable exe = PairProgram(seed, 14).exe();
    const std::vector<RunResult> before = on_machines(exe, seed, x);
    Prng prng(seed + 2000);
    isa::Program* p = nullptr;
    do p = &exe.queues[prng.below(exe.queues.size())];
    while (p->code.empty());
    isa::Instruction& i = p->code[prng.below(p->code.size())];
    switch (seed % 3) {
      case 0:
        i.signal_to = isa::SignalTo::own;
        break;
      case 1:
        i.signal_to = isa::SignalTo::peer;
        break;
      default:
        i.signal = static_cast<uint16_t>((i.signal + 1 + prng.below(14)) % (2 * kPerCore));
        exe.semaphores = 2 * kPerCore;
    }
    for (size_t machine = 0; machine < before.size(); ++machine) {
      Result<RunResult> r =
          run(exe, jittered(pair_chip(), 10 * seed + machine), {.data = true, .check = true}, {{"x", x}});
      ASSERT_TRUE(r) << r.error().text();
      const bool same = r->outputs[0].bytes == before[machine].outputs[0].bytes;
      const bool noticed = !r->outcome.ok() || !r->findings.empty();
      EXPECT_TRUE(noticed || same) << "seed " << seed;
      deadlocks += r->outcome.kind == chip::Outcome::Kind::deadlock;
    }
  }
  EXPECT_GT(deadlocks, 50);
}

}  // namespace
}  // namespace presil::system
