// Reductions, softmax and layer_norm against sums in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tests/kernels/harness.h"

namespace presil::testing {
namespace {

using graph::ReduceKind;
using kernels::Block;

Tensor reference(ReduceKind kind, const Extents& axes, const Tensor& x) {
  auto reduced = [&](size_t axis) { return std::find(axes.begin(), axes.end(), int64_t(axis)) != axes.end(); };
  Extents shape = x.shape;
  double count = 1;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (reduced(axis)) count *= static_cast<double>(shape[axis]), shape[axis] = 1;
  }
  std::vector<double> sums(static_cast<size_t>(volume(shape)), kind == ReduceKind::prod  ? 1.0
                                                               : kind == ReduceKind::max ? -INFINITY
                                                               : kind == ReduceKind::min ? INFINITY
                                                                                         : 0.0);
  for_each_index(x.shape, [&](const Extents& index) {
    size_t at = 0;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      at = at * static_cast<size_t>(shape[axis]) + static_cast<size_t>(reduced(axis) ? 0 : index[axis]);
    }
    const double v = x.at(index);
    switch (kind) {
      case ReduceKind::sum:
      case ReduceKind::mean:
        sums[at] += v;
        break;
      case ReduceKind::max:
        sums[at] = std::max(sums[at], v);
        break;
      case ReduceKind::min:
        sums[at] = std::min(sums[at], v);
        break;
      case ReduceKind::prod:
        sums[at] *= v;
        break;
    }
  });
  Tensor out(shape);
  for (size_t i = 0; i < sums.size(); ++i) {
    out.values[i] = static_cast<float>(kind == ReduceKind::mean ? sums[i] / count : sums[i]);
  }
  return out;
}

constexpr ReduceKind kKinds[] = {ReduceKind::sum, ReduceKind::mean, ReduceKind::max, ReduceKind::min, ReduceKind::prod};

void expect_reduce(const spec::ChipSpec& spec, const Extents& shape, int partition_axis, const Extents& axes,
                   DType dtype, bool strided = false) {
  SCOPED_TRACE(::testing::PrintToString(shape) + " over " + ::testing::PrintToString(axes));
  Prng prng(11);
  const Tensor x = random_tensor(prng, shape, dtype);
  Tensor factors(shape);  // whose products stay in range, however many
  for (float& v : factors.values) v = std::array{-1.0f, 0.5f, -2.0f, 1.0f, 1.0f, 1.0f}[prng.below(6)];
  Machine m(spec);
  std::vector<Tensor> expected;
  for (ReduceKind kind : kKinds) {
    const Tensor& from = kind == ReduceKind::prod ? factors : x;
    expected.push_back(reference(kind, axes, from));
    const Block in = m.input(from, dtype, partition_axis, {}, strided);
    const Block out = m.block(dtype, expected.back().shape, partition_axis);
    kernels::reduce(m.context, kind, axes, in, out);
    m.output(out);
  }
  const std::vector<Tensor> actual = m.run();
  for (size_t k = 0; k < actual.size(); ++k) {
    SCOPED_TRACE("kind " + std::to_string(k));
    expect_close(actual[k], expected[k], tolerance_of(dtype));
  }
}

TEST(Reduce, FreeAxes) {
  for (DType dtype : {DType::fp32, DType::bf16}) {
    expect_reduce(trn2(), {2, 130, 5, 7}, 1, {2, 3}, dtype);
    expect_reduce(trn2(), {2, 130, 5, 7}, 1, {2, 3}, dtype, true);
    expect_reduce(trn2(), {2, 13, 5, 7}, 1, {0}, dtype);
    expect_reduce(trn2(), {2, 13, 5, 7}, 1, {0, 3}, dtype);
    expect_reduce(trn2(), {3, 2, 5, 2, 4, 3}, 2, {0, 3, 5}, dtype, true);
    expect_reduce(trn2(), {4, 9}, 0, {1}, dtype);
    expect_reduce(trn2(), {4, 9}, 0, {}, dtype);
    expect_reduce(trn2(), {1, 1, 1}, 0, {1, 2}, dtype);
  }
}

