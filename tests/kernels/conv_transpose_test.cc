// Transposed convolution against scattering every input through the filter.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kernels/harness.h"

namespace presil::testing {
namespace {

using kernels::Block;
using kernels::Window;

Tensor reference(const Window& w, const Tensor& x, const Tensor& filter, const Tensor& bias, int64_t rows,
                 int64_t columns) {
  const int64_t m = filter.shape[3];
  std::vector<double> sums(static_cast<size_t>(x.shape[0] * m * rows * columns));
  auto at = [&](int64_t n, int64_t c, int64_t y, int64_t z) -> double& {
    return sums[static_cast<size_t>(((n * m + c) * rows + y) * columns + z)];
  };
  for_each_index({x.shape[0], m, rows, columns},
                 [&](const Extents& i) { at(i[0], i[1], i[2], i[3]) = bias.at({i[1]}); });
  for_each_index(x.shape, [&](const Extents& i) {
    for_each_index({w.kernel[0], w.kernel[1], m}, [&](const Extents& k) {
      const int64_t y = i[2] * w.stride[0] - w.pad_begin[0] + k[0] * w.dilation[0];
      const int64_t z = i[3] * w.stride[1] - w.pad_begin[1] + k[1] * w.dilation[1];
      if (y < 0 || y >= rows || z < 0 || z >= columns) return;
      at(i[0], k[2], y, z) += static_cast<double>(x.at(i)) * filter.at({i[1], k[0], k[1], k[2]});
    });
  });
  Tensor out({x.shape[0], m, rows, columns});
  for (size_t i = 0; i < sums.size(); ++i) out.values[i] = static_cast<float>(sums[i]);
  return out;
}

void expect_conv_transpose(const spec::ChipSpec& spec, const Extents& shape, int64_t m, const Window& w, DType dtype,
                           int64_t output_padding = 0, int64_t pieces = 1) {
  SCOPED_TRACE(::testing::PrintToString(shape) + " to " + std::to_string(m) + " kernel " + std::to_string(w.kernel[0]) +
               "x" + std::to_string(w.kernel[1]));
  Prng prng(37);
  const Tensor x = random_tensor(prng, shape, dtype), bias = random_tensor(prng, {m}, DType::fp32);
  const Tensor filter = random_tensor(prng, {shape[1], w.kernel[0], w.kernel[1], m}, dtype);
  int64_t size[2];
  for (int i = 0; i < 2; ++i) {
    size[i] = (shape[static_cast<size_t>(2 + i)] - 1) * w.stride[i] + w.dilation[i] * (w.kernel[i] - 1) + 1 -
              w.pad_begin[i] - w.pad_end[i] + output_padding;
  }
  const Tensor whole = reference(w, x, filter, bias, size[0], size[1]);
  Machine machine(spec);
  const kernels::Weights weights{machine.input(filter, dtype, 0), machine.input(bias, DType::fp32, 0)};
  std::vector<Tensor> expected;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int64_t begin = size[0] * piece / pieces, count = size[0] * (piece + 1) / pieces - begin;
    const int64_t reach = w.dilation[0] * (w.kernel[0] - 1);
    const int64_t first =
        std::clamp<int64_t>((begin + w.pad_begin[0] - reach + w.stride[0] - 1) / w.stride[0], 0, shape[2] - 1);
    const int64_t last = std::clamp<int64_t>((begin + count - 1 + w.pad_begin[0]) / w.stride[0], first, shape[2] - 1);
    const Block in = machine.input(x, dtype, 1, {first, last - first + 1}, piece % 2 == 1);
    const Block out = machine.block(dtype, whole.shape, 1, {begin, count});
    kernels::conv_transpose(machine.context, w, weights, in, out);
    machine.output(out);
    Tensor part({shape[0], m, count, size[1]});
    for_each_index(part.shape, [&](const Extents& i) { part.at(i) = whole.at({i[0], i[1], begin + i[2], i[3]}); });
    expected.push_back(std::move(part));
  }
  const std::vector<Tensor> actual = machine.run();
  for (size_t i = 0; i < actual.size(); ++i) {
    SCOPED_TRACE("piece " + std::to_string(i));
    expect_close(actual[i], expected[i], tolerance_of(dtype));
  }
}

TEST(ConvTranspose, FilterEqualToStride) {
  for (const Chip& chip : chips()) {
    SCOPED_TRACE(chip.name);
    for (DType dtype : {DType::fp32, DType::bf16}) {
      for (int64_t m : {1, 24, 50, 130}) {
        expect_conv_transpose(chip.spec, {2, 24, 5, 7}, m, {.kernel = {2, 2}, .stride = {2, 2}}, dtype);
      }
    }
  }
  expect_conv_transpose(trn2(), {1, 200, 4, 30}, 3, {.kernel = {4, 4}, .stride = {4, 4}}, DType::fp32, 0, 3);
}

TEST(ConvTranspose, OverlappingFiltersPaddingDilation) {
  for (DType dtype : {DType::fp32, DType::bf16}) {
    expect_conv_transpose(trn2(), {2, 10, 6, 5}, 7,
                          {.kernel = {4, 4}, .stride = {2, 2}, .pad_begin = {1, 1}, .pad_end = {1, 1}}, dtype, 0, 3);
    expect_conv_transpose(trn2(), {1, 140, 6, 5}, 33,
                          {.kernel = {3, 3}, .stride = {2, 2}, .pad_begin = {1, 1}, .pad_end = {1, 1}}, dtype, 1);
    expect_conv_transpose(
        trn2(), {1, 5, 6, 5}, 3,
        {.kernel = {3, 2}, .stride = {1, 3}, .dilation = {2, 2}, .pad_begin = {1, 0}, .pad_end = {0, 1}}, dtype, 0, 2);
    expect_conv_transpose(trn2(), {1, 5, 1, 1}, 3,
                          {.kernel = {5, 5}, .stride = {1, 1}, .pad_begin = {2, 2}, .pad_end = {1, 1}}, dtype);
  }
}

void expect_stored(const spec::ChipSpec& spec, const Extents& shape, int64_t m, int64_t rows, int64_t columns,
                   int64_t pieces, DType dtype) {
  SCOPED_TRACE(::testing::PrintToString(shape));
  const Window w{.kernel = {rows, columns}, .stride = {rows, columns}};
  Prng prng(41);
  const Tensor x = random_tensor(prng, shape, dtype), bias = random_tensor(prng, {m}, DType::fp32);
  const Tensor filter = random_tensor(prng, {shape[1], rows, columns, m}, dtype);
  Tensor repeated({spec.sbuf.partitions, m});
  for_each_index(repeated.shape, [&](const Extents& i) { repeated.at(i) = bias.at({i[1]}); });
  const Tensor expected = reference(w, x, filter, bias, shape[2] * rows, shape[3] * columns);
  Machine machine(spec);
  const kernels::Weights weights{machine.input(filter, dtype, 0), machine.input(repeated, DType::fp32, 0)};
  ASSERT_TRUE(kernels::can_store_conv_transpose(spec, w, m));
  const kernels::HbmView out = machine.stored_output(expected.shape);
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int64_t begin = expected.shape[2] * piece / pieces, count = expected.shape[2] * (piece + 1) / pieces - begin;
    const int64_t first = begin / rows, last = (begin + count - 1) / rows;
    const Block in = machine.input(x, dtype, 1, {first, last - first + 1}, piece % 2 == 1);
    kernels::conv_transpose_stored(machine.context, w, weights, in, out, {begin, count});
  }
  expect_close(machine.run()[0], expected, 1e-5);
}

