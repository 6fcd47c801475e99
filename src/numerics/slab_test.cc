// Slabs against the definitions of their operators, bit for bit: every operator, widths on both sides of a vector, rows
// that continue each other or leave gaps, results in place of an input or elsewhere.
#include "numerics/slab.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "base/prng.h"
#include "numerics/activation_span.h"
#include "numerics/float_bits.h"

namespace presil::numerics {
namespace {

float hard_value(Prng& random) {
  static constexpr uint32_t kSpecial[] = {0, kSignBit, kInfinityBits, kInfinityBits | kSignBit, 0xffc00123u, 1};
  if (random.below(8) == 0) return float_of(kSpecial[random.below(std::size(kSpecial))]);
  return random.normal();
}

// One side with its own memory.
struct Side {
  std::vector<float> memory;
  SlabSide side;
  bool value = false;

  Side(Prng& random, const Slab& s, bool is_value) : value(is_value) {
    side.row_step = value ? static_cast<int64_t>(random.below(2)) : static_cast<int64_t>(s.columns + random.below(3));
    const auto plane = static_cast<size_t>(side.row_step) * s.rows + 1;
    side.plane_step = static_cast<int64_t>(plane + random.below(20));
    memory.resize(static_cast<size_t>(side.plane_step) * s.planes + s.columns);
    for (float& x : memory) x = hard_value(random);
    side.at = memory.data();
  }
  size_t place(size_t p, size_t r, size_t c) const {
    return static_cast<size_t>(side.plane_step) * p + static_cast<size_t>(side.row_step) * r + (value ? 0 : c);
  }
};

using Definition = std::function<float(const std::array<float, 3>&)>;

// `values`: bit k is set where in[k] is a value.
void expect_equal(Prng& random, SlabKernel kernel, size_t inputs, unsigned values, const Definition& definition) {
  Slab s{.planes = 1 + random.below(4), .rows = 1 + random.below(11), .columns = 1 + random.below(50), .alpha = 0.25f};
  std::vector<Side> sides;
  for (size_t k = 0; k < inputs; ++k) {
    sides.emplace_back(random, s, (values >> k & 1) != 0);
    s.in[k] = sides[k].side;
  }
  const std::vector<Side> before = sides;
  Side elsewhere(random, s, false);
  const size_t vector_input = (values & 1) != 0 ? 1 : 0;
  Side& out = random.below(2) == 0 ? sides[vector_input] : elsewhere;
  s.out = out.side;
  std::vector<float> expected = out.memory;
  for (size_t p = 0; p < s.planes; ++p) {
    for (size_t r = 0; r < s.rows; ++r) {
      for (size_t c = 0; c < s.columns; ++c) {
        std::array<float, 3> x{};
        for (size_t k = 0; k < inputs; ++k) x[k] = before[k].memory[before[k].place(p, r, c)];
        expected[out.place(p, r, c)] = definition(x);
      }
    }
  }
  kernel(s);
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(bits_of(out.memory[i]), bits_of(expected[i]))
        << s.planes << " x " << s.rows << " x " << s.columns << " at " << i;
  }
}

TEST(Slab, EveryOperatorAndForm) {
  Prng random(1);
  for (int i = 0; i < static_cast<int>(AluOp::bit_not); ++i) {
    const auto op = static_cast<AluOp>(i);
    for (const auto& [form, values] : {std::pair(AluForm::vector_vector, 0u), std::pair(AluForm::vector_scalar, 2u),
                                       std::pair(AluForm::scalar_vector, 1u)}) {
      for (int round = 0; round < 30; ++round) {
        expect_equal(random, alu_slab(op, form), 2, values, [&](const auto& x) { return alu_apply(op, x[0], x[1]); });
      }
    }
  }
}

TEST(Slab, EveryFusedPair) {
  Prng random(2);
  int kernels = 0;
  for (int pair = 0; pair < 24 * 24 * 8; ++pair) {
    const FusedOps ops{static_cast<AluOp>(pair / 8 / 24), static_cast<AluOp>(pair / 8 % 24), (pair & 1) != 0,
                       (pair & 2) != 0, (pair & 4) != 0};
    if (is_bitvec(ops.first) || is_bitvec(ops.second)) continue;
    const SlabKernel kernel = fused_slab(ops);
    ASSERT_EQ(kernel == nullptr, fused_kernel(ops) == nullptr);
    if (kernel == nullptr) continue;
    ++kernels;
    for (int round = 0; round < 10; ++round) {
      expect_equal(random, kernel, 3, ops.scalar_b ? 6 : 2, [&](const auto& x) {
        const float t = ops.reverse_first ? alu_apply(ops.first, x[1], x[0]) : alu_apply(ops.first, x[0], x[1]);
        return ops.reverse_second ? alu_apply(ops.second, x[2], t) : alu_apply(ops.second, t, x[2]);
      });
    }
  }
  EXPECT_EQ(kernels, 128);
}

TEST(Slab, EveryActivation) {
  Prng random(3);
  for (int i = 0; i < kActivationCount; ++i) {
    const auto f = static_cast<Activation>(i);
    for (int round = 0; round < 60; ++round) {
      expect_equal(random, activation_slab(f), 3, 6, [&](const auto& x) {
        return activation_affine_apply(f, x[0], {x[1], x[2], 0.25f});
      });
    }
  }
}

}  // namespace
}  // namespace presil::numerics
