// Do the products of the tensor engine equal their plain definitions, bit for bit, and what do they refuse?
#include "chip/execute_fixture.h"

namespace presil::chip {
namespace {

using namespace testing;

constexpr DType kFp8[] = {DType::fp8_e4m3, DType::fp8_e5m2, DType::fp8_e4m3fn};
constexpr DType kPackedTypes[] = {DType::fp8_e4m3fn_x4, DType::fp8_e5m2_x4, DType::fp4_e2m1fn_x4};
constexpr DType kResults[] = {DType::fp32, DType::fp32, DType::bf16};
constexpr uint32_t kMoving[] = {1, 7, 16, 33}, kElements[] = {1, 5, 16, 64};
constexpr DType kSparseTypes[] = {DType::bf16, DType::fp16, DType::fp8_e4m3};
constexpr uint32_t kSides[] = {1, 2, 13, 32, 64, 128};
constexpr uint32_t kColumns[] = {1, 7, 16, 60, 97, 128, 256};

View result(Fixture& b, uint32_t m, uint32_t n) {
  return b.view(Memory::psum, b.pick(kResults), m, b.start_for(m), b.factors(n, 3), 0, true);
}
// `parts` runs of n elements, each in a pattern of its own dimensions.
View in_parts(Fixture& b, DType t, uint32_t k, uint32_t parts, uint32_t n, int region) {
  std::vector<uint32_t> counts{parts};
  for (uint32_t f : b.factors(n, 2)) counts.push_back(f);
  return b.view(Memory::sbuf, t, k, b.start_for(k), counts, region, true);
}

TEST(ExecuteProducts, DoubleRow) {
  Fixture b(31);
  for (int i = 0; i < 100; ++i) {
    const uint32_t k = b.pick(kSides), m = b.pick(kSides), n = b.pick(kColumns);
    b.start(Opcode::nc_matmul, EngineKind::tensor,
            {result(b, m, n), in_parts(b, b.pick(kFp8), k, 2, m, 1), in_parts(b, b.pick(kFp8), k, 2, n, 2)});
    b.set(slots::nc_matmul::perf_mode, static_cast<uint32_t>(isa::MatmulMode::double_row));
    b.set(slots::nc_matmul::accumulate, static_cast<uint32_t>(b.chance(50)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(ExecuteProducts, Mx) {
  Fixture b(32);
  for (int i = 0; i < 40; ++i) {
    const uint32_t k = 32 * static_cast<uint32_t>(1 + b.random.below(4)),
                   m = 2 * static_cast<uint32_t>(1 + b.random.below(16));
    const uint32_t n = b.pick(kMoving), scales = k - 28, start = 4 * static_cast<uint32_t>(b.random.below(4));
    const DType scale = b.chance(50) ? DType::fp8_e8m0 : DType::uint8;
    const View stationary = b.view(Memory::sbuf, b.pick(kPackedTypes), k, 0, b.factors(m, 2), 1, true);
    const View moving = b.view(Memory::sbuf, b.pick(kPackedTypes), k, 0, b.factors(n, 2), 2, true);
    const View stationary_scale = b.view(Memory::sbuf, scale, scales, start, {m}, 3, true);
    const View moving_scale = b.view(Memory::sbuf, scale, scales, start, {n}, 4, true);
    b.program = {};
    b.program.append(Opcode::nc_matmul_mx, EngineKind::tensor);
    b.program.views = {result(b, m, n), stationary, moving, stationary_scale, moving_scale};
    b.fill(b.program.views[0]);
    for (const View& v : {stationary, moving}) b.fill(v, [&](size_t) { return b.random.next(); });
    for (const View& v : {stationary_scale, moving_scale})
      b.fill(v, [&](size_t) { return b.chance(2) ? b.random.below(256) : 120 + b.random.below(16); });
    b.set(slots::nc_matmul_mx::accumulate, static_cast<uint32_t>(b.chance(50)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(ExecuteProducts, QuantizeMx) {
  Fixture b(33);
  for (int i = 0; i < 60; ++i) {
    const uint32_t p = 32 * static_cast<uint32_t>(1 + b.random.below(4)), n = b.pick(kElements);
    const uint32_t start = 4 * static_cast<uint32_t>(b.random.below(4));
    const DType to = b.chance(50) ? DType::fp8_e4m3fn_x4 : DType::fp8_e5m2_x4;
    const View src = b.view(Memory::sbuf, b.chance(50) ? DType::bf16 : DType::fp16, p, 0, b.factors(4 * n, 3), 1, true);
    const View dst = b.view(Memory::sbuf, to, p, 0, b.factors(n, 2), 0, true);
    const View scale = b.view(Memory::sbuf, b.chance(50) ? DType::fp8_e8m0 : DType::uint8, p - 28, start, {n}, 2, true);
    b.program = {};
    b.program.append(Opcode::quantize_mx, EngineKind::vector);
    b.program.views = {dst, src, scale};
    b.fill(src);
    b.set(slots::quantize_mx::tight_scale, static_cast<uint32_t>(b.chance(50)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(ExecuteProducts, Sparse) {
  Fixture b(34);
  constexpr uint32_t kPatterns[][2] = {{4, 16}, {4, 12}, {4, 8}, {2, 8}, {2, 4}, {1, 4}, {1, 2}};
  for (int i = 0; i < 100; ++i) {
    const auto& [kept, of] = kPatterns[i % 7];
    const uint32_t k = kept * static_cast<uint32_t>(1 + b.random.below(128 / kept)), m = b.pick(kSides),
                   n = b.pick(kColumns);
    const DType t = b.pick(kSparseTypes);
    const View tags = b.view(Memory::sbuf, DType::uint16, k, b.start_for(k), {(m + 3) / 4}, 3, true);
    b.start(Opcode::nc_matmul_sparse, EngineKind::tensor,
            {result(b, m, n), b.view(Memory::sbuf, t, k, b.start_for(k), b.factors(m, 2), 1, true),
             in_parts(b, t, k, of / kept, n, 2), tags});
    b.fill(tags, [&, places = of](size_t) {
      uint64_t word = 0;
      for (int place = 0; place < 4; ++place) word |= b.random.below(places) << (4 * place);
      return word;
    });
    b.set(slots::nc_matmul_sparse::kept, kept);
    b.set(slots::nc_matmul_sparse::of, of);
    b.set(slots::nc_matmul_sparse::accumulate, static_cast<uint32_t>(b.chance(50)));
    ASSERT_TRUE(b.matches()) << kept << ":" << of;
  }
}

// A dense product of the same numbers, expanded by hand: the tags name places of the group's row-major order.
TEST(ExecuteProducts, SparseEqualsTheExpandedProduct) {
  Fixture b(35);
  const View dst = b.view(Memory::psum, DType::fp32, 1, 0, {1}, 0, true);
  const View stationary = b.view(Memory::sbuf, DType::bf16, 4, 0, {1}, 1, true);
  const View moving = b.view(Memory::sbuf, DType::bf16, 4, 0, {4, 1}, 2, true);
  const View tags = b.view(Memory::sbuf, DType::uint16, 4, 0, {1}, 3, true);
  b.start(Opcode::nc_matmul_sparse, EngineKind::tensor, {dst, stationary, moving, tags});
  const auto number = [](double x) { return numerics::from_fp32(DType::bf16, static_cast<float>(x)); };
  b.fill(stationary, [&](size_t p) { return number(std::pow(10, p)); });
  b.fill(moving, [&](size_t i) { return number(static_cast<double>(i)); });  // place i of the group holds i
  const uint64_t chosen[] = {3, 0, 15, 6};
  b.fill(tags, [&](size_t p) { return chosen[p]; });
  ASSERT_TRUE(b.matches());
  float sum = 0;
  std::memcpy(&sum, b.memory.partition(Memory::psum, 0).data() + dst.offset, 4);
  EXPECT_EQ(sum, 3.0f + 0.0f * 10 + 15.0f * 100 + 6.0f * 1000);
}

TEST(ExecuteProducts, BrokenPromisesAndTagsFault) {
  const auto fault = [](Fixture& b) {
    execute(b.program, b.program.code[0], {}, b.memory, b.state);
    return b.state.fault;
  };
  for (int hint : {slots::nc_matmul::is_stationary_onezero, slots::nc_matmul::is_moving_onezero}) {
    for (float value : {1.0f, 0.5f}) {
      Fixture b(36);
      const View one = b.view(Memory::sbuf, DType::fp32, 4, 0, {8}, 1, true);
      b.start(Opcode::nc_matmul, EngineKind::tensor, {b.view(Memory::psum, DType::fp32, 8, 0, {8}, 0, true), one, one});
      b.fill(one, [&](size_t i) { return numerics::bits_of(i == 5 ? value : 0.0f); });
      b.set(hint, 1u);
      EXPECT_EQ(fault(b),
                value == 1.0f ? "" : "nc_matmul: an operand that is said to hold ones and zeros holds something else");
    }
  }
  Fixture b(37);
  const View tags = b.view(Memory::sbuf, DType::uint16, 4, 0, {2}, 3, true);
  b.start(Opcode::nc_matmul_sparse, EngineKind::tensor,
          {b.view(Memory::psum, DType::fp32, 8, 0, {8}, 0, true), b.view(Memory::sbuf, DType::bf16, 4, 0, {8}, 1, true),
           b.view(Memory::sbuf, DType::bf16, 4, 0, {3, 8}, 2, true), tags});
  b.fill(tags, [](size_t i) { return i == 3 ? 0x0d00 : 0; });
  b.set(slots::nc_matmul_sparse::of, 12u);
  EXPECT_EQ(fault(b), "nc_matmul_sparse: the tag of stationary [1, 6] is 13, the pattern 4:12 has 12 places");
}

}  // namespace
}  // namespace presil::chip
