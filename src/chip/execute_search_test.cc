// Do accumulating, random and searching instructions compute what the plain reference says?
#include "chip/execute_fixture.h"

namespace presil::chip {
namespace {

using namespace testing;
namespace slots = isa::slots;

constexpr ReduceCommand kCommands[] = {ReduceCommand::reduce, ReduceCommand::reset_reduce, ReduceCommand::load_reduce};
constexpr AluOp kOps[] = {AluOp::bypass, AluOp::add, AluOp::subtract, AluOp::multiply, AluOp::max,
                          AluOp::min,    AluOp::ge,  AluOp::square,   AluOp::divide};

TEST(Execute, Accumulations) {
  Fixture b(31);
  constexpr AluOp kReductions[] = {AluOp::add, AluOp::multiply, AluOp::max, AluOp::min};
  constexpr AluOp kRunning[] = {AluOp::add, AluOp::subtract, AluOp::multiply, AluOp::max, AluOp::min};
  for (int i = 0; i < 400; ++i) {
    const Shape s = b.shape(300);
    const View dst = b.row_view(b.pick(kOnChip), b.pick(kFloats), s, 0, true),
               data = input_view(b, s, b.pick(kFloats), 1, dst);
    const View scalar = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 2) : View{};
    const View initial = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 3) : View{};
    const View result = b.chance(70) ? b.column(Memory::sbuf, b.pick(kFloats), s, 4) : View{};
    {
      namespace t = slots::tensor_scalar_reduce;
      b.start(Opcode::tensor_scalar_reduce, EngineKind::vector, {dst, data, scalar, initial, result});
      b.set(t::op0, b.pick(kOps)), b.set(t::imm0, b.value()), b.set(t::reverse0, b.chance(30) ? 1u : 0u);
      b.set(t::reduce_op, b.pick(kReductions)), b.set(t::reduce_cmd, b.pick(kCommands));
      b.set(t::initial_imm, b.value()), b.set(t::negate, b.chance(30) ? 1u : 0u);
      ASSERT_TRUE(b.matches());
    }
    namespace t = slots::tensor_scalar_cumulative;
    b.start(Opcode::tensor_scalar_cumulative, EngineKind::vector, {dst, data, scalar, initial});
    b.set(t::op0, b.pick(kOps)), b.set(t::imm0, b.value()), b.set(t::reverse0, b.chance(30) ? 1u : 0u);
    b.set(t::op1, b.pick(kRunning)), b.set(t::reduce_cmd, b.pick(kCommands)), b.set(t::initial_imm, b.value());
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, ActivationReduceIsAResetActivation) {
  Fixture b(32);
  for (int i = 0; i < 100; ++i) {
    const Shape s = b.shape(300);
    const View dst = b.row_view(b.pick(kOnChip), b.pick(kFloats), s, 0, true),
               data = input_view(b, s, b.pick(kFloats), 1, dst);
    const View scale = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 2) : View{};
    const View result = b.column(Memory::sbuf, b.pick(kFloats), s, 4);
    b.start(Opcode::activation_reduce, EngineKind::scalar, {dst, data, scale, View{}, result});
    b.set(slots::activation_reduce::op, static_cast<uint32_t>(b.random.below(kActivationCount)));
    b.set(slots::activation_reduce::alpha, 0.25f);
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, MatchReplace8) {
  Fixture b(33);
  for (int i = 0; i < 200; ++i) {
    Shape s = b.shape(60);
    s.row += 8;
    const View dst = b.row_view(b.pick(kOnChip), b.pick(kFloats), s, 0, true),
               data = input_view(b, s, b.pick(kFloats), 1, dst);
    Shape eight = s;
    eight.row = 8;
    const View vals = b.row_view(Memory::sbuf, DType::fp32, eight, 2, false);
    const View indices =
        b.chance(70) ? b.row_view(Memory::sbuf, b.pick({DType::uint16, DType::uint32}), eight, 3, true) : View{};
    b.start(Opcode::nc_match_replace8, EngineKind::vector, {dst, data, vals, indices});
    const auto few = [&](DType t) {
      return [&b, t](size_t) { return numerics::from_fp32(t, static_cast<float>(b.random.below(6))); };
    };
    b.fill(data, few(data.dtype)), b.fill(vals, few(vals.dtype));
    b.set(slots::nc_match_replace8::imm, -9.5f);
    ASSERT_TRUE(b.matches());
  }
}

// The documentation's example.
TEST(Execute, MatchReplace8GivesEqualValuesTheirPlacesFromTheLastOn) {
  Fixture b(34);
  const Shape s{1, 0, 11}, eight{1, 0, 8};
  const View data = b.row_view(Memory::sbuf, DType::fp32, s, 0, true),
             dst = b.row_view(Memory::sbuf, DType::fp32, s, 1, true);
  const View vals = b.row_view(Memory::sbuf, DType::fp32, eight, 2, true),
             idx = b.row_view(Memory::sbuf, DType::uint32, eight, 3, true);
  b.start(Opcode::nc_match_replace8, EngineKind::vector, {dst, data, vals, idx});
  b.fill(data, [](size_t i) { return numerics::from_fp32(DType::fp32, i < 4 ? static_cast<float>(i + 1) : 8.0f); });
  b.fill(vals, [](size_t i) { return numerics::from_fp32(DType::fp32, i == 0 ? 3.0f : 8.0f); });
  ASSERT_TRUE(b.matches());
  EXPECT_EQ(reference::read_words(b.machine, idx), (reference::Words{2, 10, 9, 8, 7, 6, 5, 4}));
}

TEST(Execute, RandomNumbers) {
  Fixture b(35);
  constexpr DType kWords[] = {DType::int8, DType::uint8, DType::int16, DType::uint16, DType::int32, DType::uint32};
  for (int i = 0; i < 150; ++i) {
    const Shape s = b.shape(100);
    const EngineKind engine = b.pick({EngineKind::vector, EngineKind::gpsimd});
    Shape states = s, one{1, 0, 1};
    states.row = engine == EngineKind::vector ? 24 : 6;
    const View dst = b.row_view(Memory::sbuf, b.pick(kWords), s, 0, true);
    if (b.chance(20)) {
      b.start(Opcode::set_rng_seed, EngineKind::vector, {b.row_view(Memory::sbuf, DType::uint32, one, 1, true)});
      b.fill(b.program.views[0], [&](size_t) { return b.random.next(); });
      ASSERT_TRUE(b.matches());
    }
    if (b.chance(20)) {
      b.start(Opcode::rand_set_state, engine, {b.row_view(Memory::sbuf, DType::uint32, states, 1, true)});
      ASSERT_TRUE(b.matches());
    }
    b.start(Opcode::rng, engine, {dst});
    ASSERT_TRUE(b.matches());
    b.start(Opcode::rand_get_state, engine, {b.row_view(Memory::sbuf, DType::uint32, states, 2, true)});
    ASSERT_TRUE(b.matches());
    const DType t = b.pick(kAny);
    const View kept = b.row_view(b.pick(kOnChip), t, s, 0, true);
    const View prob = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 3) : View{};
    b.start(Opcode::dropout, EngineKind::vector, {kept, input_view(b, s, t, 1, kept), prob});
    b.set(slots::dropout::prob_imm, 0.3f);
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, DropoutDropsAsOftenAsAsked) {
  Fixture b(36);
  const Shape s{128, 0, 2000};
  const View dst = b.row_view(Memory::sbuf, DType::uint8, s, 0, true),
             data = b.row_view(Memory::sbuf, DType::uint8, s, 1, true);
  for (float prob : {0.0f, 0.25f, 1.0f}) {
    b.start(Opcode::dropout, EngineKind::vector, {dst, data, View{}});
    b.fill(data, [](size_t) { return 1; });
    b.set(slots::dropout::prob_imm, prob);
    ASSERT_TRUE(b.matches());
    const auto words = reference::read_words(b.machine, dst);
    const auto dropped = static_cast<double>(std::count(words.begin(), words.end(), 0u)),
               n = static_cast<double>(words.size());
    EXPECT_NEAR(dropped / n, prob, 4 * std::sqrt(prob * (1 - prob) / n));
  }
}

TEST(Execute, SearchesInGroupsOfPartitions) {
  Fixture b(37);
  for (int i = 0; i < 100; ++i) {
    const uint32_t partitions = 16 * static_cast<uint32_t>(1 + b.random.below(8));
    const uint32_t start = b.start_for(partitions), row = static_cast<uint32_t>(1 + b.random.below(20));
    const auto shape = [&](uint64_t n) { return Shape{partitions, start, static_cast<uint32_t>(n)}; };
    {
      const uint32_t per = 1u << b.random.below(4), columns = static_cast<uint32_t>(1 + b.random.below(2));
      const uint32_t valid = b.chance(50) ? 0 : static_cast<uint32_t>(1 + b.random.below(16 * columns));
      const DType t = b.pick(kAny);
      const View source = b.row_view(Memory::sbuf, t, shape(per * row), 1, false);
      const View index = b.row_view(Memory::sbuf, DType::uint16, shape(columns), 2, false);
      const View dst = b.row_view(Memory::sbuf, t, shape((valid != 0 ? valid : 16 * columns) * per), 0, true);
      b.start(Opcode::local_gather, EngineKind::gpsimd, {dst, source, index});
      b.fill(index, [&](size_t) { return b.random.below(row); });
      b.set(slots::local_gather::num_elem_per_idx, per), b.set(slots::local_gather::num_valid_indices, valid);
      ASSERT_TRUE(b.matches());
    }
    {
      const View src = b.row_view(Memory::sbuf, b.pick({DType::fp32, DType::int32}), shape(row), 1, false);
      const View dst = b.row_view(Memory::sbuf, DType::int32, shape(row + 1), 0, true);
      b.start(Opcode::nonzero_with_count, EngineKind::gpsimd, {dst, src});
      b.fill(src, [&](size_t) { return b.chance(50) ? 0 : numerics::from_fp32(src.dtype, 3.0f); });
      b.set(slots::nonzero_with_count::index_offset, 16u), b.set(slots::nonzero_with_count::padding_val, ~0u);
      ASSERT_TRUE(b.matches());
    }
    {
      const uint32_t n = 8 + static_cast<uint32_t>(b.random.below(16 * row)), columns = (n + 15) / 16;
      const uint32_t k = static_cast<uint32_t>(1 + b.random.below(n));
      const View src = b.row_view(Memory::sbuf, DType::bf16, shape(columns), 1, false);
      b.start(Opcode::topk, EngineKind::gpsimd,
              {b.row_view(Memory::sbuf, DType::bf16, shape(k), 0, true),
               b.row_view(Memory::sbuf, DType::uint32, shape(k), 2, true), src});
      b.set(slots::topk::n, n);
      ASSERT_TRUE(b.matches());
    }
    const Shape one{1, 0, row}, two{1, 0, 2 * row};
    const DType t = b.pick({DType::fp32, DType::int32});
    const View ids = b.row_view(Memory::sbuf, t, one, 1, false);
    b.start(Opcode::sequence_bounds, EngineKind::gpsimd,
            {b.row_view(Memory::sbuf, b.pick({DType::fp32, DType::int32}), two, 0, true), ids});
    b.fill(ids, [&](size_t) { return numerics::from_fp32(t, static_cast<float>(b.random.below(3))); });
    ASSERT_TRUE(b.matches());
  }
}

// The documentation's examples.
TEST(Execute, SequenceBoundsAndNonzeroGiveTheDocumentedNumbers) {
  Fixture b(38);
  const std::vector<uint64_t> ids = {0, 1, 1, 2, 2, 2, 0, 3, 3};
  const View in = b.row_view(Memory::sbuf, DType::int32, {1, 0, 9}, 0, true),
             out = b.row_view(Memory::sbuf, DType::int32, {1, 0, 18}, 1, true);
  b.start(Opcode::sequence_bounds, EngineKind::gpsimd, {out, in});
  b.fill(in, [&](size_t i) { return ids[i]; });
  ASSERT_TRUE(b.matches());
  constexpr uint32_t none = UINT32_MAX;
  EXPECT_EQ(reference::read_words(b.machine, out),
            (reference::Words{9, 1, 1, 3, 3, 3, 9, 7, 7, none, 3, 3, 6, 6, 6, none, 9, 9}));
  const std::vector<uint64_t> flags = {0, 1, 1, 0, 0, 1, 0, 0};
  const View src = b.row_view(Memory::sbuf, DType::int32, {1, 0, 8}, 0, true),
             found = b.row_view(Memory::sbuf, DType::int32, {1, 0, 9}, 1, true);
  b.start(Opcode::nonzero_with_count, EngineKind::gpsimd, {found, src});
  b.fill(src, [&](size_t i) { return flags[i]; });
  b.set(slots::nonzero_with_count::index_offset, 16u), b.set(slots::nonzero_with_count::padding_val, none);
  ASSERT_TRUE(b.matches());
  EXPECT_EQ(reference::read_words(b.machine, found), (reference::Words{17, 18, 21, none, none, none, none, none, 3}));
}

}  // namespace
}  // namespace presil::chip
