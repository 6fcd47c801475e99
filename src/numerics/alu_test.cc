#include "numerics/alu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/prng.h"
#include "numerics/float_bits.h"
#include "numerics/power.h"

namespace presil {
namespace {

using numerics::bits_of;
using numerics::kCanonicalNanBits;

TEST(Alu, NamesRoundTrip) {
  for (int i = 0; i < kAluOpCount; ++i)
    EXPECT_EQ(alu_op_from_name(alu_op_name(static_cast<AluOp>(i))), static_cast<AluOp>(i));
  for (int i = 0; i < kReduceCommandCount; ++i) {
    EXPECT_EQ(reduce_command_from_name(reduce_command_name(static_cast<ReduceCommand>(i))),
              static_cast<ReduceCommand>(i));
  }
  EXPECT_EQ(alu_op_from_name("addd"), std::nullopt);
}

TEST(Alu, MinAndMaxAtZeroAndNan) {
  EXPECT_EQ(bits_of(alu_apply(AluOp::max, -0.0f, 0.0f)), bits_of(0.0f));
  EXPECT_EQ(bits_of(alu_apply(AluOp::max, 0.0f, -0.0f)), bits_of(-0.0f));
  EXPECT_EQ(bits_of(alu_apply(AluOp::min, -0.0f, 0.0f)), bits_of(0.0f));
  EXPECT_EQ(bits_of(alu_apply(AluOp::max, -NAN, 1.0f)), kCanonicalNanBits);
  EXPECT_EQ(bits_of(alu_apply(AluOp::min, 1.0f, -NAN)), kCanonicalNanBits);
  EXPECT_EQ(alu_apply(AluOp::max, 1.0f, 2.0f), 2.0f);
  EXPECT_EQ(alu_apply(AluOp::min, 1.0f, 2.0f), 1.0f);
  EXPECT_EQ(alu_apply(AluOp::abs_max, 1.0f, -2.0f), 2.0f);
  EXPECT_EQ(alu_apply(AluOp::abs_min, -1.0f, -2.0f), 1.0f);
  EXPECT_EQ(bits_of(alu_apply(AluOp::relu, -NAN, 0.0f)), kCanonicalNanBits);
  EXPECT_EQ(bits_of(alu_apply(AluOp::relu, -0.0f, 0.0f)), bits_of(0.0f));
}

TEST(Alu, ComparisonsAndLogicWithNan) {
  for (AluOp op : {AluOp::eq, AluOp::ge, AluOp::gt, AluOp::le, AluOp::lt}) EXPECT_EQ(alu_apply(op, NAN, NAN), 0.0f);
  EXPECT_EQ(alu_apply(AluOp::ne, NAN, NAN), 1.0f);
  EXPECT_EQ(alu_apply(AluOp::ge, 2.0f, 2.0f), 1.0f);
  EXPECT_EQ(alu_apply(AluOp::gt, 2.0f, 2.0f), 0.0f);
  EXPECT_EQ(alu_apply(AluOp::logical_and, NAN, 1.0f), 1.0f);
  EXPECT_EQ(alu_apply(AluOp::logical_or, -0.0f, 0.0f), 0.0f);
  EXPECT_EQ(alu_apply(AluOp::logical_xor, 3.0f, 4.0f), 0.0f);
}

TEST(Alu, InvalidOperationsGiveTheCanonicalNan) {
  EXPECT_EQ(bits_of(alu_apply(AluOp::subtract, INFINITY, INFINITY)), kCanonicalNanBits);
  EXPECT_EQ(bits_of(alu_apply(AluOp::multiply, 0.0f, INFINITY)), kCanonicalNanBits);
  EXPECT_EQ(bits_of(alu_apply(AluOp::divide, 0.0f, 0.0f)), kCanonicalNanBits);
  EXPECT_EQ(bits_of(alu_apply(AluOp::rsqrt, -1.0f, 0.0f)), kCanonicalNanBits);
  EXPECT_EQ(alu_apply(AluOp::divide, 1.0f, -0.0f), -INFINITY);
  EXPECT_EQ(alu_apply(AluOp::reciprocal, 4.0f, 0.0f), 0.25f);
  EXPECT_EQ(alu_apply(AluOp::multiply, 0x1p-126f, 0.5f), 0x1p-127f);  // denormals are kept
  EXPECT_EQ(bits_of(alu_apply(AluOp::bypass, numerics::float_of(0xffc00001), 0.0f)), 0xffc00001u);
}

TEST(Alu, BitOperators) {
  EXPECT_EQ(bit_apply(AluOp::bit_not, 0x0f, 0, 8) & 0xff, 0xf0u);
  EXPECT_EQ(bit_apply(AluOp::bit_and, 0x3c, 0x0f, 8), 0x0cu);
  EXPECT_EQ(bit_apply(AluOp::bit_or, 0x30, 0x0f, 8), 0x3fu);
  EXPECT_EQ(bit_apply(AluOp::bit_xor, 0xff, 0x0f, 8), 0xf0u);
  EXPECT_EQ(bit_apply(AluOp::shift_left, 1, 31, 32), 1ull << 31);
  EXPECT_EQ(bit_apply(AluOp::shift_left, 1, 32, 32), 0u);
  EXPECT_EQ(bit_apply(AluOp::shift_right, 0x80000000u, 31, 32), 1u);
  EXPECT_EQ(bit_apply(AluOp::shift_right, 0xffu, 8, 8), 0u);
}

// IEEE 754's table of pow where the rule of power.h does not say otherwise.
TEST(Power, SpecialCases) {
  using numerics::power;
  EXPECT_EQ(bits_of(power(NAN, 0.0f)), kCanonicalNanBits);
  EXPECT_EQ(power(0.0f, 0.0f), 1.0f);
  EXPECT_EQ(power(-2.0f, 3.0f), -8.0f);
  EXPECT_EQ(power(-2.0f, -2.0f), 0.25f);
  EXPECT_EQ(power(4.0f, 0.5f), 2.0f);
  EXPECT_EQ(power(4.0f, -0.5f), 0.5f);
  EXPECT_EQ(bits_of(power(-4.0f, 0.5f)), kCanonicalNanBits);
  EXPECT_EQ(bits_of(power(-4.0f, 1.5f)), kCanonicalNanBits);
  EXPECT_EQ(power(-2.0f, 9.0f), -512.0f);
  EXPECT_EQ(power(-2.0f, 10.0f), 1024.0f);
  EXPECT_EQ(power(2.0f, 127.0f), 0x1p127f);
  EXPECT_EQ(power(2.0f, 128.0f), INFINITY);
  EXPECT_EQ(power(2.0f, -149.0f), 0x1p-149f);
  EXPECT_EQ(power(2.0f, -151.0f), 0.0f);
  EXPECT_EQ(bits_of(power(-0.0f, 9.0f)), bits_of(-0.0f));
  EXPECT_EQ(power(-0.0f, -9.0f), -INFINITY);
  EXPECT_EQ(power(0.0f, 1.5f), 0.0f);
  EXPECT_EQ(power(0.0f, -1.5f), INFINITY);
  EXPECT_EQ(power(-INFINITY, 9.0f), -INFINITY);
  EXPECT_EQ(power(0.5f, INFINITY), 0.0f);
  EXPECT_EQ(power(0.5f, -INFINITY), INFINITY);
  EXPECT_EQ(power(-1.0f, INFINITY), 1.0f);
  EXPECT_EQ(power(-1.0f, 8388607.0f), -1.0f);
  EXPECT_EQ(power(-1.0f, 4194305.0f), -1.0f);
}

TEST(Power, GeneralExponentsAreWithinOneUnitInTheLastPlace) {
  Prng random(3);
  for (int i = 0; i < 200'000; ++i) {
    const float a = numerics::float_of(static_cast<uint32_t>(random.below(0x7f800000)));
    const float b = (random.unit() - 0.5f) * 80.0f;
    const double exact = std::pow(static_cast<double>(a), static_cast<double>(b));
    if (exact > std::numeric_limits<float>::max() || exact < std::numeric_limits<float>::min()) continue;
    ASSERT_NEAR(numerics::power(a, b) / exact, 1.0, 0x1.01p-24) << a << "^" << b;
  }
}

}  // namespace
}  // namespace presil
