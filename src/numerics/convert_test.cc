#include "numerics/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/prng.h"
#include "numerics/float_bits.h"
#include "numerics/float_format.h"
#include "numerics/random.h"

namespace presil::numerics {
namespace {

constexpr DType kAll[] = {DType::fp32,     DType::tf32,       DType::bf16,     DType::fp16,     DType::fp8_e4m3,
                          DType::fp8_e5m2, DType::fp8_e4m3fn, DType::fp8_e3m4, DType::fp8_e8m0, DType::int8,
                          DType::uint8,    DType::int16,      DType::uint16,   DType::int32,    DType::uint32,
                          DType::int64,    DType::boolean};

struct Layout {
  DType dtype;
  int exponent_bits, mantissa_bits;
};
constexpr Layout kSmallFloats[] = {{DType::bf16, 8, 7},
                                   {DType::fp16, 5, 10},
                                   {DType::fp8_e4m3, 4, 3},
                                   {DType::fp8_e5m2, 5, 2},
                                   {DType::fp8_e3m4, 3, 4}};

// The value of a pattern from its definition: (-1)^s 2^(e - bias) (1 + m / 2^mantissa_bits).
double value_of(const Layout& f, uint32_t bits) {
  const int total = 1 + f.exponent_bits + f.mantissa_bits;
  const double sign = (bits >> (total - 1)) != 0 ? -1.0 : 1.0;
  const int e = static_cast<int>(bits >> f.mantissa_bits) & ((1 << f.exponent_bits) - 1);
  const int m = static_cast<int>(bits) & ((1 << f.mantissa_bits) - 1);
  const int bias = (1 << (f.exponent_bits - 1)) - 1;
  if (e == (1 << f.exponent_bits) - 1) return m != 0 ? std::nan("") : sign * INFINITY;
  if (e == 0) return sign * std::ldexp(m, 1 - bias - f.mantissa_bits);
  return sign * std::ldexp(1.0 + std::ldexp(m, -f.mantissa_bits), e - bias);
}

TEST(Convert, EveryPatternOfSmallFloatsReadsAsDefined) {
  for (const Layout& f : kSmallFloats) {
    const uint32_t patterns = 1u << (1 + f.exponent_bits + f.mantissa_bits);
    for (uint32_t bits = 0; bits < patterns; ++bits) {
      const double expected = value_of(f, bits);
      const float got = to_fp32(f.dtype, bits);
      if (std::isnan(expected)) {
        ASSERT_EQ(bits_of(got), kCanonicalNanBits) << dtype_name(f.dtype) << " " << bits;
      } else {
        ASSERT_EQ(bits_of(got), bits_of(static_cast<float>(expected))) << dtype_name(f.dtype) << " " << bits;
        ASSERT_EQ(from_fp32(f.dtype, got), bits) << dtype_name(f.dtype);
      }
    }
  }
}

// Writing rounds to the nearest finite value; a tie goes to the even pattern. Checked at every boundary between two
// neighbours: the midpoint, and one fp32 step to either side.
TEST(Convert, EveryRoundingBoundaryOfSmallFloatsIsTight) {
  for (const Layout& f : kSmallFloats) {
    const uint32_t infinity = ((1u << f.exponent_bits) - 1) << f.mantissa_bits;
    const uint32_t sign = 1u << (f.exponent_bits + f.mantissa_bits);
    for (uint32_t low = 0; low < infinity; ++low) {
      // The value one step past the largest finite one stands in for infinity.
      const double above = low + 1 == infinity ? 2.0 * value_of(f, low) - value_of(f, low - 1) : value_of(f, low + 1);
      const double exact_middle = (value_of(f, low) + above) / 2.0;
      const auto middle = static_cast<float>(exact_middle);
      if (!std::isfinite(middle) || static_cast<double>(middle) != exact_middle) continue;  // bf16's finest denormals
      const uint32_t even = (low & 1) == 0 ? low : low + 1;
      ASSERT_EQ(from_fp32(f.dtype, middle), even) << dtype_name(f.dtype) << " " << low;
      ASSERT_EQ(from_fp32(f.dtype, -middle), even | sign);
      ASSERT_EQ(from_fp32(f.dtype, std::nextafter(middle, 0.0f)), low) << dtype_name(f.dtype);
      ASSERT_EQ(from_fp32(f.dtype, std::nextafter(middle, INFINITY)), low + 1) << dtype_name(f.dtype);
    }
    EXPECT_EQ(from_fp32(f.dtype, INFINITY), infinity);
    EXPECT_EQ(from_fp32(f.dtype, -INFINITY), infinity | sign);
    EXPECT_EQ(from_fp32(f.dtype, -std::nanf("1")), infinity | (1u << (f.mantissa_bits - 1)));
  }
}

TEST(Convert, LargestFiniteValues) {
  EXPECT_EQ(to_fp32(DType::fp8_e4m3, 0x77), 240.0f);
  EXPECT_EQ(to_fp32(DType::fp8_e5m2, 0x7b), 57344.0f);
  EXPECT_EQ(to_fp32(DType::fp8_e3m4, 0x6f), 15.5f);
  EXPECT_EQ(to_fp32(DType::fp8_e4m3fn, 0x7e), 448.0f);
  EXPECT_EQ(to_fp32(DType::fp16, 0x7bff), 65504.0f);
  EXPECT_EQ(from_fp32(DType::bf16, std::numeric_limits<float>::max()), 0x7f80u);  // FP32_MIN rule of range_select
}

TEST(Convert, Fp8e4m3fnHasNoInfinities) {
  EXPECT_EQ(bits_of(to_fp32(DType::fp8_e4m3fn, 0x7f)), kCanonicalNanBits);
  EXPECT_EQ(bits_of(to_fp32(DType::fp8_e4m3fn, 0xff)), kCanonicalNanBits);
  EXPECT_EQ(from_fp32(DType::fp8_e4m3fn, 464.0f), 0x7eu);  // a tie, to the even pattern
  for (float x : {464.1f, 1e9f, INFINITY, -INFINITY, -465.0f, NAN, -NAN})
    EXPECT_EQ(from_fp32(DType::fp8_e4m3fn, x), 0x7fu) << x;
}

TEST(Convert, ScalesAreTheNearestPowersOfTwo) {
  for (uint32_t bits = 0; bits < 255; ++bits) {
    const float value = to_fp32(DType::fp8_e8m0, bits);
    EXPECT_EQ(static_cast<double>(value), std::ldexp(1.0, static_cast<int>(bits) - 127));
    EXPECT_EQ(from_fp32(DType::fp8_e8m0, value), bits);
    const float middle = value * 1.5f;
    EXPECT_EQ(from_fp32(DType::fp8_e8m0, middle), bits + 1) << bits;
    EXPECT_EQ(from_fp32(DType::fp8_e8m0, std::nextafter(middle, 0.0f)), bits) << bits;
  }
  EXPECT_EQ(from_fp32(DType::fp8_e8m0, 0x1p-149f), 0u);
  for (float x : {0.0f, -0.0f, -1.0f, INFINITY, NAN, 3.4e38f}) EXPECT_EQ(from_fp32(DType::fp8_e8m0, x), 255u) << x;
}

TEST(Convert, PackedElementsHoldFourNumbersTheFirstLowest) {
  const std::array<float, 4> numbers = {1.0f, -2.0f, 0.5f, 6.0f};
  EXPECT_EQ(pack(DType::fp4_e2m1fn_x4, numbers), 0x71c2u);
  EXPECT_EQ(pack(DType::fp8_e4m3fn_x4, numbers), 0x4c30c038u);
  for (DType t : {DType::fp8_e4m3fn_x4, DType::fp8_e5m2_x4, DType::fp4_e2m1fn_x4}) {
    EXPECT_EQ(unpack(t, pack(t, numbers)), numbers) << dtype_name(t);
  }
  constexpr float halves[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (uint32_t bits = 0; bits < 16; ++bits) {
    EXPECT_EQ(unpack(DType::fp4_e2m1fn_x4, bits)[0], bits < 8 ? halves[bits] : -halves[bits - 8]);
  }
  EXPECT_EQ(pack(DType::fp4_e2m1fn_x4, {1e9f, -INFINITY, NAN, 0.25f}), 0x00f7u);
}

// Another bias is another power of two on every value: fp8 as configurable on the machine.
TEST(Convert, AConfiguredBiasScalesAFormat) {
  for (int bias : {-3, 0, 7, 11, 30}) {
    const FloatFormat format{4, 3, bias};
    for (uint32_t bits = 0; bits < 256; ++bits) {
      const float plain = to_fp32(DType::fp8_e4m3, bits), scaled = decode(format, bits);
      if (std::isnan(plain)) continue;
      ASSERT_EQ(scaled, std::isinf(plain) ? plain : std::ldexp(plain, 7 - bias)) << bits;
      ASSERT_EQ(encode(format, scaled), bits);
    }
  }
}

// Over evenly spread random words a value goes to its upper neighbour as often as it is near to it, exactly.
TEST(Convert, StochasticRoundingChoosesANeighbourByDistance) {
  for (const Layout& f : kSmallFloats) {
    for (uint32_t low : {0u, 1u, 3u, 1u << f.mantissa_bits, (1u << f.mantissa_bits) + 1, 37u}) {
      const double below = value_of(f, low), above = value_of(f, low + 1);
      for (int part : {0, 1, 5, 8, 15}) {
        const auto x = static_cast<float>(below + (above - below) * part / 16);
        int up = 0;
        for (uint32_t word = 0; word < 16; ++word) {
          const auto rounded = from_fp32_stochastic(f.dtype, x, word << 28);
          ASSERT_TRUE(rounded == low || rounded == low + 1) << dtype_name(f.dtype) << " " << x;
          up += rounded == low + 1;
        }
        EXPECT_EQ(up, part) << dtype_name(f.dtype) << " " << x;
      }
    }
    EXPECT_EQ(from_fp32_stochastic(f.dtype, -INFINITY, ~0u), from_fp32(f.dtype, -INFINITY));
    EXPECT_EQ(from_fp32_stochastic(f.dtype, NAN, ~0u), from_fp32(f.dtype, NAN));
    EXPECT_EQ(from_fp32_stochastic(f.dtype, -0.0f, ~0u), from_fp32(f.dtype, -0.0f));
  }
  EXPECT_EQ(from_fp32_stochastic(DType::fp8_e4m3fn, 464.0f, 0), 0x7eu);
  EXPECT_EQ(from_fp32_stochastic(DType::fp8_e4m3fn, 464.0f, ~0u), 0x7fu);
  EXPECT_EQ(from_fp32_stochastic(DType::int8, 2.5f, ~0u), 2u);
}

// The mean of rounded values is the value: within 4 standard deviations over ten million draws.
TEST(Convert, StochasticRoundingIsUnbiased) {
  constexpr uint64_t draws = 10'000'000;
  const float x = 1.0f + 0x1.6p-9f;
  const double part = (x - 1.0) * 128, deviation = std::sqrt(part * (1 - part) / draws);
  uint64_t up = 0;
  for (uint64_t i = 0; i < draws; ++i) up += from_fp32_stochastic(DType::bf16, x, random_word(5, 9, i)) != 0x3f80u;
  EXPECT_NEAR(static_cast<double>(up) / draws, part, 4 * deviation);
}

TEST(Convert, Tf32KeepsTenMantissaBits) {
  EXPECT_EQ(from_fp32(DType::tf32, 1.0f + 0x1p-10f), bits_of(1.0f + 0x1p-10f));
  EXPECT_EQ(from_fp32(DType::tf32, 1.0f + 0x1p-11f), bits_of(1.0f));
  EXPECT_EQ(from_fp32(DType::tf32, 1.0f + 0x1.8p-10f), bits_of(1.0f + 0x1p-9f));
  EXPECT_EQ(from_fp32(DType::tf32, 1.0f + 0x1.001p-11f), bits_of(1.0f + 0x1p-10f));
  EXPECT_EQ(to_fp32(DType::tf32, bits_of(1.0f + 0x1p-11f)), 1.0f);
  EXPECT_EQ(from_fp32(DType::tf32, 3.4028235e38f), kInfinityBits);
  EXPECT_EQ(from_fp32(DType::tf32, float_of(0xffc12345)), kCanonicalNanBits);
}

TEST(Convert, IntegersRoundToEvenAndSaturate) {
  EXPECT_EQ(from_fp32(DType::int8, 2.5f), 2u);
  EXPECT_EQ(from_fp32(DType::int8, 3.5f), 4u);
  EXPECT_EQ(from_fp32(DType::int8, -2.5f), 0xfeu);
  EXPECT_EQ(from_fp32(DType::int8, 127.5f), 127u);
  EXPECT_EQ(from_fp32(DType::int8, -1000.0f), 0x80u);
  EXPECT_EQ(from_fp32(DType::uint8, -0.6f), 0u);
  EXPECT_EQ(from_fp32(DType::uint8, 255.4f), 255u);
  EXPECT_EQ(from_fp32(DType::uint8, 1e30f), 255u);
  EXPECT_EQ(from_fp32(DType::int32, 2147483648.0f), 0x7fffffffu);
  EXPECT_EQ(from_fp32(DType::int32, -2147483648.0f), 0x80000000u);
  EXPECT_EQ(from_fp32(DType::int32, 8388607.5f), 8388608u);
  EXPECT_EQ(from_fp32(DType::uint32, 4294967040.0f), 4294967040u);
  EXPECT_EQ(from_fp32(DType::uint32, INFINITY), 0xffffffffu);
  EXPECT_EQ(from_fp32(DType::int64, -INFINITY), 0x8000000000000000u);
  EXPECT_EQ(from_fp32(DType::int64, 0x1p62f), 1ull << 62);
  EXPECT_EQ(to_fp32(DType::int64, static_cast<uint64_t>(-16777217)), -16777216.0f);
  EXPECT_EQ(to_fp32(DType::uint32, 0xffffffffu), 4294967296.0f);
  for (DType t : kAll) {
    if (!is_integer(t)) continue;
    EXPECT_EQ(from_fp32(t, NAN), 0u) << dtype_name(t);
  }
}

TEST(Convert, BoolIsNonZero) {
  EXPECT_EQ(from_fp32(DType::boolean, -0.0f), 0u);
  EXPECT_EQ(from_fp32(DType::boolean, 0x1p-149f), 1u);
  EXPECT_EQ(from_fp32(DType::boolean, NAN), 1u);
  EXPECT_EQ(to_fp32(DType::boolean, 7), 1.0f);
  EXPECT_EQ(to_fp32(DType::boolean, 0), 0.0f);
}

std::vector<float> hard_values(size_t count) {
  std::vector<float> values = {0.0f,       -0.0f,     INFINITY, -INFINITY, NAN,          -NAN,   0x1p-149f,
                               -0x1p-149f, 0x1p-126f, 65504.0f, 65520.0f,  240.0f,       248.0f, 0.5f,
                               1.5f,       2.5f,      -0.5f,    127.5f,    3.4028235e38f};
  Prng random(7);
  while (values.size() < count) {
    const auto word = static_cast<uint32_t>(random.next());
    values.push_back(random.below(2) == 0 ? float_of(word) : static_cast<float>(static_cast<int32_t>(word)) * 0x1p-20f);
  }
  return values;
}

TEST(ConvertSpan, StoresEqualTheDefinition) {
  const std::vector<float> values = hard_values(100'003);
  for (DType t : kAll) {
    const size_t bytes = dtype_bytes(t);
    std::vector<std::byte> out(values.size() * bytes);
    store_span(t, values.data(), out.data(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      uint64_t got = 0;
      std::memcpy(&got, out.data() + i * bytes, bytes);
      ASSERT_EQ(got, from_fp32(t, values[i])) << dtype_name(t) << " " << values[i];
    }
  }
}

TEST(ConvertSpan, LoadsEqualTheDefinitionForEveryPatternOf16Bits) {
  for (DType t : kAll) {
    const size_t bytes = dtype_bytes(t), count = 65536;
    std::vector<std::byte> in(count * bytes);
    Prng random(11);
    for (size_t i = 0; i < count; ++i) {
      uint64_t bits = bytes <= 2 ? i : random.next();
      std::memcpy(in.data() + i * bytes, &bits, bytes);
    }
    std::vector<float> out(count);
    load_span(t, in.data(), out.data(), count);
    for (size_t i = 0; i < count; ++i) {
      uint64_t bits = 0;
      std::memcpy(&bits, in.data() + i * bytes, bytes);
      ASSERT_EQ(bits_of(out[i]), bits_of(to_fp32(t, bits))) << dtype_name(t) << " " << bits;
    }
  }
}

TEST(ConvertSpan, EveryLengthAndMisalignmentWritesOnlyItsOwnBytes) {
  const std::vector<float> values = hard_values(80);
  for (DType t : {DType::bf16, DType::fp16, DType::int8, DType::fp32, DType::int64}) {
    const size_t bytes = dtype_bytes(t);
    for (size_t count = 0; count < 70; ++count) {
      std::vector<std::byte> out(80 * bytes + 1, std::byte{0xa5});
      store_span(t, values.data(), out.data() + 1, count);
      EXPECT_EQ(out[0], std::byte{0xa5});
      EXPECT_TRUE(std::all_of(out.begin() + static_cast<ptrdiff_t>(1 + count * bytes), out.end(),
                              [](std::byte b) { return b == std::byte{0xa5}; }));
      std::vector<float> back(count + 1, -7.0f);
      load_span(t, out.data() + 1, back.data(), count);
      EXPECT_EQ(back[count], -7.0f);
      for (size_t i = 0; i < count; ++i) EXPECT_EQ(bits_of(back[i]), bits_of(to_fp32(t, from_fp32(t, values[i]))));
    }
  }
}

TEST(DTypeNames, RoundTrip) {
  for (DType t : kAll) EXPECT_EQ(dtype_from_name(dtype_name(t)), t);
  EXPECT_EQ(dtype_from_name("fp31"), std::nullopt);
}

}  // namespace
}  // namespace presil::numerics
