#include "backend/repeats.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace presil::backend {
namespace {

using isa::EngineKind;
using isa::Opcode;
using isa::Program;

isa::View sbuf(int64_t offset, uint32_t count) {
  isa::View v{.memory = isa::Memory::sbuf, .dtype = DType::uint8, .rank = 1, .partitions = 4};
  v.offset = offset, v.dims[0] = {1, count};
  return v;
}

// A copy from `from` to `to` that waits for semaphore 3 to reach `value`.
void add(Program& p, int64_t to, int64_t from, uint32_t value, uint32_t count = 8) {
  isa::Instruction& i = p.append(Opcode::tensor_copy, EngineKind::vector);
  p.views[i.operand_begin] = sbuf(to, count), p.views[i.operand_begin + 1] = sbuf(from, count);
  i.wait_begin = static_cast<uint32_t>(p.waits.size()), i.wait_count = 1;
  p.waits.push_back({3, value});
}

bool same_meaning(const Program& a, const Program& b) {
  if (a.code.size() != b.code.size()) return false;
  for (size_t n = 0; n < a.code.size(); ++n) {
    const isa::Instruction &x = a.code[n], &y = b.code[n];
    if (x.opcode != y.opcode || x.engine != y.engine || x.signal != y.signal || x.source != y.source) return false;
    if (!std::ranges::equal(a.operands(x), b.operands(y)) || !std::ranges::equal(a.attrs(x), b.attrs(y)) ||
        !std::ranges::equal(a.waits_of(x), b.waits_of(y))) {
      return false;
    }
  }
  return true;
}

TEST(Repeats, ALoopIsStoredOnce) {
  Program p;
  for (uint32_t k = 0; k < 10; ++k) add(p, 100 * k, 7, 2 * k), add(p, 5, 4 * k, 2 * k + 1, 16);
  Program r = reroll(p);
  EXPECT_EQ(r.code.size(), 2u);
  ASSERT_EQ(r.repeats.size(), 1u);
  EXPECT_EQ(r.repeats[0], (isa::Repeat{0, 2, 10}));
  EXPECT_EQ(isa::executed_count(r), 20u);
  EXPECT_TRUE(same_meaning(expand(r), p));
}

TEST(Repeats, LoopsNest) {
  Program p;
  for (uint32_t a = 0; a < 5; ++a) {
    add(p, 1000 * a, 0, 100 * a, 3);
    for (uint32_t b = 0; b < 7; ++b) add(p, 1000 * a + 10 * b, 50 * b, 100 * a + b, 5);
  }
  Program r = reroll(p);
  EXPECT_EQ(r.code.size(), 2u);
  EXPECT_EQ(r.repeats, (std::vector<isa::Repeat>{{0, 2, 5}, {1, 2, 7}}));
  EXPECT_TRUE(same_meaning(expand(r), p));
}

TEST(Repeats, FourLevelsAreTheMost) {
  Program p;
  int64_t to = 0;
  for (int a = 0; a < 3 * 3 * 3 * 3 * 3 * 3; ++a) {
    for (int digit = a, weight = 7; digit % 3 == 2; digit /= 3) to += weight, weight *= 5;
    add(p, to += 1, 0, 0);
  }
  Program r = reroll(p);
  EXPECT_LT(r.code.size(), 60u);
  for (const isa::Instruction& i : r.code) {
    for (const isa::Delta& d : r.deltas_of(i)) EXPECT_LT(d.level, kRepeatLevelsMax);
  }
  EXPECT_TRUE(same_meaning(expand(r), p));
}

TEST(Repeats, AnIrregularStepEndsALoop) {
  Program p;
  for (uint32_t k = 0; k < 6; ++k) add(p, 100 * k, 0, k);
  add(p, 601, 0, 6);
  Program r = reroll(p);
  ASSERT_EQ(r.repeats.size(), 1u);
  EXPECT_EQ(r.repeats[0].count, 6u);
  EXPECT_EQ(r.code.size(), 2u);
  EXPECT_TRUE(same_meaning(expand(r), p));
}

TEST(Repeats, EmptyAndSingle) {
  Program p;
  EXPECT_TRUE(same_meaning(expand(reroll(p)), p));
  add(p, 1, 2, 3);
  EXPECT_TRUE(same_meaning(expand(reroll(p)), p));
  EXPECT_TRUE(reroll(p).repeats.empty());
}

// Random loop nests with noise: whatever is found, the meaning stays.
void random_nest(Prng& random, Program& p, int depth, int64_t base) {
  uint64_t count = 1 + random.below(6), body = 1 + random.below(3);
  int64_t step = random.between(-3, 3) * 16;
  for (uint64_t k = 0; k < count; ++k) {
    Prng again(static_cast<uint64_t>(step + 1000));  // the same choices in every iteration
    for (uint64_t b = 0; b < body; ++b) {
      int64_t at = base + static_cast<int64_t>(k) * step;
      if (depth < 4 && again.below(3) == 0) {
        random_nest(again, p, depth + 1, at);
      } else {
        add(p, at, again.between(0, 4), static_cast<uint32_t>(again.below(3) + k),
            1 + static_cast<uint32_t>(again.below(2)));
      }
    }
    if (random.below(8) == 0) add(p, random.between(0, 100), 0, 0);
  }
}

TEST(Repeats, ExpansionGivesTheFlatProgramBack) {
  uint64_t flat = 0, stored = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Prng random(seed);
    Program p;
    for (int k = 0; k < 4; ++k) random_nest(random, p, 0, random.between(0, 9));
    Program r = reroll(p);
    ASSERT_TRUE(same_meaning(expand(r), p)) << "seed " << seed;
    ASSERT_EQ(isa::executed_count(r), p.code.size());
    flat += p.code.size(), stored += r.code.size();
  }
  EXPECT_LT(stored * 2, flat);
}

}  // namespace
}  // namespace presil::backend
