// Do the instructions of generation 4 and sums by DMA compute what the plain reference says?
#include "chip/execute_fixture.h"

namespace presil::chip {
namespace {

using namespace testing;
namespace slots = isa::slots;

TEST(Execute, Exponential) {
  Fixture b(41);
  constexpr ReduceCommand kCommands[] = {ReduceCommand::idle, ReduceCommand::reduce, ReduceCommand::reset_reduce,
                                         ReduceCommand::load_reduce};
  for (int i = 0; i < 300; ++i) {
    const Shape s = b.shape(300);
    const View dst = b.row_view(b.pick(kOnChip), b.pick(kFloats), s, 0, true),
               src = input_view(b, s, b.pick(kFloats), 1, dst);
    const View most = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 2) : View{};
    const View initial = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 3) : View{};
    const View result = b.chance(70) ? b.column(Memory::sbuf, b.pick(kFloats), s, 4) : View{};
    b.start(Opcode::exponential, EngineKind::vector, {dst, src, most, initial, result});
    b.set(slots::exponential::max_imm, b.value()), b.set(slots::exponential::initial_imm, b.value());
    b.set(slots::exponential::reduce_cmd, b.pick(kCommands));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, Activate2) {
  Fixture b(42);
  constexpr std::pair<AluOp, AluOp> kPairs[] = {{AluOp::multiply, AluOp::add},    {AluOp::multiply, AluOp::subtract},
                                                {AluOp::multiply, AluOp::bypass}, {AluOp::add, AluOp::bypass},
                                                {AluOp::subtract, AluOp::bypass}, {AluOp::bypass, AluOp::bypass}};
  constexpr AluOp kReductions[] = {AluOp::add, AluOp::max, AluOp::min, AluOp::abs_max, AluOp::abs_min};
  constexpr ReduceCommand kCommands[] = {ReduceCommand::idle, ReduceCommand::reset, ReduceCommand::reduce,
                                         ReduceCommand::reset_reduce};
  for (int i = 0; i < 400; ++i) {
    namespace t = slots::activate2;
    const Shape s = b.shape(300);
    const View dst = b.row_view(b.pick(kOnChip), b.pick(kFloats), s, 0, true),
               data = input_view(b, s, b.pick(kAny), 1, dst);
    const auto value = [&](int region) {
      return b.chance(50) ? b.column(Memory::sbuf, b.pick(kFloats), s, region) : View{};
    };
    const View s0 = value(2), s1 = value(3), alpha = value(4), result = value(5);
    b.start(Opcode::activate2, EngineKind::scalar, {dst, data, s0, s1, alpha, result});
    const auto [op0, op1] = b.pick(kPairs);
    b.set(t::op, static_cast<uint32_t>(b.random.below(kActivationCount)));
    b.set(t::op0, op0), b.set(t::op1, op1), b.set(t::imm0, b.value()), b.set(t::imm1, b.value());
    b.set(t::reverse0, static_cast<uint32_t>(op0 != AluOp::bypass && b.chance(30)));
    b.set(t::reverse1, static_cast<uint32_t>(op1 != AluOp::bypass && b.chance(30)));
    b.set(t::alpha, 0.25f), b.set(t::reduce_op, b.pick(kReductions)), b.set(t::reduce_cmd, b.pick(kCommands));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, Rand2IsUniform) {
  Fixture b(43);
  for (int i = 0; i < 100; ++i) {
    const Shape s = b.shape(100);
    const View dst = b.row_view(b.pick(kOnChip), b.pick(kFloats), s, 0, true);
    const View least = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 1) : View{},
               most = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 2) : View{};
    b.start(Opcode::rand2, EngineKind::vector, {dst, least, most});
    b.set(slots::rand2::min_imm, -3.0f), b.set(slots::rand2::max_imm, 5.0f);
    ASSERT_TRUE(b.matches());
  }
  const Shape s{128, 0, 1000};
  const View dst = b.row_view(Memory::sbuf, DType::fp32, s, 0, true);
  b.start(Opcode::rand2, EngineKind::vector, {dst, View{}, View{}});
  b.set(slots::rand2::min_imm, -3.0f), b.set(slots::rand2::max_imm, 5.0f);
  ASSERT_TRUE(b.matches());
  double sum = 0, squares = 0;
  for (const float x : reference::read_floats(b.machine, dst)) {
    EXPECT_TRUE(x >= -3.0f && x <= 5.0f);
    sum += double{x} - 1.0, squares += (double{x} - 1.0) * (double{x} - 1.0);
  }
  const double n = 128'000, variance = 64.0 / 12.0;
  EXPECT_NEAR(sum / n, 0.0, 4 * std::sqrt(variance / n));
  // The variance of a squared deviation is 8^4 (1/80 - 1/144).
  EXPECT_NEAR(squares / n, variance, 4 * std::sqrt(4096.0 * (1.0 / 80 - 1.0 / 144) / n));
}

TEST(Execute, DmaComputeAddsInFp32FromTheFirstSourceOn) {
  Fixture b(44);
  for (int i = 0; i < 200; ++i) {
    const Shape s = b.shape(100);
    View dst = b.row_view(Memory::sbuf, type_for(b, s), s, 0, true);
    if (b.chance(10)) dst.dims = {}, dst.rank = 1, dst.dims[0] = {1, s.row};
    std::array<View, isa::kComputeSources> src{};
    const size_t count = b.chance(10) ? src.size() : 1 + b.random.below(4);
    for (size_t k = 0; k < count; ++k)
      src[k] = b.chance(15) ? dst : b.row_view(Memory::sbuf, type_for(b, s), s, static_cast<int>(1 + k % 5), false);
    b.start(Opcode::dma_compute, EngineKind::sync,
            {dst, src[0], src[1], src[2], src[3], src[4], src[5], src[6], src[7], src[8], src[9], src[10], src[11],
             src[12], src[13], src[14], src[15]});
    ASSERT_TRUE(b.matches());
  }
}

}  // namespace
}  // namespace presil::chip
