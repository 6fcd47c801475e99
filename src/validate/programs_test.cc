#include "validate/programs.h"

#include <gtest/gtest.h>

#include <map>

#include "isa/slots.h"
#include "spec/chip_file.h"
#include "validate/measure.h"

namespace presil::validate {
namespace {

struct Work {
  uint64_t macs = 0, load_bytes = 0, store_bytes = 0, matmuls = 0;
};
Work work_of(const tile::TileProgram& p) {
  Work w;
  for (const isa::Instruction& i : p.code.code) {
    if (i.opcode == isa::Opcode::nc_matmul) {
      const isa::View& stationary = p.code.operand(i, isa::slots::nc_matmul::stationary);
      const isa::View& moving = p.code.operand(i, isa::slots::nc_matmul::moving);
      w.macs += stationary.elements() * moving.elements_per_partition();
      ++w.matmuls;
    } else if (i.opcode == isa::Opcode::dma_copy) {
      const isa::View& src = p.code.operand(i, isa::slots::dma_copy::src);
      (src.memory == isa::Memory::hbm ? w.load_bytes : w.store_bytes) += src.bytes();
    }
  }
  return w;
}

constexpr uint64_t kMiB = 1 << 20;

// Bytes that the sources imply: K02 528 MiB x 16 of loads, K05 160 KiB per matmul, K07 as blocked.
TEST(Programs, GemmsMoveWhatTheirSourcesSay) {
  const Gemm g{.dtype = DType::fp32};
  const Work k02 = work_of(gemm_columns(g));
  EXPECT_EQ(k02.matmuls, 32768u);
  EXPECT_EQ(k02.macs, uint64_t{4096} * 8192 * 8192);
  EXPECT_EQ(k02.load_bytes, 128 * kMiB + 32 * 256 * kMiB);
  EXPECT_EQ(k02.store_bytes, 128 * kMiB);
  const Work k05 = work_of(gemm_tiled({}));
  EXPECT_EQ(k05.macs, k02.macs);
  EXPECT_EQ(k05.load_bytes, uint64_t{32768} * 160 * 1024);
  EXPECT_EQ(k05.store_bytes, 64 * kMiB);
  const Work k07 = work_of(gemm_blocked({}));
  EXPECT_EQ(k07.macs, k02.macs);
  EXPECT_EQ(k07.load_bytes, 64 * kMiB + 16 * 128 * kMiB);
  EXPECT_EQ(k07.store_bytes, 64 * kMiB);
}

TEST(Programs, TimeIsAtLeastMacsOverPeakAndBytesOverRate) {
  const spec::ChipSpec trn2 = *spec::load_chip("trn2");
  const Gemm g{.dtype = DType::bf16, .m = 512, .k = 1024, .n = 2048};
  for (const auto make : {gemm_tiled, gemm_columns, gemm_blocked}) {
    const tile::TileProgram p = make(g);
    const Work w = work_of(p);
    const Time elapsed = measure_totals(p, trn2).elapsed;
    EXPECT_GE(elapsed, duration_up(w.macs / (128 * 128), trn2.tensor.clock_hz));
    EXPECT_GE(elapsed, duration_up(w.load_bytes + w.store_bytes, 16 * trn2.dma.engine_bytes_per_s));
  }
}

// Resident operands, bf16: 512 useful of 517 cycles per instruction, the fill and the last latency aside. The ramp from
// half to full speed costs a quarter of its length.
TEST(Programs, MatmulStreamRunsAtItsPeak) {
  const spec::ChipSpec trn2 = *spec::load_chip("trn2");
  constexpr uint32_t kCount = 256;
  const auto list = measure(matmul_stream({.count = kCount}), trn2).instructions("matmul");
  ASSERT_EQ(list.size(), kCount);
  const Time interval = duration_up(517, trn2.tensor.clock_hz);
  EXPECT_EQ(list.back().start - list[kCount / 2].start, (kCount - 1 - kCount / 2) * interval);
  EXPECT_NEAR(static_cast<double>(list.back().start - list.front().start),
              static_cast<double>((kCount - 1) * interval + trn2.tensor.current_ramp / 4), 1e3);
}

TEST(Measure, SelectsByTileOpAndLane) {
  const spec::ChipSpec trn2 = *spec::load_chip("trn2");
  const Measured m = measure(load_exp_store(true), trn2);
  EXPECT_EQ(m.instructions("load").size(), 1u);
  EXPECT_EQ(m.shares("load", 0).size(), 1u);
  EXPECT_EQ(m.shares("store", 15).size(), 1u);
  EXPECT_LE(m.transfer("store").end, m.elapsed);
  EXPECT_GE(m.transfer("store").start, m.instructions("exp")[0].end);
  EXPECT_EQ(measure(load_exp_store(true), trn2).elapsed, m.elapsed);
}

}  // namespace
}  // namespace presil::validate
