// When do engines wait for each other's ports, and when does the tensor engine slow down?
#include "timing/ports.h"

#include <gtest/gtest.h>

#include <cmath>

#include "chip/assemble.h"
#include "chip/core.h"
#include "chip/current_ramp.h"

namespace presil::chip {
namespace {

using namespace testing;
using spec::PortRule;
constexpr Time ns = kNanosecond, us = 1000 * kNanosecond;

struct Starts {
  Time vector = 0, other = 0, waited = 0;
  trace::Release release{};
};

// A vector instruction and one of `other` that both could start at 0; the one of the lower queue comes first.
Starts start(const Assembler& a, EngineKind other, const spec::ChipSpec& spec) {
  trace::Trace trace;
  const auto loaded = load(a.exe, spec);
  EXPECT_TRUE(loaded) << loaded.error().text();
  const CoreResult result = run_core(a.exe, *loaded, spec, {}, &trace);
  Starts s;
  for (const trace::Event& e : trace.events) {
    if (e.lane == static_cast<uint32_t>(EngineKind::vector)) s.vector = e.start;
    if (e.lane == static_cast<uint32_t>(other)) s.other = e.start, s.release = e.release;
  }
  s.waited = result.counters.engines[static_cast<size_t>(other)].waits[static_cast<size_t>(WaitCause::port)];
  return s;
}

Starts on_psum(PortRule rule, int64_t offset) {
  spec::ChipSpec spec = round_chip();
  spec.vector.psum_with_scalar = rule;
  Assembler a;
  a.copy(EngineKind::vector, sbuf(128, 0, 50), psum(128, 0, 50));
  a.copy(EngineKind::scalar, sbuf(128, 4096, 70), psum(128, offset, 70));
  return start(a, EngineKind::scalar, spec);
}

TEST(Ports, VectorAndScalarOnPsum) {
  for (int64_t offset : {400, 2044, 2048, 8192}) {
    EXPECT_EQ(on_psum(PortRule::free, offset).other, 0);
    EXPECT_EQ(on_psum(PortRule::in_part, offset).other, offset < 2048 ? 50 * ns : 0) << "2 KiB per bank, " << offset;
    const Starts never = on_psum(PortRule::always, offset);
    EXPECT_EQ(never.other, 50 * ns);
    EXPECT_EQ(never.waited, 50 * ns);
    EXPECT_EQ(never.release, trace::Release::port);
    EXPECT_EQ(never.vector, 0);
  }
}

// bf16 copies run in a performance mode where the chip has one.
Starts on_sbuf(PortRule rule, uint32_t speedup) {
  spec::ChipSpec spec = round_chip();
  spec.vector.sbuf_with_gpsimd = rule;
  spec.vector.fast_copy_16bit = speedup;
  Assembler a;
  const auto place = [](int64_t offset) { return view(Memory::sbuf, 0, 128, offset, {{1, 200}}, DType::bf16); };
  a.copy(EngineKind::vector, place(0), place(4096));
  a.memset(EngineKind::gpsimd, place(8192));
  return start(a, EngineKind::gpsimd, spec);
}

TEST(Ports, VectorAndGpsimdOnSbuf) {
  EXPECT_EQ(on_sbuf(PortRule::free, 4).other, 0);
  EXPECT_EQ(on_sbuf(PortRule::in_part, 1).other, 0);
  EXPECT_EQ(on_sbuf(PortRule::in_part, 4).other, 50 * ns);
  EXPECT_EQ(on_sbuf(PortRule::always, 1).other, 200 * ns);
}

// Each core of a pair has memories, and so ports, of its own.
TEST(Ports, TheOtherCoreOfAPairIsNoRival) {
  spec::ChipSpec spec = pair_chip();
  spec.vector.psum_with_scalar = PortRule::always;
  Assembler first, second;
  first.copy(EngineKind::vector, sbuf(128, 0, 50), psum(128, 0, 50));
  second.copy(EngineKind::scalar, sbuf(128, 4096, 70), psum(128, 0, 70));
  const isa::Executable pair = pair_of(first, second);
  const auto loaded = load(pair, spec);
  ASSERT_TRUE(loaded) << loaded.error().text();
  trace::Trace trace;
  run_core(pair, *loaded, spec, {}, &trace);
  ASSERT_EQ(trace.events.size(), 2u);
  EXPECT_EQ(trace.events[0].start, 0);
  EXPECT_EQ(trace.events[1].start, 0);
}

TEST(Ports, BanksOfARepeatMoveWithIt) {
  spec::ChipSpec spec = round_chip();
  spec.vector.psum_with_scalar = PortRule::in_part;
  Assembler a;  // two copies, from banks 0 and 1, beside one from bank 1
  a.copy(EngineKind::vector, sbuf(128, 0, 50), psum(128, 0, 50))
      .grow(isa::Delta::Target::operand, isa::slots::tensor_copy::src, 0, 2048);
  a.queue(EngineKind::vector).repeats.push_back({0, 1, 2});
  a.copy(EngineKind::scalar, sbuf(128, 4096, 40), psum(128, 2048, 40));
  a.copy(EngineKind::scalar, sbuf(128, 8192, 40), psum(128, 2048, 40));
  trace::Trace trace;
  const auto loaded = load(a.exe, spec);
  ASSERT_TRUE(loaded) << loaded.error().text();
  run_core(a.exe, *loaded, spec, {}, &trace);
  std::vector<Time> vector, scalar;
  for (const trace::Event& e : trace.events) {
    if (e.lane == static_cast<uint32_t>(EngineKind::vector)) vector.push_back(e.start);
    if (e.lane == static_cast<uint32_t>(EngineKind::scalar)) scalar.push_back(e.start);
  }
  EXPECT_EQ(scalar, (std::vector<Time>{0, 40 * ns}));
  EXPECT_EQ(vector, (std::vector<Time>{0, 80 * ns}));
}

TEST(CurrentRamp, WorkFromRestTakesTheAreaUnderTheRamp) {
  CurrentRamp ramp(3 * us, 50);
  // From half speed to full speed in 3 us: 2.25 us of work.
  EXPECT_EQ(ramp.work(10 * us, 2250 * ns), 750 * ns);
  EXPECT_EQ(ramp.work(13 * us, 500 * ns), 0);
  // 0.5 us of work at t: 0.5 t + t^2 / 12 = 0.5, so t = 3 (sqrt(5/3) - 1) us.
  CurrentRamp other(3 * us, 50);
  EXPECT_NEAR(static_cast<double>(other.work(0, 500 * ns)), 1e9 * (3 * (std::sqrt(5.0 / 3) - 1) - 0.5), 1e3);
}

TEST(CurrentRamp, ComesBackWithLessThanHalfTheWork) {
  const auto after_gap = [](Time gap) {
    CurrentRamp ramp(3 * us, 50);
    EXPECT_EQ(ramp.work(0, 5250 * ns), 750 * ns);  // at full speed when it ends, at 6 us
    return ramp.work(6 * us + gap, 100 * ns);
  };
  EXPECT_EQ(after_gap(0), 0);
  EXPECT_EQ(after_gap(1500 * ns), 0);  // half of the last 3 us
  EXPECT_GT(after_gap(1501 * ns), 0);
  EXPECT_EQ(after_gap(1501 * ns), after_gap(9 * us));
}

TEST(CurrentRamp, NoneWhereTheChipHasNone) {
  EXPECT_EQ(CurrentRamp(0, 50).work(0, us), 0);
  EXPECT_EQ(CurrentRamp(3 * us, 100).work(0, us), 0);
}

TEST(CurrentRamp, DelaysResultsAndIsCountedAsThrottle) {
  Assembler a;
  for (int i = 0; i < 3; ++i) a.matmul(psum(128, 2048 * i, 512), sbuf(128, 0, 128), sbuf(128, 4096, 512));
  const auto elapsed = [&](uint32_t percent, Time* throttled, Time* busy) {
    spec::ChipSpec spec = round_chip();
    spec.tensor.current_ramp = 3 * us;
    spec.tensor.current_ramp_percent = percent;
    const auto loaded = load(a.exe, spec);
    const CoreResult r = run_core(a.exe, *loaded, spec, {}, nullptr);
    *throttled = r.counters.engines[0].waits[static_cast<size_t>(WaitCause::throttle)];
    *busy = r.counters.engines[0].busy;
    return r.elapsed;
  };
  Time none = 0, some = 0, full_busy = 0, busy = 0;
  const Time full = elapsed(100, &none, &full_busy), slowed = elapsed(50, &some, &busy);
  EXPECT_EQ(none, 0);
  EXPECT_GT(some, 0);
  EXPECT_EQ(slowed - full, some);
  EXPECT_EQ(busy, full_busy);
}

}  // namespace
}  // namespace presil::chip
