// sendrecv and core_barrier: do the cores of a pair meet, do they have each other's data afterwards, and when?
#include "isa/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "chip/assemble.h"
#include "system/run.h"
#include "timing/cost.h"

namespace presil::system {
namespace {

using namespace chip::testing;
using ::testing::IsEmpty;
namespace sr = isa::slots::sendrecv;
constexpr EngineKind kVector = EngineKind::vector, kScalar = EngineKind::scalar, kSync = EngineKind::sync,
                     kTensor = EngineKind::tensor;
constexpr uint32_t kShares = 4;

Assembler::Last sendrecv(Assembler& a, uint32_t core, const View& dst, const View& src, uint32_t pipe = 0) {
  return a.append(kSync, Opcode::sendrecv)
      .operand(sr::dst, dst)
      .operand(sr::src, src)
      .word(sr::send_to_rank, 1 - core)
      .word(sr::recv_from_rank, 1 - core)
      .word(sr::pipe_id, pipe);
}

std::vector<float> ramp(size_t count, float step) {
  std::vector<float> x(count);
  for (size_t n = 0; n < count; ++n) x[n] = static_cast<float>(n % 97) * step;
  return x;
}

struct Done {
  RunResult run;
  std::vector<float> out;
};
Done done(const isa::Executable& exe, const std::vector<Input>& inputs, uint32_t threads = 1) {
  Result<RunResult> r = run(exe, pair_chip(), {.data = true, .check = true, .threads = threads}, inputs);
  EXPECT_TRUE(r) << r.error().text();
  EXPECT_TRUE(r->outcome.ok()) << chip::outcome_text(r->outcome);
  EXPECT_THAT(r->findings, IsEmpty());
  std::vector<float> out(r->outputs[0].bytes.size() / 4);
  std::memcpy(out.data(), r->outputs[0].bytes.data(), r->outputs[0].bytes.size());
  return {std::move(*r), std::move(out)};
}

// Each core loads its x, sends it, adds what it receives and stores the sum: rounds in one repeat, buffers used again.
TEST(Exchange, AnAllReduceOfTwoCores) {
  constexpr uint32_t kRounds = 3, kColumns = 24, kCount = 128 * kColumns;
  using Target = isa::Delta::Target;
  Assembler cores[2];
  const int64_t x = cores[0].tensor("x", isa::TensorRole::input, 2 * kRounds * kCount);
  const int64_t out = cores[0].tensor("out", isa::TensorRole::output, 2 * kRounds * kCount);
  const View mine = sbuf(128, 0, kColumns), theirs = sbuf(128, 1024, kColumns), sum = sbuf(128, 2048, kColumns);
  for (uint32_t core = 0; core < 2; ++core) {
    Assembler& a = cores[core];
    const int64_t part = int64_t{core} * kRounds * kCount * 4;
    enum : uint16_t { kLoaded, kMet, kAdded, kStored };
    a.dma(kSync, mine, hbm(x + part, kCount))
        .wait(kAdded, 0)
        .grow(Target::wait, 0, 0, 1)
        .grow(Target::operand, 1, 0, kCount * 4)
        .signal(kLoaded);
    sendrecv(a, core, theirs, mine).wait(kLoaded, kShares).grow(Target::wait, 0, 0, kShares).signal(kMet);
    a.repeat(kSync, 2, kRounds);
    a.add(kVector, sum, mine, theirs)
        .wait(kMet, 1)
        .grow(Target::wait, 0, 0, 1)
        .wait(kStored, 0)
        .grow(Target::wait, 1, 0, kShares)
        .signal(kAdded);
    a.repeat(kVector, 1, kRounds);
    a.dma(EngineKind::gpsimd, hbm(out + part, kCount), sum, 1)
        .wait(kAdded, 1)
        .grow(Target::wait, 0, 0, 1)
        .grow(Target::operand, 0, 0, kCount * 4)
        .signal(kStored);
    a.repeat(EngineKind::gpsimd, 1, kRounds);
  }
  const std::vector<float> values = ramp(2 * kRounds * kCount, 0.25f);
  for (uint32_t threads : {1u, 2u}) {
    const Done d = done(pair_of(cores[0], cores[1]), {{"x", std::as_bytes(std::span(values))}}, threads);
    for (size_t n = 0; n < kRounds * kCount; ++n) {
      ASSERT_EQ(d.out[n], values[n] + values[n + kRounds * kCount]) << n;
      ASSERT_EQ(d.out[n + kRounds * kCount], d.out[n]) << n;
    }
  }
}

// A product whose columns are split over the pair; core 1 sends its half to core 0, which stores the whole.
TEST(Exchange, AMatmulWithColumnsOverThePair) {
  constexpr uint32_t kK = 128, kM = 64, kHalf = 40;
  Assembler cores[2];
  const int64_t w = cores[0].tensor("w", isa::TensorRole::input, kK * kM);
  const int64_t x = cores[0].tensor("x", isa::TensorRole::input, 2 * kK * kHalf);
  const int64_t out = cores[0].tensor("out", isa::TensorRole::output, 2 * kM * kHalf);
  const View weights = sbuf(kK, 0, kM), moving = sbuf(kK, 512, kHalf), product = sbuf(kM, 1024, kHalf),
             other = sbuf(kM, 2048, kHalf);
  for (uint32_t core = 0; core < 2; ++core) {
    Assembler& a = cores[core];
    a.dma(kSync, weights, hbm(w, kK * kM)).signal(0);
    a.dma(kSync, moving, hbm(x + int64_t{core} * kK * kHalf * 4, kK * kHalf), 1).signal(1);
    a.matmul(psum(kM, 0, kHalf), weights, moving).wait(0, kShares).wait(1, kShares).signal(2);
    a.copy(kVector, product, psum(kM, 0, kHalf)).wait(2, 1).signal(3);
    sendrecv(a, core, other, product).wait(3, 1).signal(4);
    if (core == 1) continue;
    a.dma(kSync, hbm(out, kM * kHalf), product).wait(3, 1);
    a.dma(kSync, hbm(out + kM * kHalf * 4, kM * kHalf), other).wait(4, 1);
  }
  const std::vector<float> weight = ramp(kK * kM, 0.125f), data = ramp(2 * kK * kHalf, 0.5f);
  const Done d = done(pair_of(cores[0], cores[1]),
                      {{"w", std::as_bytes(std::span(weight))}, {"x", std::as_bytes(std::span(data))}});
  for (uint32_t half = 0; half < 2; ++half) {
    for (uint32_t m = 0; m < kM; ++m) {
      for (uint32_t n = 0; n < kHalf; ++n) {
        double sum = 0;  // exact: small multiples of 1/16
        for (uint32_t k = 0; k < kK; ++k) sum += double{weight[k * kM + m]} * double{data[(half * kK + k) * kHalf + n]};
        ASSERT_EQ(d.out[(half * kM + m) * kHalf + n], static_cast<float>(sum)) << half << " " << m << " " << n;
      }
    }
  }
}

// What timing says of an exchange is what it takes when both cores are there; one that comes later is waited for.
TEST(Exchange, TakesWhatTimingSays) {
  const spec::ChipSpec spec = pair_chip();
  for (const bool barrier : {false, true}) {
    for (const Time late : {Time{0}, Time{1000} * kNanosecond}) {
      Assembler cores[2];
      for (uint32_t core = 0; core < 2; ++core) {
        Assembler& a = cores[core];
        const int64_t shared = a.tensor("out", isa::TensorRole::output, 16);
        if (barrier) {
          a.append(kSync, Opcode::core_barrier).operand(0, hbm(shared, 16));
        } else {
          sendrecv(a, core, sbuf(128, 1024, 16), sbuf(128, 0, 16));
        }
      }
      const isa::Program& p = cores[1].queue(kSync);
      const Time alone = timing::cost(p, p.code[0], spec).latency;
      if (late > 0) {
        for (int n = 0; n < 100; ++n) cores[1].queue(kSync).append(Opcode::wait, kSync);
        std::rotate(cores[1].queue(kSync).code.begin(), cores[1].queue(kSync).code.begin() + 1,
                    cores[1].queue(kSync).code.end());
      }
      Result<RunResult> r = run(pair_of(cores[0], cores[1]), spec);
      ASSERT_TRUE(r) << r.error().text();
      ASSERT_TRUE(r->outcome.ok()) << chip::outcome_text(r->outcome);
      EXPECT_EQ(r->elapsed, late + alone) << barrier << " " << late;
    }
  }
}

// Core 0 writes the shared tensor, both meet, core 1 reads it. Without the barrier the checker finds the race.
TEST(Exchange, ABarrierOrdersSharedData) {
  for (const bool barrier : {true, false}) {
    Assembler cores[2];
    const int64_t shared = cores[0].tensor("shared", isa::TensorRole::scratch, 128 * 8);
    const int64_t out = cores[0].tensor("out", isa::TensorRole::output, 128 * 8);
    cores[0].memset(kVector, sbuf(128, 0, 8), 3).signal(0);
    cores[0].dma(kSync, hbm(shared, 128 * 8), sbuf(128, 0, 8)).wait(0, 1).signal(1);
    for (Assembler& a : cores) {
      if (!barrier) continue;
      auto meet = a.append(kScalar, Opcode::core_barrier).operand(0, hbm(shared, 128 * 8)).signal(2);
      if (&a == &cores[0]) meet.wait(1, kShares);
    }
    auto load = cores[1].dma(kSync, sbuf(128, 0, 8), hbm(shared, 128 * 8)).signal(1);
    if (barrier) load.wait(2, 1);
    cores[1].dma(kSync, hbm(out, 128 * 8), sbuf(128, 0, 8)).wait(1, kShares);
    isa::Executable exe = pair_of(cores[0], cores[1]);
    exe.semaphores = 3;
    Result<RunResult> r = run(exe, pair_chip(), {.data = true, .check = true});
    ASSERT_TRUE(r) << r.error().text();
    EXPECT_EQ(r->findings.empty(), barrier);
    float first = 0;
    std::memcpy(&first, r->outputs[0].bytes.data(), 4);
    EXPECT_TRUE(!barrier || first == 3);
  }
}

TEST(Exchange, ACoreThatDoesNotComeIsADeadlockOfBoth) {
  Assembler a, b;
  sendrecv(a, 0, sbuf(128, 1024, 16), sbuf(128, 0, 16));
  sendrecv(b, 1, sbuf(128, 1024, 16), sbuf(128, 0, 16)).wait(0, 1);
  const isa::Executable exe = pair_of(a, b);
  Result<RunResult> r = run(exe, pair_chip());
  ASSERT_TRUE(r) << r.error().text();
  EXPECT_EQ(chip::outcome_text(r->outcome),
            "deadlock: core0.sync instruction 1 (test of node (layer layer0)): core0.sync instruction 1 (dma_copy) of "
            "test of node (layer layer0) waits for semaphore 1 >= 1, which is at 0: core1.sync instruction 0 (wait) "
            "would raise it; core1.sync instruction 0 (wait) of test of node (layer layer0) waits for semaphore 0 >= "
            "1, which is at 0: nothing left raises it");
}

TEST(Exchange, Errors) {
  auto error = [](const isa::Executable& e) {
    Result<isa::Executable> r = isa::expand_exchanges(e, kShares);
    return r ? std::string("none") : r.error().text();
  };
  const View dst = sbuf(128, 1024, 16), src = sbuf(128, 0, 16);
  auto pair = [&](uint32_t pipe0, uint32_t pipe1, uint32_t core1 = 1, uint32_t times1 = 1, uint32_t columns1 = 16) {
    Assembler a, b;
    sendrecv(a, 0, dst, src, pipe0);
    sendrecv(b, core1, dst, sbuf(128, 0, columns1), pipe1);
    if (times1 > 1) b.repeat(kSync, 1, times1);
    return pair_of(a, b);
  };
  EXPECT_EQ(error(pair(0, 0)), "none");
  EXPECT_EQ(error(pair(0, 1)), "queue 4 instruction 0: 1 instructions of core 0 meet 0 of core 1: sendrecv of pipe 0");
  EXPECT_EQ(error(pair(0, 0, 0)), "queue 9 instruction 0: core 1 sends to core 1, which is itself");
  EXPECT_EQ(error(pair(0, 0, 1, 2)),
            "queue 4 instruction 0: meets instruction 0 of queue 9, which is repeated otherwise");
  EXPECT_EQ(error(pair(0, 0, 1, 1, 8)),
            "queue 9 instruction 0: sends 128 x 8 fp32, instruction 0 of queue 4 receives 128 x 16 fp32");
  isa::Executable exe = pair(0, 0);
  exe.lnc = 1;
  EXPECT_EQ(error(exe), "sendrecv and core_barrier need a pair of cores, the executable is for one");
  exe = pair(0, 0);
  exe.queues[3] = exe.queues[4];
  EXPECT_EQ(error(exe), "queue 4 instruction 0: sendrecv of pipe 0 is used by queue 3, too: a pipe is in one order");
  exe = pair(0, 0);
  for (isa::Program& p : exe.queues) {
    if (!p.code.empty()) p.repeats = {{0, 1, UINT32_MAX}, {0, 1, UINT32_MAX}, {0, 1, UINT32_MAX}};
  }
  EXPECT_EQ(error(exe), "queue 4 instruction 0: more of sendrecv of pipe 0 than a semaphore counts");
  exe = pair(0, 0);
  exe.queues[9].core = 2;
  EXPECT_EQ(error(exe), "queue 9: is for core 2 of a logical core, which has 2");
  exe = pair(0, 0);
  exe.queues[4].append(Opcode::register_move, kSync);
  EXPECT_EQ(error(exe), "queue 4 instruction 0: an exchange in a queue with branches: nobody can count it");
}

}  // namespace
}  // namespace presil::system
