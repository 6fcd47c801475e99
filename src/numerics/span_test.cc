// Fast spans against the definitions, bit for bit.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/prng.h"
#include "numerics/activation_span.h"
#include "numerics/alu_span.h"
#include "numerics/float_bits.h"
#include "numerics/matmul.h"
#include "numerics/reduce.h"

namespace presil::numerics {
namespace {

float hard_value(Prng& random) {
  static constexpr uint32_t kSpecial[] = {
      0,           kSignBit,    kInfinityBits, kInfinityBits | kSignBit, kCanonicalNanBits, 0xffc00123u, 1, 0x007fffffu,
      0x7f7fffffu, 0x3f800000u, 0xbf800000u};
  switch (random.below(4)) {
    case 0:
      return float_of(kSpecial[random.below(std::size(kSpecial))]);
    case 1:
      return float_of(static_cast<uint32_t>(random.next()));
    case 2:
      return static_cast<float>(random.between(-9, 9));
    default:
      return random.normal();
  }
}

std::vector<float> hard_values(Prng& random, size_t count) {
  std::vector<float> values(count);
  for (float& x : values) x = hard_value(random);
  return values;
}

TEST(AluSpan, EveryOperatorFormAndLengthEqualsTheDefinition) {
  Prng random(1);
  for (int op = 0; op < static_cast<int>(AluOp::bit_not); ++op) {
    const auto o = static_cast<AluOp>(op);
    for (size_t count : {0, 1, 3, 7, 8, 15, 16, 17, 31, 33, 67, 1000}) {
      const auto a = hard_values(random, count + 1), b = hard_values(random, count + 1);
      for (AluForm form : {AluForm::vector_vector, AluForm::vector_scalar, AluForm::scalar_vector}) {
        std::vector<float> out(count + 1, 42.0f);
        alu_kernel(o, form)(a.data(), b.data(), out.data(), count);
        for (size_t i = 0; i < count; ++i) {
          const float x = a[form == AluForm::scalar_vector ? 0 : i], y = b[form == AluForm::vector_scalar ? 0 : i];
          ASSERT_EQ(bits_of(out[i]), bits_of(alu_apply(o, x, y))) << alu_op_name(o) << "(" << x << ", " << y << ")";
        }
        EXPECT_EQ(out[count], 42.0f);
      }
    }
  }
}

TEST(AluSpan, InPlace) {
  Prng random(2);
  auto a = hard_values(random, 100);
  const auto b = hard_values(random, 100), before = a;
  alu_kernel(AluOp::subtract, AluForm::vector_vector)(b.data(), a.data(), a.data(), 100);
  for (size_t i = 0; i < 100; ++i) EXPECT_EQ(bits_of(a[i]), bits_of(alu_apply(AluOp::subtract, b[i], before[i])));
}

TEST(AluSpan, MultiplyAddRoundsOnce) {
  Prng random(12);
  for (size_t count : {0, 1, 15, 16, 33}) {
    const auto a = hard_values(random, count), b = hard_values(random, count), c = hard_values(random, count);
    std::vector<float> out(count + 1, 42.0f);
    fma_span(a.data(), b.data(), c.data(), out.data(), count);
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(bits_of(out[i]), bits_of(canonical(std::fma(a[i], b[i], c[i]))));
    EXPECT_EQ(out[count], 42.0f);
  }
}

TEST(FusedSpan, EveryPairEqualsTwoSteps) {
  Prng random(3);
  int pairs = 0;
  for (int op0 = 0; op0 < static_cast<int>(AluOp::bit_not); ++op0) {
    for (int op1 = 0; op1 < static_cast<int>(AluOp::bit_not); ++op1) {
      for (int form = 0; form < 8; ++form) {
        const FusedOps ops{static_cast<AluOp>(op0), static_cast<AluOp>(op1), (form & 1) != 0, (form & 2) != 0,
                           (form & 4) != 0};
        const FusedKernel kernel = fused_kernel(ops);
        if (kernel == nullptr) continue;
        ++pairs;
        for (size_t count : {0, 1, 15, 16, 17, 100}) {
          const auto a = hard_values(random, count + 1), b = hard_values(random, count + 1);
          const float s = hard_value(random);
          std::vector<float> out(count + 1, 42.0f);
          kernel(a.data(), &s, b.data(), out.data(), count);
          for (size_t i = 0; i < count; ++i) {
            const float y = b[ops.scalar_b ? 0 : i];
            const float t = ops.reverse_first ? alu_apply(ops.first, s, a[i]) : alu_apply(ops.first, a[i], s);
            const float expected = ops.reverse_second ? alu_apply(ops.second, y, t) : alu_apply(ops.second, t, y);
            ASSERT_EQ(bits_of(out[i]), bits_of(expected)) << alu_op_name(ops.first) << " " << alu_op_name(ops.second);
          }
          EXPECT_EQ(out[count], 42.0f);
        }
      }
    }
  }
  // 8 operator and order pairs for each step (max and min only in order, add and multiply in both).
  EXPECT_EQ(pairs, 8 * 8 * 2);
}

TEST(ActivationSpan, EveryFunctionEqualsTheDefinition) {
  Prng random(4);
  for (int i = 0; i < kActivationCount; ++i) {
    const auto f = static_cast<Activation>(i);
    for (size_t count : {0, 1, 5, 16, 31, 50'000}) {
      auto in = hard_values(random, count + 1);
      for (size_t j = 0; j < count; j += 3) in[j] = random.normal() * 4.0f;
      for (const ActivationArguments& arguments : {ActivationArguments{}, ActivationArguments{0.7f, 0.1f, 0.25f}}) {
        std::vector<float> out(count + 1, 42.0f);
        activation_kernel(f)(in.data(), out.data(), count, arguments);
        for (size_t j = 0; j < count; ++j) {
          ASSERT_EQ(bits_of(out[j]), bits_of(activation_affine_apply(f, in[j], arguments)))
              << activation_name(f) << "(" << in[j] << ")";
        }
        EXPECT_EQ(out[count], 42.0f);
      }
    }
  }
}

TEST(Reduce, LanesThenTree) {
  std::vector<float> values(40);
  for (size_t i = 0; i < values.size(); ++i) values[i] = i == 0 ? 0x1p24f : 1.0f;
  // Lane 0 holds 2^24 + 1 + 1, where each 1 is lost; the other lanes add up to 37, 8 of it from lane 8 first.
  float lanes[16] = {};
  for (size_t i = 0; i < 40; ++i) lanes[i % 16] += values[i];
  for (size_t w : {8, 4, 2, 1}) {
    for (size_t j = 0; j < w; ++j) lanes[j] += lanes[j + w];
  }
  EXPECT_EQ(reduce_plain(AluOp::add, values), lanes[0]);
  EXPECT_EQ(reduce_plain(AluOp::subtract, std::vector<float>{10, 1, 2}), 7.0f);
  EXPECT_EQ(bits_of(reduce_plain(AluOp::add, std::vector<float>{-0.0f})), bits_of(0.0f));
  EXPECT_EQ(reduce_plain(AluOp::max, {}), -INFINITY);
}

TEST(Reduce, SpansAndPiecesEqualTheDefinition) {
  Prng random(6);
  for (int op = 0; op < static_cast<int>(AluOp::bit_not); ++op) {
    const auto o = static_cast<AluOp>(op);
    for (size_t count : {1, 2, 9, 15, 16, 17, 31, 32, 49, 512, 1001}) {
      auto values = hard_values(random, count);
      if (random.below(2) == 0) {
        for (float& x : values) x = random.normal();
      }
      const uint32_t expected = bits_of(reduce_plain(o, values));
      EXPECT_EQ(bits_of(reduce_span(o, values)), expected) << alu_op_name(o) << " " << count;
      if (!reduces_in_lanes(o)) continue;
      const LaneReducer reducer(o);
      LaneReducer::State state = reducer.start();
      for (size_t i = 0; i < count;) {
        const size_t piece = std::min(count - i, static_cast<size_t>(random.below(40)));
        reducer.feed(state, std::span<const float>(values).subspan(i, piece));
        i += piece;
      }
      EXPECT_EQ(bits_of(reducer.finish(state)), expected) << alu_op_name(o) << " " << count;
    }
  }
}

struct Shape {
  size_t m, n, k;
};

TEST(MatmulFast, EqualsTheDefinitionForEveryRestOfRowsAndColumns) {
  std::vector<Shape> shapes = {{128, 512, 128}, {128, 512, 1}, {1, 1, 1}, {1, 512, 128}, {128, 1, 128}, {64, 100, 256}};
  for (size_t n : {1, 2, 3, 4, 49, 52}) shapes.insert(shapes.end(), {{16, n, 5}, {70, n, 9}, {104, n, 128}});
  for (size_t m = 1; m <= 17; ++m) shapes.push_back({m, 50 + m, 13});
  for (size_t n = 1; n <= 70; ++n) shapes.push_back({9, n, 7});
  Prng random(8);
  for (const Shape& s : shapes) {
    for (bool accumulate : {false, true}) {
      for (bool hard : {false, true}) {
        std::vector<float> a(s.k * (s.m + 3)), b(s.k * (s.n + 5)), c(s.m * (s.n + 2));
        for (auto* v : {&a, &b, &c}) {
          for (float& x : *v) x = hard && random.below(50) == 0 ? hard_value(random) : random.normal();
        }
        std::vector<float> expected = c;
        Matmul p{s.m, s.n, s.k, a.data(), s.m + 3, b.data(), s.n + 5, expected.data(), s.n + 2, accumulate};
        matmul_plain(p);
        p.dst = c.data();
        matmul_accumulate(p);
        for (size_t i = 0; i < c.size(); ++i) {
          // Beyond each row nothing is written: such elements may hold any NaN.
          ASSERT_EQ(bits_of(c[i]), bits_of(expected[i])) << s.m << " " << s.n << " " << s.k << " at " << i;
        }
      }
    }
  }
}

// Columns of dst as a window: runs of `run` columns at a distance, nothing written between them.
TEST(MatmulFast, WindowsOfEveryWidth) {
  Prng random(9);
  for (size_t run = 1; run <= 60; ++run) {
    for (bool accumulate : {false, true}) {
      const size_t runs = 1 + random.below(6), n = runs * run - random.below(run), gap = random.below(4);
      const Shape s{1 + random.below(40), n, 1 + random.below(9)};
      const size_t row = runs * (run + gap) + 3;
      std::vector<float> a(s.k * s.m), b(s.k * s.n), c(s.m * row);
      for (auto* v : {&a, &b, &c}) {
        for (float& x : *v) x = random.below(50) == 0 ? hard_value(random) : random.normal();
      }
      std::vector<float> expected = c;
      Matmul p{s.m, s.n, s.k, a.data(), s.m, b.data(), s.n, expected.data(), row, accumulate};
      p.run = run, p.run_stride = static_cast<int64_t>(run + gap);
      matmul_plain(p);
      p.dst = c.data();
      matmul_accumulate(p);
      for (size_t i = 0; i < c.size(); ++i) {
        ASSERT_EQ(bits_of(c[i]), bits_of(expected[i]))
            << s.m << " " << s.n << " " << s.k << " run " << run << " at " << i;
      }
    }
  }
}

TEST(MatmulFast, OneChainFromZeroThenOneAddition) {
  // 2^24 + 1 is lost in the chain; with a chain that started from dst = -2^24 it would not be.
  const float a[] = {0x1p24f, 1.0f}, b[] = {1.0f, 1.0f};
  float c = -0x1p24f;
  matmul_accumulate({1, 1, 2, a, 1, b, 1, &c, 1, true});
  EXPECT_EQ(c, 0.0f);
  // One rounding per step: (1 + 2^-12)^2 - (1 + 2^-11) = 2^-24.
  const float x[] = {-(1.0f + 0x1p-11f), 1.0f + 0x1p-12f}, y[] = {1.0f, 1.0f + 0x1p-12f};
  matmul_accumulate({1, 1, 2, x, 1, y, 1, &c, 1, false});
  EXPECT_EQ(c, 0x1p-24f);
}

}  // namespace
}  // namespace presil::numerics
