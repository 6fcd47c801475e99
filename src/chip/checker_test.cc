// Does the checker find each fault that can be planted into a correct program, and nothing in a correct one?
#include "chip/checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "chip/assemble.h"

namespace presil::chip {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Target = isa::Delta::Target;
using Kind = Finding::Kind;
constexpr EngineKind kVector = EngineKind::vector, kScalar = EngineKind::scalar, kSync = EngineKind::sync,
                     kTensor = EngineKind::tensor, kGpsimd = EngineKind::gpsimd;

struct Checked {
  Outcome outcome;
  std::vector<Finding> findings;
};

Checked check(const isa::Executable& exe, const spec::ChipSpec& spec = round_chip()) {
  Result<Loaded> loaded = load(exe, spec);
  EXPECT_TRUE(loaded) << loaded.error().text();
  Checker checker(exe, spec);
  CoreOptions options;
  options.observers = {&checker};
  Outcome outcome = run_core(exe, *loaded, spec, options, nullptr).outcome;
  return {outcome, checker.findings()};
}
Checked check(const Assembler& a) { return check(a.exe); }

std::vector<std::string> texts(const Checked& c) {
  std::vector<std::string> all;
  for (const Finding& f : c.findings) all.push_back(std::string(finding_name(f.kind)) + ": " + f.text);
  return all;
}

// Three rounds of load (sync), multiply and accumulate (tensor), copy out (vector), activate (scalar), store (gpsimd),
// every buffer used again in every round. Every wait is needed.
enum Semaphore : uint16_t { kLoadX, kLoadW, kProduct, kCopied, kActivated, kStored };
constexpr int kRounds = 3;
constexpr int64_t kX = 0, kW = 4096, kC = 8192, kE = 12288;  // SBUF
constexpr uint32_t kShares = 4;                              // DMA engines of the chip

Assembler pipeline() {
  Assembler a;
  int64_t x = a.tensor("x", isa::TensorRole::input, kRounds * 128 * 64);
  int64_t w = a.tensor("w", isa::TensorRole::constant, 128 * 64);
  int64_t out = a.tensor("out", isa::TensorRole::output, kRounds * 64 * 64);
  a.dma(kSync, sbuf(128, kX, 64), hbm(x, 128 * 64))
      .wait(kProduct, 0)
      .grow(Target::wait, 0, 0, 1)
      .grow(Target::operand, 1, 0, 128 * 64 * 4)
      .signal(kLoadX);
  a.dma(kSync, sbuf(128, kW, 64), hbm(w, 128 * 64), 1).signal(kLoadW);
  a.repeat(kSync, 2, kRounds);

  a.matmul(psum(64, 0, 64), sbuf(128, kW, 64), sbuf(128, kX, 64))
      .wait(kLoadX, kShares)
      .wait(kLoadW, kShares)
      .wait(kCopied, 0)
      .grow(Target::wait, 0, 0, kShares)
      .grow(Target::wait, 1, 0, kShares)
      .grow(Target::wait, 2, 0, 1);
  a.matmul(psum(64, 0, 64), sbuf(128, kW, 64), sbuf(128, kX, 64), true).signal(kProduct);
  a.repeat(kTensor, 2, kRounds);

  a.copy(kVector, sbuf(64, kC, 64), psum(64, 0, 64))
      .wait(kProduct, 1)
      .wait(kActivated, 0)
      .grow(Target::wait, 0, 0, 1)
      .grow(Target::wait, 1, 0, 1)
      .signal(kCopied);
  a.repeat(kVector, 1, kRounds);

  a.activation(Activation::exp, sbuf(64, kE, 64), sbuf(64, kC, 64))
      .wait(kCopied, 1)
      .wait(kStored, 0)
      .grow(Target::wait, 0, 0, 1)
      .grow(Target::wait, 1, 0, kShares)
      .signal(kActivated);
  a.repeat(kScalar, 1, kRounds);

  a.dma(kGpsimd, hbm(out, 64 * 64), sbuf(64, kE, 64), 2)
      .wait(kActivated, 1)
      .grow(Target::wait, 0, 0, 1)
      .grow(Target::operand, 0, 0, 64 * 64 * 4)
      .signal(kStored);
  a.repeat(kGpsimd, 1, kRounds);
  return a;
}

isa::Program& queue(isa::Executable& exe, EngineKind e) { return exe.queues[static_cast<size_t>(e)]; }

TEST(Checker, ACorrectProgramHasNoFindings) {
  Checked c = check(pipeline());
  EXPECT_TRUE(c.outcome.ok()) << outcome_text(c.outcome);
  EXPECT_THAT(texts(c), ElementsAre());
}

TEST(Checker, EveryDroppedWaitIsFoundWhereItWasDropped) {
  const Assembler correct = pipeline();
  int dropped = 0;
  for (size_t q = 0; q < correct.exe.queues.size(); ++q) {
    for (uint32_t pc = 0; pc < correct.exe.queues[q].code.size(); ++pc) {
      for (uint32_t k = 0; k < correct.exe.queues[q].code[pc].wait_count; ++k) {
        isa::Executable exe = correct.exe;
        isa::Program& p = exe.queues[q];
        const isa::Instruction& i = p.code[pc];
        p.waits[i.wait_begin + k].value = 0;
        for (uint32_t d = i.delta_begin; d < i.delta_begin + i.delta_count; ++d) {
          if (p.deltas[d].target == Target::wait && p.deltas[d].index == k) p.deltas[d].step = 0;
        }
        Checked c = check(exe);
        ++dropped;
        ASSERT_FALSE(c.findings.empty()) << instruction_text(exe, static_cast<uint32_t>(q), pc) << " wait " << k;
        EXPECT_EQ(c.findings[0].site, (Site{static_cast<uint32_t>(q), pc})) << c.findings[0].text;
      }
    }
  }
  EXPECT_EQ(dropped, 9);
}

TEST(Checker, EveryLoweredWaitIsFound) {
  const Assembler correct = pipeline();
  for (size_t q = 0; q < correct.exe.queues.size(); ++q) {
    for (uint32_t k = 0; k < correct.exe.queues[q].waits.size(); ++k) {
      isa::Executable exe = correct.exe;
      if (exe.queues[q].waits[k].value == 0) continue;  // the first round needs nothing; covered by dropping
      --exe.queues[q].waits[k].value;
      EXPECT_FALSE(check(exe).findings.empty()) << "queue " << q << " wait " << k;
    }
  }
}

// One share less is one share that may be late, whichever it is.
TEST(Checker, OneShareLessIsARace) {
  Assembler a = pipeline();
  queue(a.exe, kTensor).waits[0].value = kShares - 1;
  std::vector<std::string> found = texts(check(a));
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0],
            "race: tensor instruction 0 (nc_matmul) of test of node (layer layer0) reads sbuf partitions [0, 128) "
            "bytes [0, 256); no semaphore orders it after sync instruction 0 (dma_copy) of test of node (layer "
            "layer0), which writes there");
}

