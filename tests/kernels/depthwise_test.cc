// Depthwise convolution against sums in double, on either engine and on both.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kernels/harness.h"

namespace presil::testing {
namespace {

using kernels::Block;
using kernels::Window;

int64_t outputs(const Window& w, int i, int64_t extent) {
  return (extent + w.pad_begin[i] + w.pad_end[i] - w.dilation[i] * (w.kernel[i] - 1) - 1) / w.stride[i] + 1;
}

Tensor reference(const Window& w, const Tensor& x, const Tensor& filter, const Tensor& bias) {
  Tensor out({x.shape[0], x.shape[1], outputs(w, 0, x.shape[2]), outputs(w, 1, x.shape[3])});
  for_each_index(out.shape, [&](const Extents& o) {
    double sum = bias.at({o[1]});
    for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
      for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
        const int64_t y = o[2] * w.stride[0] - w.pad_begin[0] + ky * w.dilation[0];
        const int64_t c = o[3] * w.stride[1] - w.pad_begin[1] + kx * w.dilation[1];
        if (y < 0 || y >= x.shape[2] || c < 0 || c >= x.shape[3]) continue;
        sum += static_cast<double>(x.at({o[0], o[1], y, c})) * filter.at({o[1], ky, kx});
      }
    }
    out.at(o) = static_cast<float>(sum);
  });
  return out;
}

size_t count(const Machine& m, isa::Opcode opcode) {
  const auto& code = m.build.program.code.code;
  return static_cast<size_t>(
      std::count_if(code.begin(), code.end(), [&](const isa::Instruction& i) { return i.opcode == opcode; }));
}

void expect_depthwise(const spec::ChipSpec& spec, const Extents& shape, const Window& w, DType dtype,
                      int64_t pieces = 1) {
  SCOPED_TRACE(::testing::PrintToString(shape) + " kernel " + std::to_string(w.kernel[0]) + "x" +
               std::to_string(w.kernel[1]));
  Prng prng(43);
  const Tensor x = random_tensor(prng, shape, dtype), bias = random_tensor(prng, {shape[1]}, DType::fp32);
  const Tensor filter = random_tensor(prng, {shape[1], w.kernel[0], w.kernel[1]}, dtype);
  const Tensor whole = reference(w, x, filter, bias);
  Machine m(spec);
  const kernels::Weights weights{m.input(filter, DType::fp32, 0), m.input(bias, DType::fp32, 0)};
  std::vector<Tensor> expected;
  const int64_t rows = whole.shape[2];
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int64_t begin = rows * piece / pieces, count = rows * (piece + 1) / pieces - begin;
    const int64_t first = std::max<int64_t>(0, begin * w.stride[0] - w.pad_begin[0]);
    const int64_t last =
        std::min(shape[2] - 1, (begin + count - 1) * w.stride[0] - w.pad_begin[0] + (w.kernel[0] - 1) * w.dilation[0]);
    const Block in = m.input(x, dtype, 1, {first, last - first + 1}, piece % 2 == 1);
    const Block out = m.block(DType::fp32, whole.shape, 1, {begin, count});
    kernels::depthwise(m.context, w, weights, in, out);
    m.output(out);
    Tensor part({shape[0], shape[1], count, whole.shape[3]});
    for_each_index(part.shape, [&](const Extents& i) { part.at(i) = whole.at({i[0], i[1], begin + i[2], i[3]}); });
    expected.push_back(std::move(part));
  }
  const std::vector<Tensor> actual = m.run();
  for (size_t i = 0; i < actual.size(); ++i) expect_close(actual[i], expected[i], 1e-5);
}

constexpr Window kSame3{.kernel = {3, 3}, .stride = {1, 1}, .pad_begin = {1, 1}, .pad_end = {1, 1}};

TEST(Depthwise, BothWays) {
  for (const Chip& chip : chips()) {
    SCOPED_TRACE(chip.name);
    for (DType dtype : {DType::fp32, DType::bf16}) {
      expect_depthwise(chip.spec, {1, 16, 40, 40}, kSame3, dtype, 2);
      expect_depthwise(chip.spec, {2, 200, 20, 31}, kSame3, dtype);
      expect_depthwise(chip.spec, {1, 5, 7, 9}, kSame3, dtype);
    }
  }
}

TEST(Depthwise, WindowsOfAnyKind) {
  for (DType dtype : {DType::fp32, DType::bf16}) {
    expect_depthwise(trn2(), {1, 30, 41, 43},
                     {.kernel = {5, 5}, .stride = {2, 2}, .pad_begin = {2, 2}, .pad_end = {2, 2}}, dtype, 3);
    expect_depthwise(trn2(), {2, 30, 33, 37},
                     {.kernel = {3, 2}, .stride = {1, 2}, .dilation = {2, 3}, .pad_begin = {2, 1}, .pad_end = {0, 3}},
                     dtype, 2);
    expect_depthwise(trn2(), {1, 8, 30, 30}, {.kernel = {1, 1}}, dtype);
    expect_depthwise(trn2(), {1, 3, 1, 700}, {.kernel = {1, 5}, .pad_begin = {0, 2}, .pad_end = {0, 2}}, dtype);
  }
  // Padding beyond the filter: outputs that no tap reaches.
  expect_depthwise(trn2(), {1, 8, 20, 20}, {.kernel = {2, 2}, .pad_begin = {3, 3}, .pad_end = {3, 3}}, DType::fp32);
}

TEST(Depthwise, EnginesShareTheTiles) {
  Machine m(trn2());
  Prng prng(1);
  const kernels::Weights weights{m.input(random_tensor(prng, {64, 3, 3}, DType::fp32), DType::fp32, 0), {}};
  const Block in = m.input(random_tensor(prng, {1, 64, 80, 80}, DType::fp32), DType::fp32, 1);
  kernels::depthwise(m.context, kSame3, weights, in, m.block(DType::fp32, {1, 64, 80, 80}, 1));
  // 14 tiles of six rows and nine taps: about as many on the tensor engine as additions on the vector engine.
  EXPECT_NEAR(static_cast<double>(count(m, isa::Opcode::nc_matmul)), 7 * 9, 2 * 9);
  EXPECT_NEAR(static_cast<double>(count(m, isa::Opcode::tensor_tensor)), 7 * 8, 2 * 8);
}

TEST(Depthwise, SmallOnesMakeNoFilters) {
  Machine m(trn2());
  Prng prng(1);
  const kernels::Weights weights{m.input(random_tensor(prng, {64, 3, 3}, DType::fp32), DType::fp32, 0), {}};
  const Block in = m.input(random_tensor(prng, {1, 64, 10, 30}, DType::fp32), DType::fp32, 1);
  kernels::depthwise(m.context, kSame3, weights, in, m.block(DType::fp32, {1, 64, 10, 30}, 1));
  EXPECT_EQ(count(m, isa::Opcode::nc_matmul), 0u);
}

}  // namespace
}  // namespace presil::testing
