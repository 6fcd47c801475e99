// Is each rule of time tight? Closed forms of small programs.
#include "chip/core.h"

#include <gtest/gtest.h>

#include "chip/assemble.h"

namespace presil::chip {
namespace {

using namespace testing;
constexpr Time ns = kNanosecond;
constexpr EngineKind kVector = EngineKind::vector, kScalar = EngineKind::scalar, kSync = EngineKind::sync,
                     kTensor = EngineKind::tensor, kGpsimd = EngineKind::gpsimd;

struct Timed {
  trace::Trace trace;
  CoreResult result;
  // Events of a lane, in order.
  std::vector<trace::Event> lane(uint32_t index) const {
    std::vector<trace::Event> events;
    for (const trace::Event& e : trace.events) {
      if (e.lane == index) events.push_back(e);
    }
    return events;
  }
  std::vector<trace::Event> engine(EngineKind e) const { return lane(static_cast<uint32_t>(e)); }
  std::vector<trace::Event> dma(uint32_t e) const { return lane(isa::kEngineKindCount + e); }
};

Timed run(const Assembler& a, const spec::ChipSpec& spec = round_chip(), const CoreOptions& options = {}) {
  Timed r;
  Result<Loaded> loaded = load(a.exe, spec);
  EXPECT_TRUE(loaded) << loaded.error().text();
  r.result = run_core(a.exe, *loaded, spec, options, &r.trace);
  return r;
}

std::vector<Time> starts(const std::vector<trace::Event>& events) {
  std::vector<Time> all;
  for (const trace::Event& e : events) all.push_back(e.start);
  return all;
}

TEST(Core, WhatHasNoMeaningIsRefused) {
  auto message = [](void (*damage)(Assembler&)) {
    Assembler a;
    int64_t x = a.tensor("x", isa::TensorRole::input, 128);
    a.dma(kSync, sbuf(128, 0, 1), hbm(x, 128));
    a.copy(kVector, sbuf(128, 0, 50), sbuf(128, 65536, 50));
    damage(a);
    Result<Loaded> loaded = load(a.exe, round_chip());
    return loaded ? "accepted" : loaded.error().text();
  };
  EXPECT_EQ(message([](Assembler&) {}), "accepted");
  EXPECT_EQ(message([](Assembler& a) { a.queue(kVector).views[0].dims[0].count = 0; }),
            "queue 1 instruction 0: tensor_copy dst has 0 elements, from 1 to 1.1e+12");
  EXPECT_EQ(message([](Assembler& a) { a.queue(kVector).views[1] = {}; }),
            "queue 1 instruction 0: tensor_copy has no operand 'src'");
  EXPECT_EQ(message([](Assembler& a) { a.queue(kVector).views[1].base = 7; }),
            "queue 1 instruction 0: tensor_copy src is on tile or tensor 7, not placed");
  EXPECT_EQ(message([](Assembler& a) { a.queue(kSync).views[1].dims[0].count = 127; }),
            "queue 4 instruction 0: dma_copy src has 127 elements, dst 128");
  EXPECT_EQ(message([](Assembler& a) { a.exe.tensors[0].address = uint64_t{1} << 60; }),
            "tensor 'x': 512 bytes at 1152921504606846976 are outside of the executable's 512 bytes of HBM");
  EXPECT_EQ(message([](Assembler& a) { a.exe.hbm_bytes = uint64_t{1} << 60; }),
            "1152921504606846976 bytes of HBM used, a core of chip round reaches 1073741824");
}

TEST(Core, AnIndependentStreamPaysOccupancyAndOneLatency) {
  Assembler a;
  for (int i = 0; i < 5; ++i) a.copy(kVector, sbuf(128, 4096 * i, 50), sbuf(128, 65536, 50));
  Timed r = run(a);
  EXPECT_EQ(starts(r.engine(kVector)), (std::vector<Time>{0, 50 * ns, 100 * ns, 150 * ns, 200 * ns}));
  EXPECT_EQ(r.result.elapsed, (5 * 50 + 100) * ns);
  EXPECT_EQ(r.result.outcome.kind, Outcome::Kind::done);
}

TEST(Core, ADependentChainPaysLatencyAndWake) {
  Assembler a;
  a.copy(kVector, sbuf(128, 0, 50), sbuf(128, 65536, 50)).signal(0);
  a.copy(kVector, sbuf(128, 4096, 50), sbuf(128, 0, 50)).wait(0, 1).signal(0);
  a.copy(kScalar, sbuf(128, 8192, 50), sbuf(128, 4096, 50)).wait(0, 2);
  Timed r = run(a);
  EXPECT_EQ(r.engine(kVector)[1].start, (150 + 30) * ns);
  EXPECT_EQ(r.engine(kVector)[1].release, trace::Release::semaphore);
  EXPECT_EQ(r.engine(kVector)[1].cause, 0u);
  EXPECT_EQ(r.engine(kScalar)[0].start, 2 * (150 + 30) * ns);
  EXPECT_EQ(r.result.counters.engines[1].waits[static_cast<size_t>(WaitCause::vector)], (180 - 50) * ns);
  EXPECT_EQ(r.result.counters.engines[2].waits[static_cast<size_t>(WaitCause::vector)], 360 * ns);
}

TEST(Core, AWaitThatIsOlderCostsNothing) {
  Assembler a;
  a.copy(kVector, sbuf(128, 0, 50), sbuf(128, 65536, 50)).signal(0);
  a.copy(kScalar, sbuf(128, 8192, 200), sbuf(128, 16384, 200));
  a.copy(kScalar, sbuf(128, 4096, 50), sbuf(128, 0, 50)).wait(0, 1);
  Timed r = run(a);
  EXPECT_EQ(r.engine(kScalar)[1].start, 200 * ns);
  EXPECT_EQ(r.engine(kScalar)[1].release, trace::Release::queue);
}

TEST(Core, CompletionIsInOrder) {
  Assembler a;
  a.copy(kVector, sbuf(128, 0, 500), sbuf(128, 65536, 500));
  a.wait(kVector).signal(0);  // no datapath, but not before the copy has completed
  a.wait(kScalar).wait(0, 1);
  Timed r = run(a);
  EXPECT_EQ(r.engine(kVector)[1].end, 600 * ns);
  EXPECT_EQ(r.engine(kScalar)[0].start, 630 * ns);
}

TEST(Core, TablesAreColdAndLoadAfterTheWait) {
  Assembler a;
  a.copy(kVector, sbuf(128, 0, 50), sbuf(128, 65536, 50)).signal(0);
  a.activation(Activation::exp, sbuf(128, 4096, 50), sbuf(128, 0, 50)).wait(0, 1);
  a.activation(Activation::relu, sbuf(128, 8192, 50), sbuf(128, 16384, 50));  // exact: needs no table
  a.activation(Activation::exp, sbuf(128, 8192, 50), sbuf(128, 16384, 50));
  Timed r = run(a);
  std::vector<trace::Event> scalar = r.engine(kScalar);
  EXPECT_EQ(starts(scalar), (std::vector<Time>{1180 * ns, 1230 * ns, 1280 * ns}));
  EXPECT_EQ(scalar[0].release, trace::Release::table_load);
  EXPECT_EQ(scalar[0].cause, 0u);
  EXPECT_EQ(r.result.counters.engines[2].waits[static_cast<size_t>(WaitCause::table_load)], 1000 * ns);
}

TEST(Core, StationaryLoadsRunBehindThePreviousMatmul) {
  Assembler a;
  a.matmul(psum(128, 0, 512), sbuf(128, 0, 128), sbuf(128, 4096, 512));
  a.matmul(psum(128, 2048, 512), sbuf(128, 512, 128), sbuf(128, 4096, 512));
  spec::ChipSpec spec = round_chip();
  timing::Cost cost = timing::cost(a.exe.queues[0], a.exe.queues[0].code[0], spec);
  ASSERT_GT(cost.prepare, 0);
  Timed r = run(a, spec);
  EXPECT_EQ(starts(r.engine(kTensor)), (std::vector<Time>{cost.prepare, cost.prepare + cost.occupancy}));
  EXPECT_EQ(r.engine(kTensor)[1].release, trace::Release::queue);

  // A late operand: the load waits with the instruction, and nothing hides it.
  Assembler late = a;
  late.exe.queues[0].code[1].wait_begin = 0;
  late.exe.queues[0].code[1].wait_count = 1;
  late.exe.queues[0].waits.push_back({0, 1});
  late.copy(kVector, sbuf(128, 65536, 10'000), sbuf(128, 0, 10'000)).signal(0);
  Timed waiting = run(late, spec);
  EXPECT_EQ(waiting.engine(kTensor)[1].start, 10'130 * ns + cost.prepare);
  EXPECT_EQ(waiting.engine(kTensor)[1].release, trace::Release::stationary_load);
}

TEST(Core, ATransferTakesLatencyThenItsShares) {
  Assembler a;
  int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 100);
  a.dma(kSync, sbuf(128, 0, 100), hbm(x, 128 * 100)).signal(0);
  a.copy(kVector, sbuf(128, 4096, 100), sbuf(128, 0, 100)).wait(0, 4);
  Timed r = run(a);
  Time share = 128 * 400 / 4 * ns;  // bytes per engine at 1 byte per ns
  for (uint32_t e = 0; e < 4; ++e) {
    ASSERT_EQ(r.dma(e).size(), 1u);
    EXPECT_EQ(r.dma(e)[0].start, 700 * ns);
    EXPECT_EQ(r.dma(e)[0].end, 700 * ns + share);
  }
  EXPECT_EQ(r.engine(kSync)[0].busy_until, 8 * ns);
  EXPECT_EQ(r.engine(kVector)[0].start, 700 * ns + share + 230 * ns);
  EXPECT_EQ(r.engine(kVector)[0].release, trace::Release::semaphore);
  EXPECT_EQ(r.result.counters.dma[0].bytes, 128u * 100u);
}

TEST(Core, OneQueueIsInOrderTwoQueuesShareTheEngines) {
  auto elapsed = [](uint8_t second_queue, bool contention) {
    Assembler a;
    int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 100);
    a.dma(kSync, sbuf(128, 0, 100), hbm(x, 128 * 100), 0);
    a.dma(EngineKind::gpsimd, sbuf(128, 4096, 100), hbm(x, 128 * 100), second_queue);
    CoreOptions options;
    options.contention = contention;
    return run(a, round_chip(), options).result.elapsed;
  };
  Time share = 128 * 400 / 4 * ns;
  EXPECT_EQ(elapsed(0, true), 700 * ns + 2 * share);
  EXPECT_EQ(elapsed(1, true), 700 * ns + 2 * share);
  EXPECT_EQ(elapsed(1, false), 700 * ns + share);
}

// Two queues of one engine: the short transfer gets half the engine while both run.
TEST(Core, SharingIsFair) {
  Assembler a;
  int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 1000);
  a.dma(kSync, sbuf(128, 0, 1000), hbm(x, 128 * 1000), 0);
  a.dma(EngineKind::gpsimd, sbuf(128, 65536, 100), hbm(x, 128 * 100), 1);
  Timed r = run(a);
  Time small = 128 * 400 / 4 * ns;
  EXPECT_EQ(r.dma(0)[0].end, 700 * ns + 2 * small);
  EXPECT_EQ(r.dma(0)[1].end, 700 * ns + 11 * small);
  EXPECT_EQ(r.result.counters.dma[0].stretched, 2 * small);
  EXPECT_EQ(r.result.counters.dma[0].busy, 11 * small);
}

