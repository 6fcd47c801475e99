#include "timing/transfer.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "isa/slots.h"
#include "timing/testing_programs.h"

namespace presil::timing {
namespace {

constexpr auto F = DType::fp32, B = DType::bf16;

const spec::ChipSpec& trn2() {
  static const spec::ChipSpec s = *spec::load_chip("trn2");
  return s;
}

Transfer transfer_of(const View& dst, const View& src, const spec::ChipSpec& s = trn2(), Opcode op = Opcode::dma_copy) {
  const One one(op, isa::EngineKind::sync, {dst, src});
  return transfer(one.program, one.instruction(), s);
}

uint64_t total(const Transfer& t, uint64_t Share::*member) {
  return (t.engines_used - 1) * (t.full.*member) + t.last.*member;
}

Time at_rate(uint64_t descriptors, uint64_t bytes, uint64_t rate) {
  return static_cast<Time>(descriptors) * trn2().dma.descriptor + duration_up(bytes, rate);
}

// Load of bf16 [128,128]: one engine moves 8 rows of 256 B in 97 ns (I11), all in 468 ns (I10).
TEST(Transfer, SmallLoadMatchesItsMeasurement) {
  const Transfer t = transfer_of(sbuf(B, 128, 128), hbm(B, 128, 128, 128));
  EXPECT_EQ(t.engines_used, 16u);
  EXPECT_EQ(t.full, t.last);
  EXPECT_EQ(t.full.descriptors, 8u);
  EXPECT_EQ(t.full.bytes, 2048u);
  EXPECT_EQ(t.full.hbm_read_bytes, 2048u);
  EXPECT_EQ(t.full.hbm_write_bytes, 0u);
  EXPECT_EQ(t.full.on_queue, at_rate(8, 2048, 23'000'000'000));
  EXPECT_EQ(t.full.on_engine, t.full.on_queue);
  EXPECT_NEAR(to_seconds(t.full.on_queue), 97e-9, 1e-9);
  EXPECT_NEAR(to_seconds(unloaded_duration(t)), 468e-9, 0.1e-9);
  EXPECT_EQ(start_offset(t, 0), 0);
  EXPECT_EQ(t.trigger, 8 * kNanosecond);
  EXPECT_EQ(t.start_latency, 739 * kNanosecond);
}

TEST(Transfer, LongRowsAreCutIntoPackets) {
  const Transfer t = transfer_of(sbuf(F, 128, 4096), hbm(F, 128, 4096, 4096));
  EXPECT_EQ(t.full.descriptors, 8u * 4);
  EXPECT_EQ(t.full.on_queue, at_rate(32, 8 * 16384, 23'000'000'000));
  EXPECT_EQ(start_offset(t, 15), 0);
}

// K02: 8 rows of 2 KiB per engine.
TEST(Transfer, TwoKibRows) {
  const Transfer t = transfer_of(sbuf(F, 128, 512), hbm(F, 128, 512, 8192));
  EXPECT_EQ(t.full.descriptors, 8u);
  EXPECT_EQ(t.full.on_queue, at_rate(8, 16384, 23'000'000'000));
}

TEST(Transfer, RowsAreDealtInBlocksAndEngineZeroHasMost) {
  const Transfer t = transfer_of(sbuf(F, 17, 100), hbm(F, 17, 100, 100));
  EXPECT_EQ(t.engines_used, 9u);
  EXPECT_EQ(t.full.descriptors, 2u);
  EXPECT_EQ(t.last.descriptors, 1u);
  EXPECT_EQ(t.full.bytes, 800u);
  EXPECT_EQ(t.last.bytes, 400u);
  EXPECT_LT(t.last.on_queue, t.full.on_queue);
}

TEST(Transfer, OneLongRowOccupiesAllEngines) {
  const Transfer t = transfer_of(hbm(F, 1, 1 << 20, 1 << 20), hbm(F, 1, 1 << 20, 1 << 20));
  EXPECT_EQ(t.engines_used, 16u);
  EXPECT_EQ(t.full.bytes, (4u << 20) / 16);
  EXPECT_EQ(t.full.hbm_read_bytes, t.full.hbm_write_bytes);
  // 8 KiB: sixteen pieces of 512 B; 4 KiB: eight, no smaller; 512 B: whole.
  EXPECT_EQ(transfer_of(sbuf(F, 1, 2048), hbm(F, 1, 2048, 2048)).full.bytes, 512u);
  EXPECT_EQ(transfer_of(sbuf(F, 1, 2048), hbm(F, 1, 2048, 2048)).engines_used, 16u);
  EXPECT_EQ(transfer_of(sbuf(F, 1, 1024), hbm(F, 1, 1024, 1024)).engines_used, 8u);
  EXPECT_EQ(transfer_of(sbuf(F, 1, 128), hbm(F, 1, 128, 128)).engines_used, 1u);
}

TEST(Transfer, ScatteredElementsPayADescriptorEach) {
  const View column = view(Memory::hbm, B, 1, {{512, 128}, {4, 16}});
  const Transfer t = transfer_of(sbuf(B, 128, 16), column);
  EXPECT_EQ(t.full.descriptors, 8u * 16);
  EXPECT_EQ(t.full.bytes, 8u * 16 * 2);
  EXPECT_EQ(t.full.on_queue, at_rate(128, 128 * 64, 23'000'000'000));
}

TEST(Transfer, RunsEndWhereEitherSideEnds) {
  // Source runs of 6 elements, destination runs of 4: boundaries at 4, 6, 8, 12.
  const View src = view(Memory::hbm, F, 1, {{10, 2}, {1, 6}}), dst = view(Memory::sbuf, F, 1, {{8, 3}, {1, 4}});
  EXPECT_EQ(total(transfer_of(dst, src), &Share::descriptors), 4u);
  EXPECT_EQ(total(transfer_of(dst, src), &Share::bytes), 48u);
}

TEST(Transfer, CastsRunAtTheWiderSide) {
  const Transfer t = transfer_of(sbuf(F, 128, 1024), hbm(B, 128, 1024, 1024));
  EXPECT_EQ(total(t, &Share::bytes), 128u * 4096);
  EXPECT_EQ(total(t, &Share::hbm_read_bytes), 128u * 2048);
}

TEST(Transfer, StoresStartAsMeasured) {
  const Transfer t = transfer_of(hbm(B, 128, 128, 128), sbuf(B, 128, 128));
  EXPECT_EQ(t.trigger, 26 * kNanosecond);
  EXPECT_EQ(t.start_latency, 628 * kNanosecond);
  EXPECT_EQ(total(t, &Share::hbm_write_bytes), 32768u);
  EXPECT_EQ(total(t, &Share::hbm_read_bytes), 0u);
}

TEST(Transfer, QueueSlowerThanItsEngine) {
  const spec::ChipSpec trn1 = *spec::load_chip("trn1");
  const Transfer t = transfer_of(sbuf(B, 128, 1024), hbm(B, 128, 1024, 1024), trn1);
  EXPECT_EQ(t.full.on_queue, 8 * trn1.dma.descriptor + duration_up(16384, trn1.dma.queue_bytes_per_s));
  EXPECT_EQ(t.full.on_engine, 8 * trn1.dma.descriptor + duration_up(16384, 17'000'000'000));
}

TEST(Transfer, TransposeRatesAndBlocks) {
  const auto rate = [](const Transfer& t) {
    return static_cast<double>(total(t, &Share::bytes)) / to_seconds(t.full.on_queue);
  };
  const View dst = sbuf(B, 128, 512), src = hbm(B, 512, 128, 128);
  const double copy = 16 * 23e9;
  const double from_hbm = rate(transfer_of(dst, src, trn2(), Opcode::dma_transpose));
  const double from_sbuf = rate(transfer_of(dst, sbuf(B, 512, 128), trn2(), Opcode::dma_transpose));
  EXPECT_LT(from_hbm, 0.9 * copy);
  EXPECT_GT(from_hbm, 0.8 * copy);
  EXPECT_LT(from_sbuf, 0.5 * copy);
  EXPECT_GT(from_sbuf, 0.45 * copy);
  // Blocks are [128,16]: 100 x 500 takes as long as 128 x 512, but moves fewer bytes.
  const Transfer part = transfer_of(sbuf(B, 100, 500), hbm(B, 500, 100, 100), trn2(), Opcode::dma_transpose);
  EXPECT_EQ(part.full.on_queue, transfer_of(dst, src, trn2(), Opcode::dma_transpose).full.on_queue);
  EXPECT_EQ(total(part, &Share::bytes), 100'000u);
  EXPECT_EQ(total(part, &Share::hbm_read_bytes), 100'000u);
}

Transfer in_mode(isa::DgeMode mode, isa::EngineKind engine, const spec::ChipSpec& s) {
  One one(Opcode::dma_copy, engine, {sbuf(B, 128, 128), hbm(B, 128, 128, 128)});
  one.program.attributes[isa::slots::dma_copy::dge_mode] = static_cast<uint32_t>(mode);
  return transfer(one.program, one.instruction(), s);
}

// Who makes the descriptors costs what the chip file says, and nothing else changes.
TEST(Transfer, MakersOfDescriptors) {
  using isa::DgeMode, isa::EngineKind;
  const Transfer plain = in_mode(DgeMode::unknown, EngineKind::gpsimd, trn2());
  EXPECT_EQ(in_mode(DgeMode::none, EngineKind::gpsimd, trn2()), plain);
  Transfer software = in_mode(DgeMode::swdge, EngineKind::gpsimd, trn2());
  EXPECT_EQ(software.trigger, plain.trigger + 128 * trn2().dma.software_descriptor);
  software.trigger = plain.trigger;
  EXPECT_EQ(software, plain);
  Transfer hardware = in_mode(DgeMode::hwdge, EngineKind::sync, trn2());
  EXPECT_EQ(hardware.prepare, 600 * kNanosecond);
  hardware.prepare = 0;
  EXPECT_EQ(hardware, plain);
}

// Rows that are written cost what rows that are read do; a sum reads both operands, and the table where it writes to
// it.
TEST(Transfer, ScattersAndSumsOfRows) {
  const auto sum_of = [](const View& dst, const View& other) {
    One one(Opcode::dma_compute, isa::EngineKind::gpsimd, {dst, dst, other});
    one.program.views[isa::slots::dma_compute::index] = sbuf(DType::int32, 64, 1);
    return transfer(one.program, one.instruction(), trn2());
  };
  One one(Opcode::dma_copy, isa::EngineKind::gpsimd,
          {hbm(B, 3000, 512, 512), sbuf(B, 64, 512), sbuf(DType::int32, 64, 1)});
  one.program.attributes[isa::slots::dma_copy::scatter] = 1;
  const Transfer scatter = transfer(one.program, one.instruction(), trn2());
  EXPECT_EQ(total(scatter, &Share::descriptors), 64u);
  EXPECT_EQ(total(scatter, &Share::hbm_write_bytes), 64u * 1024);
  EXPECT_EQ(total(scatter, &Share::hbm_read_bytes), 0u);
  const Transfer into = sum_of(hbm(B, 3000, 512, 512), sbuf(B, 64, 512)),
                 of = sum_of(sbuf(B, 64, 512), hbm(B, 3000, 512, 512));
  EXPECT_EQ(total(into, &Share::hbm_read_bytes), 64u * 1024);
  EXPECT_EQ(total(into, &Share::hbm_write_bytes), 64u * 1024);
  EXPECT_EQ(total(of, &Share::hbm_read_bytes), 64u * 1024);
  EXPECT_EQ(total(of, &Share::hbm_write_bytes), 0u);
  EXPECT_EQ(into.full.descriptors, 2 * scatter.full.descriptors);
  EXPECT_EQ(into.trigger - trn2().dma.trigger_from_hbm, 128 * trn2().dma.software_descriptor);
}

// dst[p,f] = table[index[f],p]: as a transpose of rows that lie anywhere.
TEST(Transfer, TransposesOfRows) {
  const auto turned = [](uint32_t rows) {
    const One one(Opcode::dma_transpose, isa::EngineKind::gpsimd,
                  {sbuf(B, 128, 64), hbm(B, rows, 128, 128), sbuf(DType::uint32, 64, 1)});
    return transfer(one.program, one.instruction(), trn2());
  };
  const Transfer direct = transfer_of(sbuf(B, 128, 64), hbm(B, 64, 128, 128), trn2(), Opcode::dma_transpose);
  Transfer indirect = turned(5000);
  EXPECT_EQ(indirect, turned(1));
  EXPECT_EQ(indirect.trigger, direct.trigger + 64 * trn2().dma.software_descriptor);
  indirect.trigger = direct.trigger;
  EXPECT_EQ(indirect, direct);
}

// A row is copied whatever rows are named, and how many there are to choose from does not matter.
TEST(Transfer, GathersCopyARowPerPartition) {
  const auto gather = [](uint32_t partitions, uint32_t row, uint32_t rows) {
    const One one(Opcode::dma_copy, isa::EngineKind::gpsimd,
                  {sbuf(B, partitions, row), hbm(B, rows, row, row), sbuf(DType::int32, partitions, 1)});
    return transfer(one.program, one.instruction(), trn2());
  };
  const Transfer t = gather(128, 128, 30000);
  const Transfer copy = transfer_of(sbuf(B, 128, 128), view(Memory::hbm, B, 1, {{200, 128}, {1, 128}}));
  EXPECT_EQ(t.full, copy.full);
  EXPECT_EQ(t.last, copy.last);
  EXPECT_EQ(t.start_latency, copy.start_latency);
  EXPECT_EQ(t.dispatch, copy.dispatch);
  // gpsimd makes 128 descriptors of 3.656 ns each.
  EXPECT_EQ(t.trigger, copy.trigger + 128 * trn2().dma.software_descriptor);
  EXPECT_EQ(gather(128, 128, 1), t);
  EXPECT_EQ(total(t, &Share::hbm_read_bytes), 128u * 256);
  EXPECT_EQ(gather(3, 128, 9).engines_used, 3u);
  EXPECT_EQ(gather(128, 4096, 9).full.descriptors, 8u * 2);
}

View random_view(Prng& prng, Memory memory, DType t, uint32_t partitions, uint32_t a, uint32_t b) {
  const int32_t step = prng.below(3) ? 1 : static_cast<int32_t>(2 + prng.below(4));
  const int32_t pitch = static_cast<int32_t>(b) * step + (prng.below(2) ? static_cast<int32_t>(prng.below(8)) : 0);
  if (memory == Memory::hbm) {
    return view(memory, t, 1, {{pitch * static_cast<int32_t>(a), partitions}, {pitch, a}, {step, b}});
  }
  return view(memory, t, static_cast<uint16_t>(partitions), {{pitch, a}, {step, b}});
}

// Bytes are conserved; nothing is faster than the engines' rates; more engines or bandwidth never hurt.
TEST(Transfer, Laws) {
  Prng prng(11);
  for (int k = 0; k < 3000; ++k) {
    const auto p = static_cast<uint32_t>(1 + prng.below(128)), a = static_cast<uint32_t>(1 + prng.below(9)),
               b = static_cast<uint32_t>(1 + prng.below(prng.below(4) ? 40 : 4000));
    const DType ts = prng.below(2) ? F : B, td = prng.below(4) ? ts : F;
    const View src = random_view(prng, Memory::hbm, ts, p, a, b), dst = random_view(prng, Memory::sbuf, td, p, a, b);
    Time before = kTimeMax;
    for (const uint32_t engines : {1u, 2u, 3u, 4u, 7u, 8u, 15u, 16u, 17u, 32u, 64u}) {
      spec::ChipSpec s = trn2();
      s.dma.engines = engines;
      const Transfer t = transfer_of(dst, src, s);
      ASSERT_LE(t.engines_used, engines);
      ASSERT_EQ(total(t, &Share::hbm_read_bytes), src.bytes());
      ASSERT_EQ(total(t, &Share::bytes), std::max(src.bytes(), dst.bytes()));
      ASSERT_GE(t.full.on_queue, t.last.on_queue);
      const Time duration = unloaded_duration(t);
      ASSERT_GE(duration, duration_up(src.bytes(), s.dma.engine_bytes_per_s * engines));
      ASSERT_LE(duration, before) << engines << " engines, " << p << "x" << a << "x" << b;
      before = duration;
      s.dma.engine_bytes_per_s *= 2, s.dma.queue_bytes_per_s *= 2;
      ASSERT_LE(unloaded_duration(transfer_of(dst, src, s)), duration);
    }
  }
}

// The documented case: two sources of a copy's size at half of its rate, before generation 4.
TEST(Transfer, SumsRunAtHalfTheRateOfCopies) {
  const View a = sbuf(F, 128, 4096), b = hbm(F, 128, 4096, 4096);
  const auto sum = [&](std::vector<View> sources, const spec::ChipSpec& s) {
    One one(Opcode::dma_compute, isa::EngineKind::sync, {a});
    std::copy(sources.begin(), sources.end(), one.program.views.begin() + 1);
    return transfer(one.program, one.instruction(), s);
  };
  const Transfer copy = transfer_of(a, b), two = sum({a, b}, trn2());
  const auto moving = [](const Transfer& t, const spec::ChipSpec& s) {
    return t.full.on_queue - static_cast<Time>(t.full.descriptors) * s.dma.descriptor;
  };
  EXPECT_NEAR(moving(two, trn2()), 2 * moving(copy, trn2()), 2);
  EXPECT_EQ(two.full.descriptors, 2 * copy.full.descriptors);
  EXPECT_EQ(total(two, &Share::hbm_read_bytes), b.bytes());
  const spec::ChipSpec trn3 = *spec::load_chip("trn3");
  EXPECT_NEAR(moving(sum({a, b}, trn3), trn3), moving(transfer_of(a, b, trn3), trn3), 2);
  // Sixteen sources are eight times as much to read as two.
  EXPECT_NEAR(moving(sum(std::vector<View>(16, b), trn2()), trn2()), 8 * moving(two, trn2()), 16);
  EXPECT_EQ(total(sum(std::vector<View>(16, b), trn2()), &Share::hbm_read_bytes), 16 * b.bytes());
}

}  // namespace
}  // namespace presil::timing
