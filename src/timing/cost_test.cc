#include "timing/cost.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "isa/slots.h"
#include "numerics/alu.h"
#include "timing/testing_programs.h"

namespace presil::timing {
namespace {

using isa::EngineKind;
namespace slots = isa::slots;

const spec::ChipSpec& trn2() {
  static const spec::ChipSpec s = *spec::load_chip("trn2");
  return s;
}
const spec::ChipSpec& trn1() {
  static const spec::ChipSpec s = *spec::load_chip("trn1");
  return s;
}

Cost cost_of(const One& one, const spec::ChipSpec& s = trn2()) { return cost(one.program, one.instruction(), s); }

constexpr auto kVector = EngineKind::vector, kScalar = EngineKind::scalar, kTensor = EngineKind::tensor,
               kGpsimd = EngineKind::gpsimd;
constexpr auto F = DType::fp32, B = DType::bf16;

One matmul(DType t, uint16_t k, uint32_t m, uint32_t n) {
  return One(Opcode::nc_matmul, kTensor, {psum(F, static_cast<uint16_t>(m), n), sbuf(t, k, m), sbuf(t, k, n)});
}
One copy(EngineKind e, const View& dst, const View& src) { return One(Opcode::tensor_copy, e, {dst, src}); }

// Engine cycles that an instruction occupies its engine, exactly.
void expect_cycles(const One& one, uint64_t cycles, uint64_t clock, const spec::ChipSpec& s = trn2()) {
  EXPECT_EQ(cost_of(one, s).occupancy, duration_up(cycles, clock))
      << isa::row(one.instruction().opcode).name << " " << cycles;
}
// Cycles of the data; what an access costs besides is the chip's.
void expect_vector(const One& one, uint64_t cycles, const spec::ChipSpec& s = trn2()) {
  expect_cycles(one, cycles + s.vector.issue_overhead_cycles, s.vector.clock_hz, s);
}

TEST(TensorCost, Bf16IsOneColumnPerCyclePlusIssue) {
  const Cost c = cost_of(matmul(B, 128, 128, 512));
  EXPECT_EQ(c.occupancy, duration_up(517, 2'400'000'000));
  EXPECT_EQ(c.latency, duration_up(517, 2'400'000'000) + trn2().tensor.latency);
  EXPECT_EQ(c.prepare, duration_up(32, 2'400'000'000));
  // K and M change nothing; N does, down to the least interval.
  EXPECT_EQ(cost_of(matmul(B, 1, 1, 512)).occupancy, c.occupancy);
  expect_cycles(matmul(B, 128, 128, 60), 65, 2'400'000'000);
  expect_cycles(matmul(B, 128, 128, 59), 64, 2'400'000'000);
  expect_cycles(matmul(B, 128, 128, 1), 64, 2'400'000'000);
}

// Peak of a large GEMM in instructions of 512 columns: 512 useful of 517 cycles.
TEST(TensorCost, LargeGemmCanReachItsPeak) {
  const double seconds = to_seconds(cost_of(matmul(B, 128, 128, 512)).occupancy);
  EXPECT_NEAR(512 / 2.4e9 / seconds, 512.0 / 517.0, 1e-8);
}

TEST(TensorCost, Fp32IsTwoInstructionsOfTwoPasses) {
  const Cost c = cost_of(matmul(F, 128, 128, 512));
  EXPECT_EQ(c.occupancy, duration_up(2 * (2 * 512 + 5), 2'400'000'000));
  EXPECT_EQ(c.prepare, duration_up(64, 2'400'000'000));
  EXPECT_EQ(cost_of(matmul(DType::tf32, 128, 128, 512)).occupancy, duration_up(517, 2'400'000'000));
}

TEST(TensorCost, StationaryLoadBoundsShortMovingOperands) {
  spec::ChipSpec slow = trn2();
  slow.tensor.load_speedup = 1;
  expect_cycles(matmul(B, 128, 128, 64), 128, 2'400'000'000, slow);
  expect_cycles(matmul(B, 128, 128, 128), 133, 2'400'000'000, slow);
}

TEST(TensorCost, TransposeStreamsAnIdentity) {
  const auto transpose = [](DType t, uint16_t p, uint32_t f) {
    return One(Opcode::nc_transpose, kTensor, {psum(t, static_cast<uint16_t>(f), p), sbuf(t, p, f)});
  };
  expect_cycles(transpose(B, 128, 128), 133, 2'400'000'000);
  expect_cycles(transpose(B, 128, 32), 133, 2'400'000'000);
  expect_cycles(transpose(B, 32, 128), 64, 2'400'000'000);
  expect_cycles(transpose(F, 128, 128), 2 * 133, 2'400'000'000);
  expect_cycles(transpose(F, 128, 128), 2 * (2 * 128 + 5), 2'800'000'000, trn1());
}

TEST(TensorCost, StridedMovingOperandHalvesThePortNotTheArray) {
  const auto strided = [](DType t, int32_t step) {
    return One(Opcode::nc_matmul, kTensor, {psum(F, 128, 256), sbuf(t, 128, 128), sbuf(t, 128, 256, step)});
  };
  expect_cycles(strided(B, 7), 261, 2'400'000'000);
  expect_cycles(strided(B, 8), 517, 2'400'000'000);
  expect_cycles(strided(F, 4), 2 * 517, 2'400'000'000);
}

// k = (partition, half): 256 rows of contraction in the cycles of 128.
TEST(TensorCost, DoubleRowTakesTwoNumbersPerRowAndCycle) {
  const auto doubled = [](uint32_t m, uint32_t n) {
    const DType t = DType::fp8_e4m3;
    return One(Opcode::nc_matmul, kTensor,
               {psum(F, static_cast<uint16_t>(m), n), view(Memory::sbuf, t, 128, {{1, 2}, {2, m}}),
                view(Memory::sbuf, t, 128, {{1, 2}, {2, n}})},
               {{slots::nc_matmul::perf_mode, static_cast<uint32_t>(isa::MatmulMode::double_row)}});
  };
  EXPECT_EQ(cost_of(doubled(128, 512)), cost_of(matmul(B, 128, 128, 512)));
}

TEST(TensorCost, MxTakesFourNumbersPerRowAndCycle) {
  const spec::ChipSpec trn3 = *spec::load_chip("trn3");
  const DType t = DType::fp8_e4m3fn_x4, scale = DType::fp8_e8m0;
  const One mx(Opcode::nc_matmul_mx, kTensor,
               {psum(F, 128, 512), sbuf(t, 128, 128), sbuf(t, 128, 512), sbuf(scale, 128, 128), sbuf(scale, 128, 512)});
  EXPECT_EQ(cost_of(mx, trn3), cost_of(matmul(B, 128, 128, 512), trn3));
}

TEST(TensorCost, SparseTakesAllCandidatesInOneCycle) {
  const One sparse(Opcode::nc_matmul_sparse, kTensor,
                   {psum(F, 128, 512), sbuf(B, 128, 128), view(Memory::sbuf, B, 128, {{512, 4}, {1, 512}}),
                    sbuf(DType::uint16, 128, 32)});
  EXPECT_EQ(cost_of(sparse), cost_of(matmul(B, 128, 128, 512)));
}

// Documented: up to twice as fast where an fp32 operand holds ones and zeros; nothing for other types.
TEST(TensorCost, OnesAndZerosHalveFp32) {
  const auto hinted = [](DType t, int hint) {
    return One(Opcode::nc_matmul, kTensor, {psum(F, 128, 512), sbuf(t, 128, 128), sbuf(t, 128, 512)}, {{hint, 1}});
  };
  for (int hint : {slots::nc_matmul::is_stationary_onezero, slots::nc_matmul::is_moving_onezero}) {
    expect_cycles(hinted(F, hint), 2 * (512 + 5), 2'400'000'000);
    expect_cycles(hinted(B, hint), 512 + 5, 2'400'000'000);
  }
  // fp32 on either side makes the product one of fp32.
  const auto mixed = [](DType a, DType b, int hint) {
    return One(Opcode::nc_matmul, kTensor, {psum(F, 128, 512), sbuf(a, 128, 128), sbuf(b, 128, 512)}, {{hint, 1}});
  };
  expect_cycles(mixed(DType::tf32, F, slots::nc_matmul::accumulate), 2 * (2 * 512 + 5), 2'400'000'000);
  expect_cycles(mixed(F, DType::tf32, slots::nc_matmul::accumulate), 2 * (2 * 512 + 5), 2'400'000'000);
  expect_cycles(mixed(F, DType::tf32, slots::nc_matmul::is_moving_onezero), 2 * (2 * 512 + 5), 2'400'000'000);
}

// A part of the array is taken for the data's time; the engine goes on after its least interval.
TEST(TensorCost, TilesTakeTheirPartOfTheArray) {
  namespace s = slots::nc_matmul;
  const auto tile = [](uint32_t row, uint32_t column, uint32_t rows, uint32_t columns) {
    return cost_of(
        One(Opcode::nc_matmul, kTensor, {psum(F, 32, 512), sbuf(B, 32, 32), sbuf(B, 32, 512)},
            {{s::tile_row, row}, {s::tile_column, column}, {s::tile_rows, rows}, {s::tile_columns, columns}}));
  };
  const Cost whole = cost_of(matmul(B, 32, 32, 512)), part = tile(32, 64, 32, 64);
  EXPECT_EQ(whole.parts, kWholeArray);
  EXPECT_EQ(whole.parts_busy, 0);
  EXPECT_EQ(part.occupancy, duration_up(64, 2'400'000'000));
  EXPECT_EQ(part.parts_busy, whole.occupancy);
  EXPECT_EQ(part.latency, whole.latency);
  EXPECT_EQ(part.prepare, whole.prepare);
  EXPECT_EQ(part.parts, 0x00c0);
  EXPECT_EQ(tile(0, 0, 64, 128).parts, 0x00ff);
  EXPECT_EQ(tile(96, 96, 32, 32).parts, 0x8000);
  EXPECT_EQ(tile(0, 0, 128, 128), whole);
}

// A profiler shows 193 to 203 ns for an fp32 LoadStationary of 128 columns on trn2 (I30).
TEST(TensorCost, StationaryLoadDuration) {
  EXPECT_EQ(stationary_load_duration(128, F, trn2()), duration_up(64, 2'400'000'000) + trn2().tensor.latency);
}

TEST(VectorCost, CopyModesOfTrn2) {
  expect_vector(copy(kVector, sbuf(B, 128, 1024), sbuf(B, 128, 1024)), 256);
  expect_vector(copy(kVector, sbuf(B, 128, 1024), sbuf(DType::fp16, 128, 1024)), 256);
  expect_vector(copy(kVector, sbuf(B, 128, 1023), sbuf(B, 128, 1023)), 256);
  expect_vector(copy(kVector, sbuf(B, 128, 1024), sbuf(B, 128, 1024, 2)), 512);
  expect_vector(copy(kVector, sbuf(B, 128, 1024), sbuf(B, 128, 1024, 8)), 512);
  expect_vector(copy(kVector, sbuf(F, 128, 1024), sbuf(F, 128, 1024)), 512);
  expect_vector(copy(kVector, sbuf(F, 128, 1024), sbuf(F, 128, 1024, 3)), 512);
  expect_vector(copy(kVector, sbuf(F, 128, 1024), sbuf(F, 128, 1024, 4)), 1024);
  expect_vector(copy(kVector, sbuf(B, 128, 1024), psum(B, 128, 1024)), 512);
  expect_vector(copy(kVector, sbuf(F, 128, 1024), psum(F, 128, 1024)), 1024);
  expect_vector(copy(kVector, psum(B, 128, 1024), psum(B, 128, 1024)), 1024);
}

TEST(VectorCost, Trn1HasNoModes) {
  expect_vector(copy(kVector, sbuf(B, 128, 1024), sbuf(B, 128, 1024)), 1024, trn1());
  expect_vector(copy(kVector, sbuf(F, 128, 1024), sbuf(F, 128, 1024)), 1024, trn1());
  expect_vector(copy(kVector, sbuf(B, 128, 1024), sbuf(B, 128, 1024, 8)), 2048, trn1());
}

TEST(VectorCost, LeastIntervalIsTight) {
  expect_vector(copy(kVector, sbuf(F, 128, 130), sbuf(F, 128, 130)), 65);
  expect_vector(copy(kVector, sbuf(F, 128, 128), sbuf(F, 128, 128)), 64);
  expect_vector(copy(kVector, sbuf(F, 128, 1), sbuf(F, 128, 1)), 64);
  // Latency is of the data, not of the interval.
  EXPECT_EQ(cost_of(copy(kVector, sbuf(F, 128, 1), sbuf(F, 128, 1))).latency,
            duration_up(1, 960'000'000) + trn2().vector.latency);
}

One tensor_tensor(const View& dst, const View& a, const View& b, AluOp op = AluOp::add) {
  return One(Opcode::tensor_tensor, kVector, {dst, a, b}, {{slots::tensor_tensor::op, static_cast<uint32_t>(op)}});
}

TEST(VectorCost, TensorTensor) {
  const View f = sbuf(F, 128, 1024), b = sbuf(B, 128, 1024), h = sbuf(DType::fp16, 128, 1024);
  expect_vector(tensor_tensor(f, f, f), 2048);
  expect_vector(tensor_tensor(f, f, psum(F, 128, 1024)), 1024);
  expect_vector(tensor_tensor(b, b, b), 512);
  expect_vector(tensor_tensor(b, b, b, AluOp::max), 1024);
  expect_vector(tensor_tensor(h, h, h), 1024);
  expect_vector(tensor_tensor(f, b, b), 2048);
  expect_vector(tensor_tensor(b, b, b), 1024, trn1());
  expect_vector(tensor_tensor(b, b, b, AluOp::max), 2048, trn1());
  expect_vector(tensor_tensor(h, h, h), 2048, trn1());
}

// TENSOR_TENSOR add fp32, 64 x 8192 on trn1: 14,968 ns measured (I23), and 64 partitions cost as much as 128.
TEST(VectorCost, PartitionsAreFreeUpToTheLanes) {
  const auto add = [](uint16_t p) { return tensor_tensor(sbuf(F, p, 8192), sbuf(F, p, 8192), sbuf(F, p, 8192)); };
  EXPECT_EQ(cost_of(add(64), trn1()), cost_of(add(128), trn1()));
  EXPECT_NEAR(to_seconds(cost_of(add(64), trn1()).latency), 14968e-9, 0.015 * 14968e-9);
  spec::ChipSpec narrow = trn1();
  narrow.vector.lanes = 64;
  expect_vector(add(65), 4 * 8192, narrow);
  expect_vector(add(64), 2 * 8192, narrow);
}

TEST(VectorCost, OtherInstructions) {
  const auto word = [](AluOp op) { return static_cast<uint32_t>(op); };
  const View f = sbuf(F, 128, 600), b = sbuf(B, 128, 600), one = sbuf(F, 128, 1), bits = sbuf(DType::uint8, 128, 600);
  expect_vector(One(Opcode::reciprocal, kVector, {f, f}), 4800);
  expect_vector(One(Opcode::memset, kVector, {f}), 600);
  expect_vector(One(Opcode::memset, kVector, {b}), 300);
  expect_vector(One(Opcode::memset, kVector, {b}, {{slots::memset::value, std::bit_cast<uint32_t>(1.0f)}}), 600);
  expect_vector(One(Opcode::tensor_reduce, kVector, {one, f}, {{slots::tensor_reduce::op, word(AluOp::add)}}), 600);
  expect_vector(
      One(Opcode::tensor_reduce, kVector, {sbuf(B, 128, 1), b}, {{slots::tensor_reduce::op, word(AluOp::max)}}), 300);
  expect_vector(
      One(Opcode::tensor_reduce, kVector, {sbuf(B, 128, 1), b}, {{slots::tensor_reduce::op, word(AluOp::min)}}), 600);
  expect_vector(One(Opcode::tensor_tensor_scan, kVector, {f, f, f}), 1200);
  expect_vector(One(Opcode::bn_aggr, kVector, {sbuf(F, 128, 2), f}), 2600);
  expect_vector(One(Opcode::bn_stats, kVector, {sbuf(F, 128, 6), f}), 600);
  expect_vector(One(Opcode::max8, kVector, {sbuf(F, 128, 8), f}), 600);
  expect_vector(One(Opcode::tensor_copy_predicated, kVector, {f, f, bits}), 1200);
  expect_vector(One(Opcode::tensor_copy_predicated, kVector, {f, psum(F, 128, 600), bits}), 600);
  const std::initializer_list<std::pair<int, uint32_t>> fused = {
      {slots::scalar_tensor_tensor::op0, word(AluOp::subtract)},
      {slots::scalar_tensor_tensor::op1, word(AluOp::multiply)}};
  expect_vector(One(Opcode::scalar_tensor_tensor, kVector, {b, b, View{}, b}, fused), 600);
  expect_vector(One(Opcode::scalar_tensor_tensor, kVector, {f, f, View{}, f}, fused), 1200);
  expect_vector(One(Opcode::tensor_scalar_reduce, kVector, {f, f, View{}, View{}, one}), 600 + 64);
  expect_vector(One(Opcode::tensor_scalar_reduce, kVector, {one, one}), 64 + 64);
  expect_vector(One(Opcode::tensor_scalar_cumulative, kVector, {f, f}), 600);
  expect_vector(One(Opcode::nc_match_replace8, kVector, {f, f, sbuf(F, 128, 8)}), 600);
  expect_vector(One(Opcode::dropout, kVector, {f, f}), 600);
  expect_vector(One(Opcode::rng, kVector, {sbuf(DType::uint32, 128, 600)}), 600);
  const View odd = sbuf(B, 128, 601);
  expect_vector(One(Opcode::scalar_tensor_tensor, kVector, {odd, odd, View{}, odd}, fused), 1202);
}

TEST(ScalarCost, ActivationAndReadOut) {
  const View b = sbuf(B, 128, 128), sum = sbuf(F, 128, 1);
  const Cost plain = cost_of(One(Opcode::activation, kScalar, {b, b}));
  EXPECT_EQ(plain.occupancy, duration_up(128, 1'200'000'000));
  // ACTIVATE exp, bf16, 128 x 128: 401 ns measured (I15).
  EXPECT_NEAR(to_seconds(plain.latency), 401e-9, 0.1e-9);
  const Cost with_sum = cost_of(One(Opcode::activation, kScalar, {b, b, View{}, View{}, sum}));
  EXPECT_EQ(with_sum.occupancy, duration_up(128 + 64, 1'200'000'000));
  EXPECT_EQ(with_sum.latency - with_sum.occupancy, plain.latency - plain.occupancy);
  EXPECT_EQ(cost_of(One(Opcode::activation_reduce, kScalar, {b, b, View{}, View{}, sum})), with_sum);
}

TEST(ScalarCost, ShortFloatsAreFasterWhereTheChipHasIt) {
  const spec::ChipSpec trn3 = spec::load_chip("trn3").value();
  const auto cycles = [&](DType dst, DType data) {
    return cost_of(One(Opcode::activation, kScalar, {sbuf(dst, 128, 600), sbuf(data, 128, 600)}), trn3).occupancy;
  };
  EXPECT_EQ(cycles(B, B), duration_up(300, 1'200'000'000));
  EXPECT_EQ(cycles(DType::fp8_e5m2, B), duration_up(300, 1'200'000'000));
  EXPECT_EQ(cycles(B, F), duration_up(600, 1'200'000'000));
}

TEST(GpsimdCost, StartsPlusWords) {
  expect_cycles(One(Opcode::iota, kGpsimd, {sbuf(DType::int32, 128, 100)}), 250, 1'200'000'000);
  expect_cycles(copy(kGpsimd, sbuf(F, 128, 100), sbuf(F, 128, 100)), 250, 1'200'000'000);
  const View f = sbuf(F, 128, 100);
  expect_cycles(One(Opcode::tensor_tensor, kGpsimd, {f, f, f}), 350, 1'200'000'000);
  expect_cycles(One(Opcode::nc_n_gather, kGpsimd, {sbuf(F, 128, 513), f, sbuf(DType::uint32, 128, 513)}), 2 * 150 + 513,
                1'200'000'000);
  // Documented: 150 + indices * e / C, C = ((28 + 4 e) / 4 e) / min(4 / element bytes, e).
  const auto gather = [](DType t, uint32_t indices, uint32_t e) {
    return One(Opcode::local_gather, kGpsimd,
               {sbuf(t, 128, indices * e), sbuf(t, 128, 512), sbuf(DType::uint16, 128, indices / 16)},
               {{slots::local_gather::num_elem_per_idx, e}});
  };
  expect_cycles(gather(F, 1024, 1), 150 + 1024 / 8, 1'200'000'000);
  expect_cycles(gather(B, 64, 4), 150 + 187, 1'200'000'000);  // 64 * 4 / ((44 / 16) / 2) = 186.2
  const View values = sbuf(B, 16, 8);
  expect_cycles(
      One(Opcode::topk, kGpsimd, {values, sbuf(DType::uint32, 16, 8), sbuf(B, 16, 20)}, {{slots::topk::n, 300}}),
      4 * 300 + 8, 1'200'000'000);
}

TEST(VectorCost, Generation4) {
  const spec::ChipSpec trn3 = *spec::load_chip("trn3");
  const View f = sbuf(F, 128, 1000), one = sbuf(F, 128, 1), none;
  const auto cycles = [&](const One& i) { return cost_of(i, trn3).occupancy; };
  const Time at250 = duration_up(250, 1'200'000'000);
  EXPECT_EQ(cycles(One(Opcode::exponential, kVector, {f, f, one, none, none})), at250);
  EXPECT_EQ(cycles(One(Opcode::exponential, kVector, {f, f, one, none, one})), duration_up(314, 1'200'000'000));
  EXPECT_EQ(cycles(One(Opcode::rand2, kVector, {f, none, none})), at250);
  EXPECT_EQ(cycles(One(Opcode::rng, kVector, {f})), at250);
  EXPECT_EQ(cost_of(One(Opcode::rng, kVector, {f})).occupancy, duration_up(1000, 960'000'000));
  // activate2 costs what activation does.
  EXPECT_EQ(cycles(One(Opcode::activate2, kScalar, {f, f, none, none, none, one})),
            cycles(One(Opcode::activation, kScalar, {f, f, none, none, one})));
}

TEST(SyncCost, WaitsHoldTheirSequencerBriefly) {
  for (const auto engine : {EngineKind::sync, EngineKind::tensor}) {
    EXPECT_EQ(cost_of(One(Opcode::wait, engine, {})).occupancy, duration_up(10, 1'200'000'000));
  }
}

// Whatever the clock rises to, nothing gets slower; and results never come before the data has passed.
TEST(Cost, FasterClocksNeverCostMore) {
  Prng prng(3);
  for (int k = 0; k < 500; ++k) {
    const uint32_t n = static_cast<uint32_t>(1 + prng.below(2000));
    const DType t = prng.below(2) ? B : F;
    const View v = sbuf(t, static_cast<uint16_t>(1 + prng.below(128)), n, static_cast<int32_t>(1 + prng.below(9)));
    const One ones[] = {copy(kVector, v, v), tensor_tensor(v, v, v), copy(kScalar, v, v),
                        matmul(t, 128, 128, 1 + n % 512)};
    for (const One& one : ones) {
      spec::ChipSpec fast = trn2();
      for (spec::EngineSpec* e : std::initializer_list<spec::EngineSpec*>{&fast.tensor, &fast.vector, &fast.scalar}) {
        e->clock_hz += prng.below(e->clock_hz);
      }
      const Cost a = cost_of(one), b = cost_of(one, fast);
      EXPECT_LE(b.occupancy, a.occupancy);
      EXPECT_LE(b.latency, a.latency);
      EXPECT_LE(b.prepare, a.prepare);
    }
  }
}

// Documented: MX data at half the tensor engine's rate, which is one packed element per cycle and partition on trn3.
TEST(VectorCost, QuantizeMx) {
  const spec::ChipSpec trn3 = *spec::load_chip("trn3");
  const auto quantize = [](int32_t q_step) {
    return One(Opcode::quantize_mx, kVector,
               {sbuf(DType::fp8_e4m3fn_x4, 128, 512),
                view(Memory::sbuf, B, 128, {{q_step == 1 ? 4 : 1, 512}, {q_step, 4}}), sbuf(DType::uint8, 128, 512)});
  };
  expect_vector(quantize(1), 512, trn3);
  expect_vector(quantize(512), 1024, trn3);
}

}  // namespace
}  // namespace presil::timing
