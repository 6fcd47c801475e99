// Shapes, layouts and chips that nobody thought of; the seed is the test's name.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/kernels/harness.h"

namespace presil::testing {
namespace {

using kernels::Block;

Extents random_shape(Prng& prng, int64_t rank) {
  Extents shape;
  for (int64_t i = 0; i < rank; ++i) shape.push_back(prng.below(3) == 0 ? 1 : prng.between(1, i == 0 ? 2 : 5));
  shape[prng.below(static_cast<uint64_t>(rank))] = prng.between(1, 300);
  return shape;
}

const spec::ChipSpec& random_chip(Prng& prng) { return chips()[prng.below(chips().size())].spec; }

TEST(Random, RelayoutsThereAndBack) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    Prng prng(seed);
    const Extents shape = random_shape(prng, prng.between(2, 5));
    const auto rank = static_cast<uint64_t>(shape.size());
    const int from = static_cast<int>(prng.below(rank)), to = static_cast<int>(prng.below(rank));
    const DType dtype = prng.below(2) == 0 ? DType::fp32 : DType::bf16;
    const Tensor x = random_tensor(prng, shape, dtype);
    Machine m(random_chip(prng));
    const Block in = m.input(x, dtype, from, {}, prng.below(2) == 0);
    const Block there = m.block(dtype, shape, to, {}, prng.below(2) == 0);
    const Block back = m.block(dtype, shape, from, {}, prng.below(2) == 0);
    kernels::relayout(m.context, in, there);
    kernels::relayout(m.context, there, back);
    m.output(there);
    m.output(back);
    for (const Tensor& y : m.run()) expect_close(y, x, 0);
  }
}

// Sums over any axes, the partition axis among them, of small integers: exact in any order.
TEST(Random, Sums) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    Prng prng(1000 + seed);
    const Extents shape = random_shape(prng, prng.between(1, 5));
    const Tensor x = random_integers(prng, shape, -8, 8);
    std::vector<int64_t> axes;
    Extents kept = shape;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (prng.below(2) == 0) axes.push_back(static_cast<int64_t>(axis)), kept[axis] = 1;
    }
    Tensor expected(kept);
    for_each_index(shape, [&](const Extents& i) {
      Extents at = i;
      for (int64_t axis : axes) at[static_cast<size_t>(axis)] = 0;
      expected.at(at) += x.at(i);
    });
    const int p = static_cast<int>(prng.below(shape.size()));
    Machine m(random_chip(prng));
    const Block in = m.input(x, prng.below(2) == 0 ? DType::fp32 : DType::bf16, p, {}, prng.below(2) == 0);
    const Block out = m.block(DType::fp32, kept, p);
    kernels::reduce(m.context, graph::ReduceKind::sum, axes, in, out);
    m.output(out);
    expect_close(m.run()[0], expected, 0);
  }
}

// A slice or reshape of a block is the same slice or reshape of the tensor.
TEST(Random, ViewsOfBlocks) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    Prng prng(2000 + seed);
    const Extents shape = random_shape(prng, 4);
    const Tensor x = random_tensor(prng, shape, DType::fp32);
    const int p = static_cast<int>(prng.below(4)), axis = static_cast<int>(prng.below(4));
    const auto a = static_cast<size_t>(axis);
    Machine m(trn2());
    const Block in = m.input(x, DType::fp32, p, {}, prng.below(2) == 0);
    const int64_t begin = axis == p ? 0 : prng.between(0, shape[a] - 1);
    const int64_t step = axis == p ? 1 : prng.between(1, 3);
    const kernels::Range range{begin, prng.between(1, (shape[a] - 1 - begin) / step + 1), step};
    const std::optional<Block> slice = kernels::sliced(in, axis, range);
    ASSERT_TRUE(slice);
    Tensor expected(slice->shape);
    for_each_index(expected.shape, [&](const Extents& i) {
      Extents from = i;
      from[a] = begin + i[a] * step;
      expected.at(i) = x.at(from);
    });
    m.output(*slice);
    Extents merged = shape;  // two neighbours as one axis
    const size_t first = prng.below(3);
    merged[first] *= merged[first + 1];
    merged.erase(merged.begin() + static_cast<int64_t>(first) + 1);
    const std::optional<Block> flat = kernels::reshaped(in, merged);
    if (flat) m.output(*flat);
    const std::vector<Tensor> results = m.run();
    expect_close(results[0], expected, 0);
    if (flat) {
      EXPECT_EQ(results[1].values, x.values);
    }
  }
}

}  // namespace
}  // namespace presil::testing