TEST(Checker, ARemovedLoadIsANeverWrittenRead) {
  Assembler a = pipeline();
  isa::Instruction& load = queue(a.exe, kSync).code[1];
  queue(a.exe, kSync).views[load.operand_begin].offset = 65536;  // somewhere else
  std::vector<std::string> found = texts(check(a));
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0],
            "never_written: tensor instruction 0 (nc_matmul) of test of node (layer layer0) reads sbuf partitions "
            "[0, 128) bytes [4096, 4352) that nothing has written");
}

TEST(Checker, SwappedAddressesAreFound) {
  Assembler a = pipeline();
  isa::Program& sync = queue(a.exe, kSync);
  std::swap(sync.views[sync.code[0].operand_begin].offset, sync.views[sync.code[1].operand_begin].offset);
  Assembler outputs = pipeline();  // the store reads what the vector engine is about to overwrite
  isa::Program& gpsimd = queue(outputs.exe, kGpsimd);
  gpsimd.views[gpsimd.code[0].operand_begin + 1].offset = kC;
  EXPECT_TRUE(check(a).findings.empty());  // both loads are awaited by the same instruction: still ordered
  EXPECT_THAT(texts(check(outputs)), ::testing::Contains(HasSubstr("race: vector instruction 0")));
}

TEST(Checker, AccumulatingWithoutAStartIsFound) {
  Assembler a = pipeline();
  isa::Program& tensor = queue(a.exe, kTensor);
  tensor.attributes[tensor.code[0].attribute_begin] = 1;
  EXPECT_THAT(texts(check(a)),
              ElementsAre("psum: tensor instruction 0 (nc_matmul) of test of node (layer layer0) accumulates onto psum "
                          "partitions [0, 64) bytes [0, 256) that no matmul has started"));
}

