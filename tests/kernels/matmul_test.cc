// Products of blocks against sums in double.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kernels/harness.h"

namespace presil::testing {
namespace {

using kernels::Block;

Tensor reference(const Tensor& a, const Tensor& b, const Extents& shape, float alpha) {
  Tensor out(shape);
  const size_t rank = shape.size();
  const int64_t k_extent = a.shape.back();
  auto operand = [&](const Tensor& t, const Extents& index, int64_t row, int64_t column) {
    Extents at(t.shape.size());
    const size_t skip = rank - at.size();
    for (size_t i = 0; i + 2 < at.size(); ++i) at[i] = t.shape[i] == 1 ? 0 : index[skip + i];
    at[at.size() - 2] = row, at[at.size() - 1] = column;
    return static_cast<double>(t.at(at));
  };
  for_each_index(shape, [&](const Extents& index) {
    double sum = 0;
    for (int64_t k = 0; k < k_extent; ++k) {
      sum += operand(a, index, index[rank - 2], k) * operand(b, index, k, index[rank - 1]);
    }
    out.at(index) = static_cast<float>(alpha * sum);
  });
  return out;
}

void expect_matmul(const spec::ChipSpec& spec, const Extents& a_shape, const Extents& b_shape, const Extents& shape,
                   DType dtype, float alpha = 1, bool strided = false) {
  SCOPED_TRACE(::testing::PrintToString(a_shape) + " x " + ::testing::PrintToString(b_shape));
  Prng prng(19);
  const Tensor a = random_tensor(prng, a_shape, dtype), b = random_tensor(prng, b_shape, dtype);
  Machine m(spec);
  const Block a_block = m.input(a, dtype, static_cast<int>(a_shape.size()) - 1, {}, strided);
  const Block b_block = m.input(b, dtype, static_cast<int>(b_shape.size()) - 2, {}, strided);
  const Block out = m.block(DType::fp32, shape, static_cast<int>(shape.size()) - 2, {}, strided);
  kernels::matmul(m.context, a_block, b_block, out, alpha);
  m.output(out);
  expect_close(m.run()[0], reference(a, b, shape, alpha), 1e-5);
}

TEST(Matmul, AnySizeOnAnyChip) {
  for (const Chip& chip : chips()) {
    SCOPED_TRACE(chip.name);
    for (DType dtype : {DType::fp32, DType::bf16}) {
      expect_matmul(chip.spec, {1, 1}, {1, 1}, {1, 1}, dtype);
      expect_matmul(chip.spec, {7, 13}, {13, 5}, {7, 5}, dtype);
      expect_matmul(chip.spec, {150, 300}, {300, 20}, {150, 20}, dtype, 0.5f);
      expect_matmul(chip.spec, {2, 3, 40, 15}, {2, 3, 15, 40}, {2, 3, 40, 40}, dtype, 0.25f);
    }
  }
  expect_matmul(trn2(), {20, 30}, {30, 1111}, {20, 1111}, DType::fp32);
}

TEST(Matmul, BatchesBroadcastAndShareBanks) {
  expect_matmul(trn2(), {3, 1, 20, 8}, {5, 8, 9}, {3, 5, 20, 9}, DType::fp32);
  expect_matmul(trn2(), {20, 8}, {2, 3, 8, 9}, {2, 3, 20, 9}, DType::bf16);
  expect_matmul(trn2(), {37, 20, 8}, {37, 8, 50}, {37, 20, 50}, DType::fp32, 2, true);
}

TEST(MatmulDeathTest, OperandsThatDoNotMeet) {
  Machine m(trn2());
  const Block a = m.block(DType::fp32, {4, 6}, 1), b = m.block(DType::fp32, {5, 7}, 0),
              out = m.block(DType::fp32, {4, 7}, 0);
  EXPECT_DEATH(kernels::matmul(m.context, a, b, out), "matmul of \\[4, 6\\] \\(1 on partitions\\) and \\[5, 7\\]");
}

}  // namespace
}  // namespace presil::testing