TEST(Reduce, PartitionAxis) {
  for (const Chip& chip : chips()) {
    SCOPED_TRACE(chip.name);
    for (DType dtype : {DType::fp32, DType::bf16}) {
      expect_reduce(chip.spec, {2, 13, 5, 7}, 1, {1}, dtype);
      expect_reduce(chip.spec, {300, 11}, 0, {0}, dtype);
      expect_reduce(chip.spec, {300, 11}, 0, {0, 1}, dtype, true);
      expect_reduce(chip.spec, {17}, 0, {0}, dtype);
    }
  }
  expect_reduce(trn2(), {2, 3, 1100}, 1, {1}, DType::fp32);
}

TEST(Reduce, ResultOnAnotherAxis) {
  Prng prng(2);
  const Tensor x = random_tensor(prng, {2, 30, 40}, DType::fp32);
  Machine m(trn2());
  const Block in = m.input(x, DType::fp32, 1), out = m.block(DType::fp32, {2, 1, 40}, 2);
  kernels::reduce(m.context, ReduceKind::mean, {1}, in, out);
  m.output(out);
  expect_close(m.run()[0], reference(ReduceKind::mean, {1}, x), 1e-5);
}

// More elements than one instruction takes, and sums that a single running total would round away.
TEST(Reduce, LongAxes) {
  Prng prng(4);
  const Tensor x = random_integers(prng, {3, 100003}, 128, 255);  // exact in bf16
  Machine m(trn2());
  const Block in = m.input(x, DType::bf16, 0);
  for (ReduceKind kind : {ReduceKind::mean, ReduceKind::max}) {
    const Block out = m.block(DType::fp32, {3, 1}, 0);
    kernels::reduce(m.context, kind, {1}, in, out);
    m.output(out);
  }
  const std::vector<Tensor> actual = m.run();
  expect_close(actual[0], reference(ReduceKind::mean, {1}, x), 1e-6);
  expect_close(actual[1], reference(ReduceKind::max, {1}, x), 0);
}

Tensor softmax_reference(int axis, const Tensor& x) {
  const auto a = static_cast<size_t>(axis);
  Tensor out(x.shape);
  Extents rows = x.shape;
  rows[a] = 1;
  for_each_index(rows, [&](Extents index) {
    auto each = [&](auto&& fn) {
      for (index[a] = 0; index[a] < x.shape[a]; ++index[a]) fn();
    };
    double maximum = -INFINITY, sum = 0;
    each([&] { maximum = std::max<double>(maximum, x.at(index)); });
    each([&] { sum += std::exp(x.at(index) - maximum); });
    each([&] { out.at(index) = static_cast<float>(std::exp(x.at(index) - maximum) / sum); });
  });
  return out;
}

void expect_softmax(const spec::ChipSpec& spec, const Extents& shape, int partition_axis, int axis, DType dtype,
                    float spread = 3, bool strided = false) {
  SCOPED_TRACE(::testing::PrintToString(shape) + " over " + std::to_string(axis));
  Prng prng(13);
  Tensor x = random_tensor(prng, shape, DType::bf16);
  for (float& v : x.values) v *= spread;
  Machine m(spec);
  const Block in = m.input(x, DType::fp32, partition_axis, {}, strided);
  const Block out = m.block(dtype, shape, partition_axis, {}, strided);
  kernels::softmax(m.context, axis, in, out);
  m.output(out);
  // A row of n has a root mean square of 1/n at least, and elements up to 1.
  expect_close(m.run()[0], softmax_reference(axis, x), 10 * tolerance_of(dtype));
}

TEST(Softmax, LongAndShortRows) {
  for (const Chip& chip : chips()) {
    SCOPED_TRACE(chip.name);
    expect_softmax(chip.spec, {2, 3, 40, 40}, 2, 3, DType::fp32);
    expect_softmax(chip.spec, {2, 3, 40, 9}, 2, 3, DType::fp32);
    expect_softmax(chip.spec, {200, 2}, 0, 1, DType::bf16);
  }
  expect_softmax(trn2(), {2, 30, 5, 40}, 1, 2, DType::fp32, 3, true);
  expect_softmax(trn2(), {5, 30, 64, 3}, 1, 2, DType::bf16, 3, true);
  expect_softmax(trn2(), {130, 1}, 0, 1, DType::fp32);
  expect_softmax(trn2(), {40, 6625}, 0, 1, DType::fp32);
  expect_softmax(trn2(), {3, 17}, 0, 1, DType::fp32, 80);
}

