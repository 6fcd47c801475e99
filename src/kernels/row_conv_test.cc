// Which rows share the array: as few matmuls as fit it, on any array; and nothing where one row at a time is as fast.
#include "kernels/row_conv.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "kernels/packed_conv.h"
#include "spec/chip_file.h"

namespace presil::kernels {
namespace {

spec::ChipSpec trn2() { return spec::load_chip("trn2").value(); }

Window square(int64_t kernel, int64_t stride) {
  Window w;
  for (int i = 0; i < 2; ++i) w.kernel[i] = kernel, w.stride[i] = stride, w.pad_begin[i] = w.pad_end[i] = kernel / 2;
  return w;
}

TEST(RowPacking, FillsTheArray) {
  const auto p = row_packing(trn2(), square(3, 1), 64, 64, 56, 56, DType::bf16);
  ASSERT_TRUE(p);
  EXPECT_EQ(p->out_rows, 2);
  EXPECT_EQ(p->in_rows, 2);
  EXPECT_EQ(p->passes, 2);
  EXPECT_EQ(p->pitch, 2);  // each input row once
  EXPECT_EQ(p->m_step, 64);
}

TEST(RowPacking, NothingToShare) {
  EXPECT_FALSE(row_packing(trn2(), square(3, 1), 128, 128, 56, 56, DType::bf16));
  EXPECT_FALSE(row_packing(trn2(), square(1, 1), 64, 256, 56, 56, DType::bf16));
  EXPECT_FALSE(row_packing(trn2(), square(3, 1), 64, 64, 4, 4, DType::bf16)) << "a transfer takes longer";
  Window dilated = square(3, 1);
  dilated.dilation[0] = 2;
  EXPECT_FALSE(row_packing(trn2(), dilated, 64, 64, 56, 56, DType::bf16));
}

TEST(RowPacking, WhatIsNeededIsReadAndFits) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    Prng prng(seed);
    spec::ChipSpec spec = trn2();
    spec.tensor.rows = spec.sbuf.partitions = spec.psum.partitions = static_cast<uint32_t>(32 << prng.below(5));
    spec.tensor.columns = 32 * static_cast<uint32_t>(1 + prng.below(spec.tensor.rows / 32));
    Window w = square(1 + 2 * static_cast<int64_t>(prng.below(4)), 1 + static_cast<int64_t>(prng.below(3)));
    const auto channels = static_cast<int64_t>(1 + prng.below(200)),
               outputs = static_cast<int64_t>(1 + prng.below(std::min(200u, spec.tensor.columns)));
    const auto rows = static_cast<int64_t>(1 + prng.below(60));
    const auto p = row_packing(spec, w, channels, outputs, rows, 100, DType::bf16);
    if (!p) continue;
    const int64_t need = (p->out_rows - 1) * w.stride[0] + w.kernel[0], advance = p->out_rows * w.stride[0];
    EXPECT_GE(p->passes * p->in_rows, need) << seed;
    EXPECT_LT((p->passes - 1) * p->in_rows, need) << seed;
    EXPECT_LE(p->in_rows * channels, group_partitions(spec)) << seed;
    EXPECT_LE(p->out_rows * p->m_step, spec.tensor.columns) << seed;
    EXPECT_LE(p->out_rows, rows) << seed;
    EXPECT_LT(p->passes, w.kernel[0] * p->out_rows) << seed;
    // Blocks and passes begin at rows of the grid.
    EXPECT_EQ(advance % p->pitch, 0) << seed;
    EXPECT_TRUE(p->passes == 1 || p->in_rows % p->pitch == 0) << seed;
  }
}

TEST(TapPacking, RowsOfTheResultShareColumns) {
  const auto p = tap_packing(trn2(), square(7, 2), 3, 64, 112);
  ASSERT_TRUE(p);
  EXPECT_EQ(p->out_rows, 2);
  EXPECT_EQ(p->in_rows, 9);
  EXPECT_EQ(p->columns, 4);
  EXPECT_EQ(p->passes, 2);
  EXPECT_EQ(p->partitions, 108);
  EXPECT_FALSE(tap_packing(trn2(), square(7, 2), 19, 64, 112)) << "a filter column of 133 rows";
}

}  // namespace
}  // namespace presil::kernels