// Straight to HBM with pixels on partitions; pieces of rows that begin and end amid a stride.
TEST(ConvTranspose, Stored) {
  for (DType dtype : {DType::fp32, DType::bf16}) {
    for (const Chip& chip : chips()) {
      SCOPED_TRACE(chip.name);
      expect_stored(chip.spec, {2, 24, 5, 8}, 1, 2, 2, 1, dtype);
    }
    expect_stored(trn2(), {1, 24, 12, 320}, 1, 2, 2, 5, dtype);
    expect_stored(trn2(), {1, 5, 150, 12}, 2, 2, 1, 3, dtype);
    expect_stored(trn2(), {1, 3, 1, 1}, 1, 4, 4, 3, dtype);
    expect_stored(trn2(), {1, 7, 3, 131}, 4, 2, 2, 1, dtype);
  }
  expect_stored(chips()[2].spec, {1, 200, 7, 20}, 3, 3, 4, 4, DType::fp32);
}

// A row of 320 pixels in ten segments: 12 rows fill 120 partitions, and 32 matmuls do all of it.
TEST(ConvTranspose, StoredFillsThePartitions) {
  Machine m(trn2());
  Prng prng(1);
  const kernels::Weights weights{m.input(random_tensor(prng, {24, 2, 2, 1}, DType::fp32), DType::fp32, 0), {}};
  const Block in = m.input(random_tensor(prng, {1, 24, 12, 320}, DType::fp32), DType::fp32, 1);
  kernels::conv_transpose_stored(m.context, {.kernel = {2, 2}, .stride = {2, 2}}, weights, in,
                                 m.stored_output({1, 1, 24, 640}), {0, 24});
  size_t matmuls = 0;
  for (const isa::Instruction& i : m.build.program.code.code) matmuls += i.opcode == isa::Opcode::nc_matmul;
  EXPECT_EQ(matmuls, 32u);
}

// Outputs that no tap reaches hold the bias.
TEST(ConvTranspose, FilterSmallerThanStride) {
  expect_conv_transpose(trn2(), {1, 5, 4, 4}, 3, {.kernel = {1, 2}, .stride = {3, 3}}, DType::fp32, 2, 2);
}

TEST(ConvTranspose, WideImages) {
  expect_conv_transpose(trn2(), {1, 3, 2, 700}, 2, {.kernel = {3, 3}, .stride = {2, 2}}, DType::fp32);
}

// Four phases of 24 channels fit the array side by side: one matmul, then one evacuation for each phase. A piece that
// begins with the second row of a stride has two phases more for that row, and two for its last.
TEST(ConvTranspose, PhasesShareTheArray) {
  for (int64_t begin : {0, 1}) {
    Machine m(trn2());
    Prng prng(1);
    const kernels::Weights weights{m.input(random_tensor(prng, {24, 2, 2, 24}, DType::fp32), DType::fp32, 0), {}};
    const Block in = m.input(random_tensor(prng, {1, 24, 16, 32}, DType::fp32), DType::fp32, 1);
    const Block out = m.block(DType::fp32, {1, 24, 32, 64}, 1, {begin, 32 - 2 * begin});
    kernels::conv_transpose(m.context, {.kernel = {2, 2}, .stride = {2, 2}}, weights, in, out);
    size_t matmuls = 0;
    for (const isa::Instruction& i : m.build.program.code.code) matmuls += i.opcode == isa::Opcode::nc_matmul;
    EXPECT_EQ(matmuls, begin == 0 ? 1u : 3u);
  }
}

}  // namespace
}  // namespace presil::testing
