// Arithmetic instructions against the plain reference, on random operands: sizes from 1 to the maxima, strided and
// reversed patterns, all types, in place and partly overlapping. All of memory is compared afterwards.
#include <array>

#include "chip/execute_fixture.h"

namespace presil::chip {
namespace {

using namespace testing;

TEST(Execute, TensorTensor) {
  Fixture b(4);
  for (int i = 0; i < 600; ++i) {
    const Shape s = b.shape();
    const View dst = b.row_view(b.pick(kOnChip), type_for(b, s), s, 0, true);
    b.start(Opcode::tensor_tensor, EngineKind::vector,
            {dst, input_view(b, s, type_for(b, s), 1, dst), input_view(b, s, type_for(b, s), 2, dst)});
    b.set(slots::tensor_tensor::op, b.pick(kArithmetic));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, TensorTensorOnBitsAndExactIntegers) {
  Fixture b(5);
  for (int i = 0; i < 200; ++i) {
    const Shape s = b.shape(128);
    const bool exact = b.chance(50);
    const DType t = exact ? (b.chance(50) ? DType::int32 : DType::uint32) : b.pick(kIntegers);
    const View dst = b.row_view(Memory::sbuf, t, s, 0, true), data1 = input_view(b, s, t, 1, dst),
               data2 = input_view(b, s, t, 2, dst);
    b.start(Opcode::tensor_tensor, exact ? EngineKind::gpsimd : EngineKind::vector, {dst, data1, data2});
    for (const View& v : {data1, data2})
      b.fill(v, [&](size_t) { return b.chance(30) ? b.random.below(40) : b.random.next(); });
    b.set(slots::tensor_tensor::op,
          exact ? static_cast<AluOp>(b.random.below(static_cast<uint64_t>(AluOp::logical_xor) + 1)) : b.pick(kBits));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, TensorScalar) {
  Fixture b(6);
  for (int i = 0; i < 600; ++i) {
    const Shape s = b.shape();
    const View dst = b.row_view(b.pick(kOnChip), type_for(b, s), s, 0, true);
    const View s0 = b.chance(50) ? b.column(Memory::sbuf, b.pick(kFloats), s, 2) : View{};
    const View s1 = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, b.chance(10) ? 0 : 3) : View{};
    b.start(Opcode::tensor_scalar, EngineKind::vector, {dst, input_view(b, s, type_for(b, s), 1, dst), s0, s1});
    b.set(slots::tensor_scalar::op0, b.chance(50) ? b.pick(kCommon) : b.pick(kArithmetic));
    b.set(slots::tensor_scalar::op1, b.chance(50) ? b.pick(kCommon) : b.pick(kArithmetic));
    b.set(slots::tensor_scalar::imm0, b.value());
    b.set(slots::tensor_scalar::imm1, b.value());
    b.set(slots::tensor_scalar::reverse0, static_cast<uint32_t>(b.chance(30)));
    b.set(slots::tensor_scalar::reverse1, static_cast<uint32_t>(b.chance(30)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, TensorScalarOnBits) {
  Fixture b(7);
  for (int i = 0; i < 150; ++i) {
    const Shape s = b.shape(128);
    const DType t = b.pick(kIntegers);
    const View dst = b.row_view(Memory::sbuf, t, s, 0, true), data = input_view(b, s, t, 1, dst);
    const View s0 = b.chance(30) ? b.column(Memory::sbuf, t, s, 2) : View{};
    b.start(Opcode::tensor_scalar, EngineKind::vector, {dst, data, s0});
    b.fill(data, [&](size_t) { return b.random.next(); });
    if (s0.present()) b.fill(s0, [&](size_t) { return b.random.below(70); });
    const bool late = b.chance(25);  // the first passes its operand on
    b.set(slots::tensor_scalar::op0, late ? AluOp::bypass : b.pick(kBits));
    b.set(slots::tensor_scalar::op1, !late && b.chance(50) ? AluOp::bypass : b.pick(kBits));
    b.set(slots::tensor_scalar::imm0, static_cast<uint32_t>(b.chance(50) ? b.random.below(9) : b.random.next()));
    b.set(slots::tensor_scalar::imm1, static_cast<uint32_t>(b.random.below(9)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, ScalarTensorTensor) {
  Fixture b(8);
  for (int i = 0; i < 600; ++i) {
    const Shape s = b.shape();
    const View dst = b.row_view(b.pick(kOnChip), type_for(b, s), s, 0, true);
    const View s0 = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 3) : View{};
    b.start(Opcode::scalar_tensor_tensor, EngineKind::vector,
            {dst, input_view(b, s, type_for(b, s), 1, dst), s0, input_view(b, s, type_for(b, s), 2, dst)});
    b.set(slots::scalar_tensor_tensor::op0, b.chance(60) ? b.pick(kCommon) : b.pick(kArithmetic));
    b.set(slots::scalar_tensor_tensor::op1, b.chance(60) ? b.pick(kCommon) : b.pick(kArithmetic));
    b.set(slots::scalar_tensor_tensor::imm0, b.value());
    b.set(slots::scalar_tensor_tensor::reverse0, static_cast<uint32_t>(b.chance(30)));
    b.set(slots::scalar_tensor_tensor::reverse1, static_cast<uint32_t>(b.chance(30)));
    ASSERT_TRUE(b.matches());
  }
}

// A narrower signed operand keeps its sign beside a wider one, as in NumPy.
TEST(Execute, BitvecOperatorsOnIntegersOfDifferentWidths) {
  Fixture b(31);
  static constexpr DType kIntegers[] = {DType::int8,  DType::int16,  DType::int32,
                                        DType::uint8, DType::uint16, DType::uint32};
  static constexpr AluOp kOps[] = {AluOp::bit_xor, AluOp::bit_and, AluOp::bit_or};
  for (int i = 0; i < 300; ++i) {
    Shape s = b.shape();
    s.row = std::min<uint32_t>(s.row, 64);
    b.start(Opcode::tensor_tensor, EngineKind::vector,
            {b.row_view(Memory::sbuf, b.pick(kIntegers), s, 0, true),
             b.row_view(Memory::sbuf, b.pick(kIntegers), s, 1, true),
             b.row_view(Memory::sbuf, b.pick(kIntegers), s, 2, true)});
    b.set(slots::tensor_tensor::op, b.pick(kOps));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, Activation) {
  Fixture b(9);
  static constexpr ReduceCommand kCommands[] = {ReduceCommand::idle, ReduceCommand::idle, ReduceCommand::reset,
                                                ReduceCommand::reduce, ReduceCommand::reset_reduce};
  for (int i = 0; i < 600; ++i) {
    const Shape s = b.shape();
    const View dst = b.row_view(b.pick(kOnChip), type_for(b, s), s, 0, true);
    const View scale = b.chance(40) ? b.column(Memory::sbuf, DType::fp32, s, 2) : View{};
    const View bias = b.chance(40) ? b.column(Memory::sbuf, b.pick(kFloats), s, 3) : View{};
    const View result = b.chance(40) ? b.column(Memory::sbuf, DType::fp32, s, 4) : View{};
    b.start(Opcode::activation, EngineKind::scalar,
            {dst, input_view(b, s, type_for(b, s), 1, dst), scale, bias, result});
    b.set(slots::activation::op, static_cast<uint32_t>(b.random.below(kActivationCount)));
    if (b.chance(50)) b.set(slots::activation::scale_imm, b.value());
    if (b.chance(50)) b.set(slots::activation::bias_imm, b.value());
    b.set(slots::activation::alpha, 0.01f);
    b.set(slots::activation::reduce_cmd, b.pick(kCommands));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, TensorReduce) {
  Fixture b(10);
  static constexpr AluOp kOps[] = {AluOp::add, AluOp::max,     AluOp::min,      AluOp::multiply,   AluOp::add,
                                   AluOp::max, AluOp::abs_max, AluOp::subtract, AluOp::logical_and};
  for (int i = 0; i < 600; ++i) {
    const Shape s = b.shape();
    auto counts = b.factors(s.row, 5);
    const auto axes = static_cast<uint32_t>(1 + b.random.below(counts.size()));
    uint32_t kept = 1;
    for (size_t d = 0; d + axes < counts.size(); ++d) kept *= counts[d];
    const bool bits = b.chance(10);
    const View dst = b.view(b.pick(kOnChip), bits ? DType::int32 : type_for(b, s), s.partitions, s.start,
                            b.factors(kept, 3), 0, true);
    const bool overlap = b.chance(15);
    const View data = b.view(overlap ? dst.memory : b.pick(kOnChip), bits ? DType::int32 : type_for(b, s), s.partitions,
                             s.start, counts, overlap ? 0 : 1, false);
    b.start(Opcode::tensor_reduce, EngineKind::vector, {dst, data});
    b.set(slots::tensor_reduce::op, bits ? AluOp::bit_xor : b.pick(kOps));
    b.set(slots::tensor_reduce::axes, axes);
    b.set(slots::tensor_reduce::negate, static_cast<uint32_t>(!bits && b.chance(20)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, TensorPartitionReduce) {
  Fixture b(11);
  static constexpr AluOp kOps[] = {AluOp::add, AluOp::max, AluOp::bit_or};
  for (int i = 0; i < 200; ++i) {
    const Shape s = b.shape();
    const AluOp op = b.pick(kOps);
    const bool bits = is_bitvec(op);
    const View dst = b.view(Memory::sbuf, bits ? DType::uint16 : type_for(b, s), 1, 0, b.factors(s.row, 3), 0, true);
    const View data = b.row_view(Memory::sbuf, bits ? DType::uint16 : type_for(b, s), s, b.chance(20) ? 0 : 1, false);
    b.start(Opcode::tensor_partition_reduce, EngineKind::gpsimd, {dst, data});
    b.set(slots::tensor_partition_reduce::op, op);
    b.set(slots::tensor_partition_reduce::average, static_cast<uint32_t>(op == AluOp::add && b.chance(40)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, Scan) {
  Fixture b(16);
  for (int i = 0; i < 200; ++i) {
    const Shape s = b.shape(256);
    const View dst = b.row_view(b.pick(kOnChip), b.pick(kFloats), s, 0, true);
    const View initial = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 3) : View{};
    b.start(Opcode::tensor_tensor_scan, EngineKind::vector,
            {dst, input_view(b, s, b.pick(kFloats), 1, dst), input_view(b, s, b.pick(kFloats), 2, dst), initial});
    if (b.chance(50)) {
      b.set(slots::tensor_tensor_scan::op0, b.pick(kArithmetic));
      b.set(slots::tensor_tensor_scan::op1, b.pick(kArithmetic));
    }
    b.set(slots::tensor_tensor_scan::imm, b.value());
    b.set(slots::tensor_tensor_scan::reverse0, static_cast<uint32_t>(b.chance(30)));
    b.set(slots::tensor_tensor_scan::reverse1, static_cast<uint32_t>(b.chance(30)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, MatmulOfEveryTypeAndShape) {
  Fixture b(14);
  static constexpr uint32_t kSides[] = {1, 2, 13, 32, 64, 127, 128};
  static constexpr uint32_t kColumns[] = {1, 7, 16, 60, 97, 128, 512};
  for (int i = 0; i < 150; ++i) {
    const uint32_t k = b.pick(kSides), m = b.pick(kSides), n = b.pick(kColumns);
    const DType t = b.pick(kFloats);
    const View dst = b.view(Memory::psum, b.chance(80) ? DType::fp32 : DType::bf16, m, b.start_for(m),
                            b.chance(50) ? std::vector{n} : b.factors(n, 3), 0, true);
    const View stationary = b.view(Memory::sbuf, t, k, b.start_for(k), b.factors(m, 2), 1, false);
    const View moving =
        b.view(Memory::sbuf, t, k, b.start_for(k), b.chance(50) ? std::vector{n} : b.factors(n, 3), 2, false);
    b.start(Opcode::nc_matmul, EngineKind::tensor, {dst, stationary, moving});
    b.set(slots::nc_matmul::accumulate, static_cast<uint32_t>(b.chance(50)));
    ASSERT_TRUE(b.matches());
  }
}

// Windows that overlap, as in transposed convolution: one addition per element, in order.
TEST(Execute, MatmulAccumulatesIntoOverlappingWindows) {
  Fixture b(21);
  for (const std::vector<isa::Dim>& dims :
       {std::vector<isa::Dim>{{2, 7}, {1, 4}}, {{0, 5}, {1, 6}}, {{1, 6}, {0, 5}}, {{3, 4}, {2, 4}}}) {
    for (DType t : {DType::fp32, DType::bf16}) {
      View dst = b.view(Memory::psum, t, 13, 0, {1}, 0, true);
      dst.rank = 2;
      std::copy(dims.begin(), dims.end(), dst.dims.begin());
      const uint32_t n = dims[0].count * dims[1].count;
      b.start(Opcode::nc_matmul, EngineKind::tensor,
              {dst, b.view(Memory::sbuf, DType::fp32, 32, 0, {13}, 1, true),
               b.view(Memory::sbuf, DType::fp32, 32, 0, {n}, 2, true)});
      b.set(slots::nc_matmul::accumulate, 1u);
      ASSERT_TRUE(b.matches());
    }
  }
}

TEST(Execute, MatmulTransposeMovesBits) {
  Fixture b(15);
  for (uint32_t k : {1u, 13u, 128u}) {
    for (uint32_t m : {1u, 31u, 128u}) {
      for (DType t : {DType::fp32, DType::bf16, DType::fp8_e4m3}) {
        const View dst = b.view(Memory::psum, t == DType::fp8_e4m3 ? DType::uint16 : t, m, 0, {k}, 0, true);
        const View stationary = b.view(Memory::sbuf, t, k, 0, {m}, 1, true),
                   moving = b.view(Memory::sbuf, t, k, 0, {k}, 2, true);
        b.start(Opcode::nc_matmul, EngineKind::tensor, {dst, stationary, moving});
        b.fill(stationary, [&](size_t) { return b.random.next(); });  // NaN payloads too
        b.fill(moving, [&](size_t i) { return numerics::from_fp32(t, i / k == i % k ? 1.0f : 0.0f); });
        b.set(slots::nc_matmul::is_transpose, 1u);
        ASSERT_TRUE(b.matches());
      }
    }
  }
}

TEST(Execute, Statistics) {
  Fixture b(18);
  for (int i = 0; i < 150; ++i) {
    const Shape s = b.shape();
    b.start(Opcode::bn_stats, EngineKind::vector,
            {b.view(Memory::sbuf, DType::fp32, s.partitions, s.start, {6}, 0, true),
             b.row_view(b.pick(kOnChip), b.pick(kFloats), s, 1, false)});
    ASSERT_TRUE(b.matches());
    Shape triples = s;
    triples.row = 3 * static_cast<uint32_t>(1 + b.random.below(20));
    b.start(Opcode::bn_aggr, EngineKind::vector,
            {b.view(Memory::sbuf, DType::fp32, s.partitions, s.start, {2}, 0, true),
             b.row_view(Memory::sbuf, DType::fp32, triples, 1, false)});
    ASSERT_TRUE(b.matches());
    b.start(
        Opcode::reciprocal, EngineKind::vector,
        {b.row_view(Memory::sbuf, DType::fp32, s, 0, true), b.row_view(Memory::psum, b.pick(kFloats), s, 1, false)});
    ASSERT_TRUE(b.matches());
    b.start(Opcode::memset, EngineKind::vector, {b.row_view(b.pick(kOnChip), type_for(b, s), s, 0, true)});
    b.set(slots::memset::value, b.value());
    ASSERT_TRUE(b.matches());
    if (s.row < 8) continue;
    const View data = b.row_view(Memory::sbuf, b.pick(kFloats), s, 1, true),
               top = b.view(Memory::sbuf, DType::fp32, s.partitions, s.start, {8}, 2, true);
    b.start(Opcode::max8, EngineKind::vector, {top, data});
    ASSERT_TRUE(b.matches());
    b.start(Opcode::nc_find_index8, EngineKind::vector,
            {b.view(Memory::sbuf, b.chance(50) ? DType::uint32 : DType::uint16, s.partitions, s.start, {8}, 3, true),
             data, top});
    b.fill(data, [&](size_t) { return numerics::from_fp32(data.dtype, static_cast<float>(b.random.between(0, 12))); });
    b.fill(top, [&](size_t) { return numerics::from_fp32(DType::fp32, static_cast<float>(b.random.between(0, 12))); });
    ASSERT_TRUE(b.matches());
  }
}

}  // namespace
}  // namespace presil::chip