TEST(Checker, AccumulatingOntoAnotherEnginesDataIsFound) {
  auto program = [](bool restart) {
    Assembler a;
    a.memset(kVector, sbuf(128, 0, 64)).signal(0);
    a.memset(kVector, psum(64, 0, 64)).signal(0);
    a.matmul(psum(64, 0, 64), sbuf(128, 0, 64), sbuf(128, 0, 64), !restart).wait(0, 2);
    a.matmul(psum(64, 0, 64), sbuf(128, 0, 64), sbuf(128, 0, 64), true);
    return texts(check(a));
  };
  EXPECT_THAT(program(true), ElementsAre());
  EXPECT_THAT(program(false)[0], HasSubstr("psum: tensor instruction 0 (nc_matmul) of test of node (layer layer0) "
                                           "accumulates onto psum partitions [0, 64) bytes [0, 256) that another "
                                           "engine has written"));
}

// A reader between two accumulating matmuls that does not hold the second one back.
TEST(Checker, AReadInTheMiddleOfAnAccumulationIsARace) {
  Assembler a;
  a.memset(kVector, sbuf(128, 0, 64)).signal(0);
  a.matmul(psum(64, 0, 64), sbuf(128, 0, 64), sbuf(128, 0, 64)).wait(0, 1).signal(1);
  a.matmul(psum(64, 0, 64), sbuf(128, 0, 64), sbuf(128, 0, 64), true).signal(1);
  a.copy(kVector, sbuf(64, 4096, 64), psum(64, 0, 64)).wait(1, 1);
  EXPECT_THAT(texts(check(a)), ElementsAre(HasSubstr("race: ")));
}

TEST(Checker, CrossedWaitsAreADeadlock) {
  Assembler a = pipeline();
  isa::Program& sync = queue(a.exe, kSync);
  ++sync.waits[0].value;  // the load waits for the product that needs it
  Checked c = check(a);
  EXPECT_EQ(c.outcome.kind, Outcome::Kind::deadlock);
  EXPECT_THAT(c.outcome.detail, HasSubstr("waits for semaphore 2 >= 1, which is at 0: tensor instruction 1 (nc_matmul) "
                                          "would raise it"));
}

TEST(Checker, AnEngineWaitsForItsOwnResultsButNotForItsOwnReads) {
  auto program = [](bool waits) {
    Assembler a;
    a.memset(kVector, sbuf(128, 0, 64)).signal(0);
    auto copy = a.copy(kVector, sbuf(128, 4096, 64), sbuf(128, 0, 64)).signal(0);
    if (waits) copy.wait(0, 1);
    a.memset(kVector, sbuf(128, 0, 64)).signal(0);     // after its own read: in order
    a.memset(kVector, sbuf(128, 4096, 64)).signal(0);  // after its own write: in order
    return texts(check(a));
  };
  EXPECT_THAT(program(true), ElementsAre());
  EXPECT_THAT(program(false), ElementsAre(HasSubstr("race: vector instruction 1 (tensor_copy)")));
}