TEST(Core, TheHbmLimitsAllEnginesTogether) {
  spec::ChipSpec spec = round_chip();
  spec.hbm.bytes_per_s = 1'000'000'000;  // as much as one of the four engines
  Assembler a;
  int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 100);
  a.dma(kSync, sbuf(128, 0, 100), hbm(x, 128 * 100));
  EXPECT_EQ(run(a, spec).result.elapsed, 700 * ns + 128 * 400 * ns);
  Assembler inside;  // SBUF to SBUF does not touch it
  inside.dma(kSync, sbuf(128, 0, 100), sbuf(128, 65536, 100));
  EXPECT_EQ(run(inside, spec).result.elapsed, 700 * ns + 128 * 100 * ns);
}

TEST(Core, TheFloorSeparatesTransfersOfOneQueue) {
  spec::ChipSpec spec = round_chip();
  spec.dma.transfer_floor = 850 * ns;
  Assembler a;
  int64_t x = a.tensor("x", isa::TensorRole::input, 128 * 4);
  for (int i = 0; i < 3; ++i) a.dma(kSync, sbuf(128, 64 * i, 4), hbm(x, 128 * 4));
  Timed r = run(a, spec);
  EXPECT_EQ(starts(r.dma(0)), (std::vector<Time>{700 * ns, 1550 * ns, 2400 * ns}));
  EXPECT_EQ(r.dma(0)[1].release, trace::Release::descriptor);
}

