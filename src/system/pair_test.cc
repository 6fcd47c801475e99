// Two cores of a pair: do transfers and increments reach the other one, when they should, and does the checker see
// both?
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "chip/assemble.h"
#include "system/run.h"

namespace presil::system {
namespace {

using namespace chip::testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
constexpr EngineKind kVector = EngineKind::vector, kScalar = EngineKind::scalar, kSync = EngineKind::sync;
constexpr uint32_t kShares = 4;  // DMA engines of a core

RunResult done(const isa::Executable& exe, const Options& options = {}, const std::vector<Input>& inputs = {},
               trace::Sink* sink = nullptr) {
  Result<RunResult> r = run(exe, pair_chip(), options, inputs, sink);
  EXPECT_TRUE(r) << r.error().text();
  return *r;
}

std::vector<std::string> texts(const RunResult& r) {
  std::vector<std::string> all;
  for (const chip::Finding& f : r.findings) all.push_back(f.text);
  return all;
}

std::vector<float> floats(const Output& out) {
  std::vector<float> x(out.bytes.size() / 4);
  std::memcpy(x.data(), out.bytes.data(), out.bytes.size());
  return x;
}

// Core 0 loads x and doubles it; its DMA engines put the result into core 1, which adds 1 and stores. Core 1 says first
// that its buffer may be written: it fills it before.
enum Semaphore : uint16_t { kLoaded, kDoubled, kFree, kArrived, kAdded, kOne };
struct Relay {
  Assembler a, b;
  Relay() {
    const int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 8),
                  y = a.tensor("y", isa::TensorRole::output, 128 * 8);
    a.dma(kSync, sbuf(128, 0, 8), hbm(x, 128 * 8)).signal(kLoaded);
    a.add(kVector, sbuf(128, 64, 8), sbuf(128, 0, 8), sbuf(128, 0, 8)).wait(kLoaded, kShares).signal(kDoubled);
    a.dma(kSync, of_peer(sbuf(128, 256, 8)), sbuf(128, 64, 8)).wait(kDoubled, 1).wait(kFree, 1).signal_both(kArrived);
    b.memset(kVector, sbuf(128, 256, 8), 7).signal_peer(kFree);
    b.memset(kVector, sbuf(128, 512, 8), 1).signal(kOne);
    b.add(kVector, sbuf(128, 640, 8), sbuf(128, 256, 8), sbuf(128, 512, 8))
        .wait(kArrived, kShares)
        .wait(kOne, 1)
        .signal(kAdded);
    b.dma(kSync, hbm(y, 128 * 8), sbuf(128, 640, 8)).wait(kAdded, 1);
  }
  isa::Executable exe() const { return pair_of(a, b); }
};

TEST(Pair, ATransferIntoTheOtherCoreComputesAndIsInOrder) {
  std::vector<float> x(128 * 8);
  for (size_t n = 0; n < x.size(); ++n) x[n] = static_cast<float>(n);
  const std::vector<Input> inputs{{"x", std::as_bytes(std::span(x))}};
  const isa::Executable exe = Relay().exe();
  const RunResult time = done(exe);
  for (uint32_t threads : {1u, 2u}) {
    const RunResult r = done(exe, {.data = true, .check = true, .threads = threads}, inputs);
    EXPECT_TRUE(r.outcome.ok()) << chip::outcome_text(r.outcome);
    EXPECT_THAT(texts(r), IsEmpty());
    EXPECT_EQ(r.trace_hash, time.trace_hash);
    EXPECT_EQ(r.elapsed, time.elapsed);
    const std::vector<float> y = floats(r.outputs[0]);
    for (size_t n = 0; n < y.size(); ++n) ASSERT_EQ(y[n], 2 * x[n] + 1) << n;
  }
}

// An engine's increment of the other core's semaphore is seen remote_wake later, that of its own wake later: with
// instructions of 10 ns and 100 ns latency.
TEST(Pair, ARemoteIncrementTakesItsTime) {
  for (const bool remote : {false, true}) {
    Assembler a, b;
    auto first = a.memset(kVector, sbuf(128, 0, 8));
    remote ? first.signal_peer(0) : first.signal(0);
    (remote ? b : a).memset(kScalar, sbuf(128, 64, 8)).wait(0, 1);
    const RunResult r = done(pair_of(a, b));
    ASSERT_TRUE(r.outcome.ok()) << chip::outcome_text(r.outcome);
    EXPECT_EQ(r.elapsed, (108 + (remote ? 50 : 30) + 108) * kNanosecond);
  }
}

// A wait of one core that the other one's transfer ended is traced to a share of the other one.
TEST(Pair, TheTraceNamesTheOtherCore) {
  trace::Trace trace;
  const RunResult r = done(Relay().exe(), {}, {}, &trace);
  ASSERT_TRUE(r.outcome.ok());
  std::vector<std::string> names;
  for (const trace::Lane& lane : trace.lane_list) names.push_back(lane.name);
  EXPECT_EQ(names.size(), 18u);
  EXPECT_EQ(names[1] + " " + names[6] + " " + names[13] + " " + names[14],
            "core0.vector core1.vector core0.dma3 core1.dma0");
  bool seen = false;
  for (const trace::Event& e : trace.events) {
    if (names[e.lane] != "core1.vector" || e.instruction != 2) continue;
    seen = true;
    ASSERT_EQ(e.release, trace::Release::semaphore);
    EXPECT_EQ(e.semaphore, kArrived);
    EXPECT_EQ(names[trace.events[e.cause].lane].substr(0, 9), "core0.dma");
  }
  EXPECT_TRUE(seen);
}

// Without any one of the waits between the cores, the checker says so and names both sides.
TEST(Pair, TheCheckerFindsRacesOfTheTwoCores) {
  isa::Executable exe = Relay().exe();
  auto waits = [](isa::Executable& e, size_t queue, uint32_t instruction) -> isa::Wait* {
    return &e.queues[queue].waits[e.queues[queue].code[instruction].wait_begin];
  };
  isa::Executable unfree = exe;
  waits(unfree, 4, 1)[1].value = 0;  // the transfer no longer waits for the buffer
  EXPECT_THAT(texts(done(unfree, {.check = true})),
              ElementsAre("core0.sync instruction 1 (dma_copy) of test of node (layer layer0) writes core1.sbuf "
                          "partitions [0, 128) bytes [256, 288); no semaphore orders it after core1.vector instruction "
                          "0 (memset) of test of node (layer layer0), which writes there"));
  isa::Executable early = exe;
  waits(early, 6, 2)[0].value = 0;  // core 1 reads before the transfer has ended
  const RunResult r = done(early, {.check = true});
  EXPECT_EQ(r.outcome.kind, chip::Outcome::Kind::race);
  EXPECT_THAT(texts(r), ElementsAre("core0.sync instruction 1 (dma_copy) of test of node (layer layer0) writes "
                                    "core1.sbuf partitions [0, 128) bytes [256, 288); no semaphore orders it after "
                                    "core1.vector instruction 2 (tensor_tensor) of test of node (layer layer0), which "
                                    "reads there"));
}

// Each core waits for the other: both are named.
TEST(Pair, ADeadlockOfTheTwoCoresNamesBoth) {
  Assembler a, b;
  a.memset(kVector, sbuf(128, 0, 8)).wait(0, 1).signal_peer(0);
  b.memset(kScalar, sbuf(128, 0, 8)).wait(0, 1).signal_peer(0);
  const RunResult r = done(pair_of(a, b));
  EXPECT_EQ(r.outcome.kind, chip::Outcome::Kind::deadlock);
  EXPECT_EQ(
      chip::outcome_text(r.outcome),
      "deadlock: core0.vector instruction 0 (test of node (layer layer0)): core0.vector instruction 0 (memset) of "
      "test of node (layer layer0) waits for semaphore 0 >= 1, which is at 0: core1.scalar instruction 0 (memset) "
      "would raise it; core1.scalar instruction 0 (memset) of test of node (layer layer0) waits for semaphore 0 >= "
      "1, which is at 0: core0.vector instruction 0 (memset) would raise it");
}

// Two cores that have nothing to do with each other take as long as each for itself, with the stack for both.
TEST(Pair, CoresThatDoNotTalkAreIndependent) {
  const Relay relay;
  Assembler alone;
  const int64_t x = alone.tensor("x", isa::TensorRole::input, 128 * 64);
  alone.dma(kSync, sbuf(128, 0, 64), hbm(x, 128 * 64)).signal(0);
  alone.add(kVector, sbuf(128, 1024, 64), sbuf(128, 0, 64), sbuf(128, 0, 64)).wait(0, kShares);
  Result<RunResult> one = run(alone.exe, pair_chip());
  ASSERT_TRUE(one);
  const RunResult both = done(pair_of(alone, alone), {.check = true});
  EXPECT_TRUE(both.outcome.ok()) << chip::outcome_text(both.outcome);
  EXPECT_EQ(both.elapsed, one->elapsed);
  ASSERT_EQ(both.counters.engines.size(), 10u);
  ASSERT_EQ(both.counters.dma.size(), 8u);
  EXPECT_EQ(both.counters.engines[6].name, "core1.vector");
  for (size_t q = 0; q < 5; ++q) {
    EXPECT_EQ(both.counters.engines[q].busy, one->counters.engines[q].busy);
    EXPECT_EQ(both.counters.engines[q + 5].waits, one->counters.engines[q].waits);
  }
  for (size_t e = 0; e < 4; ++e) EXPECT_EQ(both.counters.dma[e + 4].busy, one->counters.dma[e].busy);
}

// Both cores' transfers raise one semaphore: each of its increments counts, and the reader waits for both.
TEST(Pair, TransfersOfBothCoresMayRaiseOneSemaphore) {
  Assembler a, b;
  const int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 16);
  a.dma(kSync, of_peer(sbuf(128, 0, 8)), hbm(x, 128 * 8)).signal_peer(0);
  b.dma(kSync, sbuf(128, 32, 8), hbm(x, 128 * 8)).signal(0);
  b.add(kVector, sbuf(128, 64, 8), sbuf(128, 0, 8), sbuf(128, 32, 8)).wait(0, 2 * kShares);
  EXPECT_THAT(texts(done(pair_of(a, b), {.check = true})), IsEmpty());
  b.exe.queues[static_cast<size_t>(kVector)].waits[0].value = kShares;
  EXPECT_THAT(texts(done(pair_of(a, b), {.check = true})), ::testing::SizeIs(2));
}