// Two transfers on one semaphore: their shares may rise in any mixture.
TEST(Checker, TransfersThatShareASemaphoreAreOrderedOnlyTogether) {
  auto program = [](uint32_t first_wait, bool late_trigger) {
    Assembler a;
    int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 64);
    a.dma(kSync, sbuf(128, 0, 64), hbm(x, 128 * 64)).signal(0);
    if (late_trigger) a.wait(kSync).wait(1, 1);
    a.dma(kSync, sbuf(128, 4096, 64), hbm(x, 128 * 64)).signal(0);
    a.copy(kVector, sbuf(128, 8192, 64), sbuf(128, 0, 64)).wait(0, first_wait).signal(1);
    a.copy(kVector, sbuf(128, 12288, 64), sbuf(128, 4096, 64)).wait(0, 2 * kShares);
    return check(a);
  };
  EXPECT_THAT(texts(program(2 * kShares, false)), ElementsAre());
  EXPECT_THAT(texts(program(kShares, true)), ElementsAre());
  EXPECT_THAT(texts(program(kShares, false)), ElementsAre(HasSubstr("race: vector instruction 0 (tensor_copy)")));
}

// The second transfer is triggered after the wait in this run, but nothing says so.
TEST(Checker, AWaitThatALaterTransferCouldSatisfyIsAmbiguous) {
  Assembler a;
  int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 64);
  a.dma(kSync, sbuf(128, 0, 64), hbm(x, 128 * 64)).signal(0);
  a.memset(kGpsimd, sbuf(128, 65536, 16384));  // keeps the second trigger away
  a.dma(kGpsimd, sbuf(128, 4096, 64), hbm(x, 128 * 64), 1).signal(0);
  a.copy(kVector, sbuf(128, 8192, 64), sbuf(128, 0, 64)).wait(0, kShares);
  EXPECT_THAT(texts(check(a)),
              ElementsAre("ambiguous_wait: vector instruction 0 (tensor_copy) of test of node (layer layer0) waits for "
                          "semaphore 0, which gpsimd instruction 1 (dma_copy) of test of node (layer layer0) can raise "
                          "as well before what it waits for"));
}

TEST(Checker, SemaphoresOfTwoEnginesOrderOnlyWhenBothAreIn) {
  auto program = [](uint32_t value) {
    Assembler a;
    a.memset(kVector, sbuf(128, 0, 64)).signal(0);
    a.memset(kGpsimd, sbuf(128, 4096, 64)).signal(0);
    a.copy(kScalar, sbuf(128, 8192, 64), sbuf(128, 0, 64)).wait(0, value);
    return texts(check(a));
  };
  EXPECT_THAT(program(2), ElementsAre());
  EXPECT_THAT(program(1), ElementsAre(HasSubstr("race: scalar instruction 0")));
}

TEST(Checker, StridedNeighboursDoNotConflict) {
  auto program = [](int64_t other) {
    Assembler a;
    a.memset(kVector, view(Memory::sbuf, 0, 128, 0, {{2, 64}}));
    a.memset(kGpsimd, view(Memory::sbuf, 0, 128, other, {{2, 64}}));
    return check(a).findings.size();
  };
  EXPECT_EQ(program(4), 0u);
  EXPECT_EQ(program(0), 1u);
}

TEST(Checker, HbmIsCheckedToo) {
  Assembler a;
  int64_t scratch = a.tensor("scratch", isa::TensorRole::scratch, 128 * 64);
  a.memset(kVector, sbuf(128, 0, 64)).signal(0);
  a.dma(kSync, hbm(scratch, 128 * 64), sbuf(128, 0, 64)).wait(0, 1).signal(1);
  a.dma(kSync, sbuf(128, 4096, 64), hbm(scratch, 128 * 64)).wait(1, kShares - 1);
  a.dma(kSync, sbuf(128, 8192, 64), hbm(scratch, 128 * 64)).wait(1, kShares);
  EXPECT_THAT(
      texts(check(a)),
      ElementsAre("race: sync instruction 1 (dma_copy) of test of node (layer layer0) reads hbm bytes [0, 32768) "
                  "of tensor 'scratch'; no semaphore orders it after sync instruction 0 (dma_copy) of test of "
                  "node (layer layer0), which writes there"));
  Assembler unwritten;
  int64_t nothing = unwritten.tensor("scratch", isa::TensorRole::scratch, 128 * 64);
  unwritten.dma(kSync, sbuf(128, 0, 64), hbm(nothing, 128 * 64));
  EXPECT_THAT(texts(check(unwritten)), ElementsAre(HasSubstr("never_written: sync instruction 0 (dma_copy)")));
}

}  // namespace
}  // namespace presil::chip
