// Every element arrives, bit for bit, whichever axis is on partitions before and after and however it is cut.
#include <gtest/gtest.h>

#include "tests/kernels/harness.h"

namespace presil::testing {
namespace {

using kernels::Block;

void expect_relayout(const spec::ChipSpec& spec, const Extents& shape, int from, int to, DType dtype, bool strided) {
  SCOPED_TRACE(::testing::PrintToString(shape) + " axis " + std::to_string(from) + " to " + std::to_string(to));
  Prng prng(7);
  const Tensor x = is_float(dtype) ? random_tensor(prng, shape, dtype) : random_integers(prng, shape, 0, 100);
  Machine m(spec);
  const Block in = m.input(x, dtype, from, {}, strided), out = m.block(dtype, shape, to, {}, strided);
  kernels::relayout(m.context, in, out);
  m.output(out);
  expect_close(m.run()[0], x, 0);
}

TEST(Relayout, AnyAxisOnAnyChip) {
  for (const Chip& chip : chips()) {
    SCOPED_TRACE(chip.name);
    for (DType dtype : {DType::fp32, DType::bf16}) {
      expect_relayout(chip.spec, {40, 96}, 0, 1, dtype, false);
      expect_relayout(chip.spec, {1, 300}, 0, 1, dtype, false);
      expect_relayout(chip.spec, {300, 1}, 0, 1, dtype, false);
      expect_relayout(chip.spec, {2, 200, 3, 37}, 1, 3, dtype, false);
      expect_relayout(chip.spec, {3, 5, 7, 2, 11}, 4, 1, dtype, true);
      expect_relayout(chip.spec, {2, 140, 150}, 1, 2, dtype, true);
    }
  }
}

TEST(Relayout, MoreOnPartitionsThanABankHolds) {
  expect_relayout(trn2(), {700, 20}, 0, 1, DType::fp32, false);
  expect_relayout(trn2(), {2, 1300, 5}, 1, 2, DType::fp32, false);
}

TEST(Relayout, OtherTypes) {
  for (const Chip& chip : chips()) {
    SCOPED_TRACE(chip.name);
    for (DType dtype : {DType::int32, DType::fp16, DType::uint8}) {
      expect_relayout(chip.spec, {2, 30, 41}, 1, 2, dtype, false);
    }
  }
}

TEST(Relayout, ConvertsOnTheWay) {
  Prng prng(3);
  const Tensor x = random_tensor(prng, {50, 60}, DType::fp32);
  Machine m(trn2());
  const Block out = m.block(DType::bf16, x.shape, 1), back = m.block(DType::fp32, x.shape, 0);
  kernels::relayout(m.context, m.input(x, DType::fp32, 0), out);
  kernels::relayout(m.context, out, back);
  m.output(back);
  expect_close(m.run()[0], x, 4e-2);
}

// The same axis on partitions, cut differently: pieces of 20, 64, 7, 128, 30 partitions.
TEST(Relayout, AnotherCut) {
  for (const Chip& chip : chips()) {
    for (bool strided : {false, true}) {
      Prng prng(5);
      Machine m(chip.spec);
      std::vector<Block> parts;
      Tensor all({2, 249, 3, 5});
      int64_t begin = 0;
      for (int64_t c : {20, 64, 7, 128, 30}) {
        const Tensor x = random_tensor(prng, {2, c, 3, 5}, DType::fp32);
        for_each_index(x.shape, [&](const Extents& i) { all.at({i[0], begin + i[1], i[2], i[3]}) = x.at(i); });
        parts.push_back(m.input(x, DType::fp32, 1, {}, strided));
        begin += c;
      }
      const Block out = m.block(DType::fp32, all.shape, 1);
      kernels::relayout(m.context, *kernels::joined(parts), out);
      m.output(out);
      expect_close(m.run()[0], all, 0);
    }
  }
}

// 512 fp32 elements of a bank hold four squares of 128: four transposes, one copy.
TEST(Relayout, SquaresShareABank) {
  Machine m(trn2());
  Prng prng(1);
  const Block in = m.input(random_tensor(prng, {512, 64}, DType::fp32), DType::fp32, 0);
  const size_t before = m.instructions();
  kernels::relayout(m.context, in, m.block(DType::fp32, {512, 64}, 1));
  EXPECT_EQ(m.instructions() - before, 5u);
}

}  // namespace
}  // namespace presil::testing