TEST(Pair, SeveralPairsShareAChip) {
  spec::ChipSpec spec = pair_chip();
  spec.cores = 8, spec.hbm.stacks = 4;
  EXPECT_EQ(cores_of_run(spec, 3, 2), (std::vector<uint32_t>{0, 2, 4}));
  spec.hbm.stacks = 2;
  EXPECT_EQ(cores_of_run(spec, 4, 2), (std::vector<uint32_t>{0, 4, 2, 6}));
  isa::Executable exe = Relay().exe();
  exe.cores = 4;
  for (isa::HbmTensor& t : exe.tensors) t.shape = {4, 256}, t.split_axis = 0, t.bytes = 128 * 8 * 4;
  Result<RunResult> once = run(exe, spec), all = run(exe, spec, {.every_core = true});
  ASSERT_TRUE(once) << once.error().text();
  ASSERT_TRUE(all) << all.error().text();
  EXPECT_EQ(once->trace_hash, all->trace_hash);
  EXPECT_EQ(once->elapsed, all->elapsed);
  EXPECT_EQ(all->cores[1].core, 4u);
}

TEST(Pair, Errors) {
  auto error = [](const isa::Executable& e, const spec::ChipSpec& spec) {
    Result<RunResult> r = run(e, spec);
    return r ? std::string("none") : r.error().text();
  };
  isa::Executable exe = Relay().exe();
  EXPECT_EQ(error(exe, round_chip()), "a logical core of 2 physical cores, chip round has logical cores of up to 1");
  exe.cores = 2;
  EXPECT_EQ(error(exe, pair_chip()), "compiled for 2 logical cores, chip round has 1");
  exe.cores = 1;
  spec::ChipSpec lonely = pair_chip();
  lonely.hbm.stacks = 2;
  EXPECT_EQ(error(exe, lonely), "compiled for logical cores of 2, a stack of chip round has 1 cores");
  isa::Executable one = Relay().a.exe;
  EXPECT_EQ(error(one, pair_chip()),
            "queue 4 instruction 1: signals the other core's semaphore 3, the executable is for one");
  one.queues[4].code[1].signal_to = isa::SignalTo::own;
  EXPECT_EQ(error(one, pair_chip()),
            "queue 4 instruction 1: dma_copy dst is in sbuf of another core, where it does not reach");
  exe.queues[5].core = 2;
  EXPECT_EQ(error(exe, pair_chip()), "queue 5: is for core 2 of a logical core, which has 2");
}

}  // namespace
}  // namespace presil::system
