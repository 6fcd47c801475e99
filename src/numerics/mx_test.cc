// Is MX what the documents say, and is the fast product of sparse operands the definition's?
#include "numerics/mx.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/prng.h"
#include "numerics/convert.h"
#include "numerics/float_bits.h"
#include "numerics/sparse_matmul.h"

namespace presil::numerics {
namespace {

constexpr DType kE4 = DType::fp8_e4m3fn_x4, kE5 = DType::fp8_e5m2_x4, kF4 = DType::fp4_e2m1fn_x4;

// X = 2^(floor(log2 amax) - (emax - 1)), and one less before.
TEST(Mx, ScaleFollowsTheLargestExponent) {
  EXPECT_EQ(mx_scale(kE4, 1.0f, MxScale::roomy), 127 - 7);
  EXPECT_EQ(mx_scale(kE4, 1.0f, MxScale::tight), 127 - 8);
  EXPECT_EQ(mx_scale(kE5, 1.0f, MxScale::roomy), 127 - 14);
  EXPECT_EQ(mx_scale(kE5, 1.0f, MxScale::tight), 127 - 15);
  EXPECT_EQ(mx_scale(kE4, std::nextafter(2.0f, 0.0f), MxScale::roomy), 127 - 7);
  EXPECT_EQ(mx_scale(kE4, 2.0f, MxScale::roomy), 127 - 6);
  // A group of zeros, and whatever would need less than 2^-127.
  EXPECT_EQ(mx_scale(kE4, 0.0f, MxScale::roomy), 0);
  EXPECT_EQ(mx_scale(kE4, 0x1p-120f, MxScale::roomy), 0);
  EXPECT_EQ(mx_scale(kE4, 0x1p-119f, MxScale::roomy), 1);
  EXPECT_EQ(mx_scale(kE5, 0x1p-126f, MxScale::tight), 0);
  // What is not finite counts as 2^128.
  EXPECT_EQ(mx_scale(kE4, kInfinity, MxScale::roomy), 255 - 7);
  EXPECT_EQ(mx_scale(kE4, kNan, MxScale::roomy), 255 - 7);
}

TEST(Mx, RoomyScalesRoundWhatTightOnesSaturate) {
  const std::array<float, 4> values = {1.96875f, -1.0f, 0x1p-17f, 0.0f};
  const auto back = [&](DType t, MxScale rule) {
    const uint8_t scale = mx_scale(t, 1.96875f, rule);
    return mx_unpack(t, mx_pack(t, values, scale, rule), scale);
  };
  // 1.96875 / 2^-7 = 252 rounds to 256; in the tight scale 504 is more than 448.
  EXPECT_EQ(back(kE4, MxScale::roomy), (std::array<float, 4>{2.0f, -1.0f, 0.0f, 0.0f}));
  EXPECT_EQ(back(kE4, MxScale::tight), (std::array<float, 4>{1.75f, -1.0f, 0x1p-17f, 0.0f}));
  EXPECT_EQ(back(kE5, MxScale::roomy), (std::array<float, 4>{2.0f, -1.0f, 0x1p-17f, 0.0f}));
  EXPECT_EQ(back(kE5, MxScale::tight), (std::array<float, 4>{1.75f, -1.0f, 0x1p-17f, 0.0f}));
}

TEST(Mx, WhatIsNotANumber) {
  const std::array<float, 4> values = {kInfinity, -kInfinity, kNan, 1.0f};
  const uint32_t roomy = mx_pack(kE4, values, 248, MxScale::roomy), tight = mx_pack(kE4, values, 247, MxScale::tight);
  const auto a = mx_unpack(kE4, roomy, 127), b = mx_unpack(kE4, tight, 127);
  EXPECT_TRUE(is_nan(a[0]) && is_nan(a[1]) && is_nan(a[2]));  // e4m3fn has no infinity
  EXPECT_EQ(b[0], 448.0f);
  EXPECT_EQ(b[1], -448.0f);
  EXPECT_TRUE(is_nan(b[2]));
  const auto c = mx_unpack(kE5, mx_pack(kE5, values, 241, MxScale::roomy), 127);
  EXPECT_EQ(c[0], kInfinity);
  for (float x : mx_unpack(kE5, 0x3c3c3c3c, 255)) EXPECT_EQ(bits_of(x), kCanonicalNanBits);
}

// Every number of a type times every scale, rounded once.
TEST(Mx, UnpackMultipliesByThePowerOfTwo) {
  for (DType t : {kE4, kE5, kF4}) {
    const uint32_t count = t == kF4 ? 16 : 256;
    for (uint32_t bits = 0; bits < count; ++bits) {
      const float number = unpack(t, bits)[0];
      for (int scale = 0; scale < 255; ++scale) {
        const float expected = canonical(static_cast<float>(std::ldexp(static_cast<double>(number), scale - 127)));
        ASSERT_EQ(bits_of(mx_unpack(t, bits, static_cast<uint8_t>(scale))[0]), bits_of(expected))
            << bits << " " << scale;
      }
    }
  }
}

TEST(SparseMatmul, FastEqualsTheDefinition) {
  Prng random(5);
  for (auto [m, n, k] :
       {std::array<size_t, 3>{1, 1, 1}, {3, 7, 4}, {16, 64, 32}, {13, 129, 31}, {128, 512, 128}, {2, 65, 0}}) {
    const size_t rows = 4 * k + 1;
    std::vector<float> a(k * m + 1), b(rows * (n + 3)), fast(m * (n + 1), 7.0f), plain(fast);
    std::vector<uint32_t> sources(k * m + 1);
    for (float& x : a) x = random.below(20) == 0 ? float_of(static_cast<uint32_t>(random.next())) : random.normal();
    for (float& x : b) x = random.below(20) == 0 ? float_of(static_cast<uint32_t>(random.next())) : random.normal();
    for (uint32_t& s : sources) s = static_cast<uint32_t>(random.below(rows));
    SparseMatmul p{m, n, k, a.data(), m, sources.data(), b.data(), n + 3, fast.data(), n + 1};
    sparse_matmul(p);
    p.dst = plain.data();
    sparse_matmul_plain(p);
    for (size_t i = 0; i < fast.size(); ++i) ASSERT_EQ(bits_of(fast[i]), bits_of(plain[i])) << i;
  }
}

}  // namespace
}  // namespace presil::numerics