TEST(Core, RepeatsRunWithoutBeingExpanded) {
  Assembler a;
  using Target = isa::Delta::Target;
  a.copy(kVector, sbuf(128, 0, 50), sbuf(128, 65536, 50)).signal(0).grow(Target::operand, 0, 0, 200);
  a.repeat(kVector, 1, 10);
  a.copy(kScalar, sbuf(128, 65536, 50), sbuf(128, 0, 50)).wait(0, 1).grow(Target::wait, 0, 0, 1);
  a.repeat(kScalar, 1, 10);
  Timed r = run(a);
  std::vector<trace::Event> scalar = r.engine(kScalar);
  ASSERT_EQ(scalar.size(), 10u);
  for (Time i = 0; i < 10; ++i) EXPECT_EQ(scalar[static_cast<size_t>(i)].start, (180 + 50 * i) * ns);
  EXPECT_EQ(r.result.counters.instructions, 20u);
}

TEST(Core, DeadlockNamesWhoWaitsForWhat) {
  Assembler a;
  a.exe.sources[0] = {0, "conv2d main", "Conv_12"};
  a.exe.layers[0].name = "conv1";
  a.copy(kVector, sbuf(128, 0, 50), sbuf(128, 65536, 50)).wait(1, 1).signal(0);
  a.copy(kScalar, sbuf(128, 4096, 50), sbuf(128, 0, 50)).wait(0, 1).signal(1);
  a.wait(kGpsimd).wait(2, 1);
  Outcome o = run(a).result.outcome;
  EXPECT_EQ(outcome_text(o),
            "deadlock: vector instruction 0 (conv2d main of Conv_12 (layer conv1)): "
            "vector instruction 0 (tensor_copy) of conv2d main of Conv_12 (layer conv1) waits for semaphore 1 >= 1, "
            "which is at 0: scalar instruction 0 (tensor_copy) would raise it; "
            "scalar instruction 0 (tensor_copy) of conv2d main of Conv_12 (layer conv1) waits for semaphore 0 >= 1, "
            "which is at 0: vector instruction 0 (tensor_copy) would raise it; "
            "gpsimd instruction 0 (wait) of conv2d main of Conv_12 (layer conv1) waits for semaphore 2 >= 1, "
            "which is at 0: nothing left raises it");
}