// Longer than one instruction takes, in pieces that share the accumulator.
TEST(Softmax, VeryLongRows) {
  Prng prng(6);
  const Tensor x = random_tensor(prng, {2, 70001}, DType::bf16);
  spec::ChipSpec large = trn2();
  large.sbuf.bytes_per_partition = 1 << 20;
  Machine m(large);
  const Block in = m.input(x, DType::fp32, 0), out = m.block(DType::fp32, x.shape, 0);
  kernels::softmax(m.context, 1, in, out);
  m.output(out);
  expect_close(m.run()[0], softmax_reference(1, x), 1e-4);
}

Tensor layer_norm_reference(int axis, float epsilon, const Tensor& x, const std::optional<Tensor>& scale,
                            const std::optional<Tensor>& bias) {
  Tensor out(x.shape);
  size_t n = 1;
  for (size_t a = static_cast<size_t>(axis); a < x.shape.size(); ++a) n *= static_cast<size_t>(x.shape[a]);
  for (size_t row = 0; row < x.values.size(); row += n) {
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; ++i) mean += x.values[row + i];
    mean /= static_cast<double>(n);
    for (size_t i = 0; i < n; ++i) squares += (x.values[row + i] - mean) * (x.values[row + i] - mean);
    const double deviation = 1 / std::sqrt(squares / static_cast<double>(n) + epsilon);
    for (size_t i = 0; i < n; ++i) {
      const double y = (x.values[row + i] - mean) * deviation;
      out.values[row + i] = static_cast<float>(y * (scale ? scale->values[i] : 1) + (bias ? bias->values[i] : 0));
    }
  }
  return out;
}

// A parameter repeated in `partitions` partitions.
Block parameter(Machine& m, const Tensor& values, int64_t partitions) {
  Extents shape = values.shape;
  shape.insert(shape.begin(), partitions);
  Tensor repeated(shape);
  for (size_t i = 0; i < repeated.values.size(); ++i) repeated.values[i] = values.values[i % values.values.size()];
  return m.input(repeated, DType::fp32, 0);
}

void expect_layer_norm(const spec::ChipSpec& spec, const Extents& shape, int partition_axis, int axis, bool with_scale,
                       bool with_bias, DType dtype = DType::fp32, float offset = 0) {
  SCOPED_TRACE(::testing::PrintToString(shape) + " from " + std::to_string(axis));
  Prng prng(17);
  Tensor x = random_tensor(prng, shape, DType::bf16);
  for (float& v : x.values) v += offset;
  const Extents row(shape.begin() + axis, shape.end());
  std::optional<Tensor> scale, bias;
  Machine m(spec);
  std::optional<Block> scale_block, bias_block;
  const int64_t partitions = std::min<int64_t>(shape[static_cast<size_t>(partition_axis)], spec.sbuf.partitions);
  if (with_scale) scale = random_tensor(prng, row, DType::fp32), scale_block = parameter(m, *scale, partitions);
  if (with_bias) bias = random_tensor(prng, row, DType::fp32), bias_block = parameter(m, *bias, partitions);
  const Block in = m.input(x, DType::fp32, partition_axis), out = m.block(dtype, shape, partition_axis);
  kernels::layer_norm(m.context, axis, 1e-5f, in, scale_block, bias_block, out);
  m.output(out);
  // Inputs and the mean are rounded at their own magnitude.
  const double tolerance = tolerance_of(dtype) * std::max(1.0f, offset / 8);
  expect_close(m.run()[0], layer_norm_reference(axis, 1e-5f, x, scale, bias), tolerance);
}

TEST(LayerNorm, RowsOfAnyLength) {
  for (bool scale : {false, true}) {
    for (bool bias : {false, true}) {
      expect_layer_norm(trn2(), {1, 40, 120}, 1, 2, scale, bias);
      expect_layer_norm(trn2(), {2, 140, 7}, 1, 2, scale, bias);
      expect_layer_norm(trn2(), {30, 1537}, 0, 1, scale, bias);
      expect_layer_norm(trn2(), {5, 3, 20, 13}, 0, 2, scale, bias, DType::bf16);
      expect_layer_norm(trn2(), {5, 1}, 0, 1, scale, bias);
      expect_layer_norm(trn2(), {5, 2}, 0, 1, scale, bias);
    }
  }
  for (const Chip& chip : chips()) expect_layer_norm(chip.spec, {1, 40, 120}, 1, 2, true, true);
}

// The mean is large against the deviation: squares of raw values would lose it.
TEST(LayerNorm, LargeMean) { expect_layer_norm(trn2(), {64, 600}, 0, 1, true, true, DType::fp32, 256); }

}  // namespace
}  // namespace presil::testing