TEST(Core, LeavingAMemoryIsAFaultWhenItHappens) {
  Assembler a;
  a.memset(kVector, sbuf(128, 192 * 1024 - 400, 50)).grow(isa::Delta::Target::operand, 0, 0, 200);
  a.repeat(kVector, 1, 3);
  Timed r = run(a);
  EXPECT_EQ(outcome_text(r.result.outcome),
            "fault: vector instruction 0 (test of node (layer layer0)): memset dst touches partitions [0, 128), bytes "
            "[196608, 196808) of sbuf; the chip has 128 partitions of 196608 bytes");
  EXPECT_EQ(r.engine(kVector).size(), 2u);
}

TEST(Core, LimitsAreOutcomes) {
  Assembler a;
  a.copy(kVector, sbuf(128, 0, 50), sbuf(128, 65536, 50));
  a.repeat(kVector, 1, 1000);
  CoreOptions options;
  options.limits.time = 1000 * ns;
  EXPECT_EQ(outcome_text(run(a, round_chip(), options).result.outcome), "time_limit: not finished after 1.00 us");
  options.limits = {.events = 10};
  EXPECT_EQ(outcome_text(run(a, round_chip(), options).result.outcome), "event_limit: not finished after 10 events");
}

TEST(Core, SemaphoresHaveAMaximum) {
  spec::ChipSpec spec = round_chip();
  spec.semaphores.maximum = 9;
  Assembler a;
  a.copy(kVector, sbuf(128, 0, 50), sbuf(128, 65536, 50)).signal(0);
  a.repeat(kVector, 1, 10);
  EXPECT_EQ(outcome_text(run(a, spec).result.outcome), "fault: semaphore 0 rises above its maximum 9");
}

// The busiest engine's layer has the time; what nobody works on goes to the next to start.
TEST(Core, LayerTimesAddUp) {
  Assembler a;
  a.copy(kVector, sbuf(128, 0, 100), sbuf(128, 65536, 100)).signal(0);
  a.exe.layers.push_back({"layer1", "test", 0, 0});
  a.exe.sources.push_back({1, "test", "node"});
  a.copy(kScalar, sbuf(128, 4096, 50), sbuf(128, 0, 50)).wait(0, 1);
  Timed r = run(a);
  ASSERT_EQ(r.result.counters.layers.size(), 2u);
  EXPECT_EQ(r.result.counters.layers[0].time, 100 * ns);
  EXPECT_EQ(r.result.counters.layers[1].time, (130 + 50 + 100) * ns);
  EXPECT_EQ(r.result.elapsed, 380 * ns);
}

// Parts of the array work side by side; whoever needs a part that is taken, or all of them, waits for it.
TEST(Core, TilesOfTheArrayWorkInParallel) {
  namespace s = isa::slots::nc_matmul;
  const spec::ChipSpec spec = round_chip();
  const auto tile = [](Assembler& a, uint32_t row, uint32_t n) {
    return a.matmul(psum(32, 2048 * (row / 32), n), sbuf(32, 0, 32), sbuf(32, 4096, n))
        .word(s::tile_row, row)
        .word(s::tile_rows, 32)
        .word(s::tile_columns, 128);
  };
  const auto cost_of = [&](const Assembler& a, size_t k) {
    return timing::cost(a.exe.queues[0], a.exe.queues[0].code[k], spec);
  };
  Assembler a;
  for (uint32_t row : {0u, 32u, 64u, 96u, 0u}) tile(a, row, 500);
  a.matmul(psum(32, 0, 500), sbuf(128, 0, 32), sbuf(128, 4096, 500));
  Timed r = run(a);
  const timing::Cost part = cost_of(a, 0), whole = cost_of(a, 5);
  ASSERT_GT(part.parts_busy, 4 * part.occupancy);
  const Time first = part.prepare;
  const std::vector<Time> found = starts(r.engine(kTensor));
  for (size_t k = 0; k < 4; ++k)
    EXPECT_EQ(found[k], first + static_cast<Time>(k) * std::max(part.occupancy, part.prepare));
  EXPECT_EQ(found[4], first + part.parts_busy);                         // row 0 again
  EXPECT_EQ(found[5], std::max(found[4], found[3]) + part.parts_busy);  // all rows
  const EngineCounters& tensor = r.result.counters.engines[0];
  EXPECT_EQ(r.result.elapsed, found[5] + whole.latency);
  // Busy is the time in which some part works: without a gap from the first to the last.
  EXPECT_EQ(tensor.busy, found[5] - first + whole.occupancy);
  Time waits = 0;
  for (Time w : tensor.waits) waits += w;
  EXPECT_EQ(tensor.busy + waits, r.result.elapsed);
}

}  // namespace
}  // namespace presil::chip
