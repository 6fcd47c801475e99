// Resizing against ONNX's formulas, one output at a time in fp32.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/kernels/harness.h"

namespace presil::testing {
namespace {

using graph::ResizeCoordinates;
using graph::ResizeMode;
using graph::ResizeRounding;
using kernels::Block;
using kernels::ResizeParams;

float coordinate(ResizeCoordinates mode, float o, float inputs, float outputs, float scale) {
  switch (mode) {
    case ResizeCoordinates::half_pixel:
      return (o + 0.5f) / scale - 0.5f;
    case ResizeCoordinates::pytorch_half_pixel:
      return outputs > 1 ? (o + 0.5f) / scale - 0.5f : 0;
    case ResizeCoordinates::asymmetric:
      return o / scale;
    case ResizeCoordinates::align_corners:
      return outputs > 1 ? o * (inputs - 1) / (outputs - 1) : 0;
  }
  return 0;
}

float nearest(ResizeRounding mode, float x) {
  switch (mode) {
    case ResizeRounding::round_prefer_floor:
      return std::ceil(x - 0.5f);
    case ResizeRounding::round_prefer_ceil:
      return std::floor(x + 0.5f);
    case ResizeRounding::floor:
      return std::floor(x);
    case ResizeRounding::ceil:
      return std::ceil(x);
  }
  return 0;
}

Tensor reference(const ResizeParams& p, const Tensor& x, int64_t rows, int64_t columns) {
  Tensor out({x.shape[0], x.shape[1], rows, columns});
  for_each_index(out.shape, [&](const Extents& o) {
    int64_t low[2], high[2];
    double weight[2];
    for (size_t i = 0; i < 2; ++i) {
      const auto inputs = static_cast<float>(x.shape[2 + i]);
      const float at = coordinate(p.coordinates, static_cast<float>(o[2 + i]), inputs,
                                  static_cast<float>(out.shape[2 + i]), p.scale[i]);
      const float c = std::clamp(p.mode == ResizeMode::nearest ? nearest(p.rounding, at) : at, 0.0f, inputs - 1);
      low[i] = static_cast<int64_t>(std::floor(c));
      high[i] = std::min(low[i] + 1, x.shape[2 + i] - 1);
      weight[i] = c - std::floor(c);
    }
    auto v = [&](int64_t y, int64_t c) { return static_cast<double>(x.at({o[0], o[1], y, c})); };
    const double top = v(low[0], low[1]) * (1 - weight[1]) + v(low[0], high[1]) * weight[1];
    const double bottom = v(high[0], low[1]) * (1 - weight[1]) + v(high[0], high[1]) * weight[1];
    out.at(o) = static_cast<float>(top * (1 - weight[0]) + bottom * weight[0]);
  });
  return out;
}

void expect_resize(const Extents& shape, int64_t rows, int64_t columns, const ResizeParams& params, DType dtype) {
  SCOPED_TRACE(::testing::PrintToString(shape) + " to " + std::to_string(rows) + "x" + std::to_string(columns) +
               " coordinates " + std::to_string(static_cast<int>(params.coordinates)));
  Prng prng(29);
  const Tensor x = random_tensor(prng, shape, dtype);
  Machine m(trn2());
  const Block in = m.input(x, dtype, 1), out = m.block(dtype, {shape[0], shape[1], rows, columns}, 1);
  kernels::resize(m.context, params, in, out);
  m.output(out);
  expect_close(m.run()[0], reference(params, x, rows, columns),
               params.mode == ResizeMode::nearest ? 0 : tolerance_of(dtype));
}

constexpr ResizeCoordinates kCoordinates[] = {ResizeCoordinates::half_pixel, ResizeCoordinates::pytorch_half_pixel,
                                              ResizeCoordinates::asymmetric, ResizeCoordinates::align_corners};

void expect_resizes(const Extents& shape, float row_scale, float column_scale, DType dtype) {
  const auto rows = static_cast<int64_t>(std::floor(static_cast<float>(shape[2]) * row_scale));
  const auto columns = static_cast<int64_t>(std::floor(static_cast<float>(shape[3]) * column_scale));
  for (ResizeCoordinates coordinates : kCoordinates) {
    expect_resize(shape, rows, columns,
                  {.mode = ResizeMode::linear, .coordinates = coordinates, .scale = {row_scale, column_scale}}, dtype);
    for (ResizeRounding rounding : {ResizeRounding::round_prefer_floor, ResizeRounding::round_prefer_ceil,
                                    ResizeRounding::floor, ResizeRounding::ceil}) {
      expect_resize(shape, rows, columns, {ResizeMode::nearest, coordinates, rounding, {row_scale, column_scale}},
                    dtype);
    }
  }
}

TEST(Resize, IntegerFactors) {
  for (DType dtype : {DType::fp32, DType::bf16}) {
    expect_resizes({2, 13, 5, 7}, 2, 2, dtype);
    expect_resizes({1, 140, 3, 4}, 4, 3, dtype);
    expect_resizes({1, 3, 1, 1}, 8, 5, dtype);
    expect_resizes({2, 3, 4, 5}, 1, 1, dtype);
  }
}

TEST(Resize, OtherFactors) {
  expect_resizes({1, 6, 7, 10}, 1.5f, 2.25f, DType::fp32);
  expect_resizes({2, 6, 11, 13}, 1.37f, 0.6f, DType::fp32);
  expect_resizes({1, 6, 12, 16}, 0.5f, 0.25f, DType::fp32);
}

TEST(Resize, PiecesOfRows) {
  Prng prng(31);
  const Tensor x = random_tensor(prng, {2, 9, 10, 6}, DType::fp32);
  for (ResizeMode mode : {ResizeMode::nearest, ResizeMode::linear}) {
    const ResizeParams params{.mode = mode, .scale = {2, 2}};
    const Tensor whole = reference(params, x, 20, 12);
    for (int64_t begin : {0, 3, 8, 15}) {
      Machine m(trn2());
      const int64_t first = std::max<int64_t>(0, begin / 2 - 1), last = std::min<int64_t>(9, (begin + 4) / 2 + 1);
      const Block in = m.input(x, DType::fp32, 1, {first, last - first + 1}, true);
      const Block out = m.block(DType::fp32, whole.shape, 1, {begin, 5}, true);
      kernels::resize(m.context, params, in, out);
      m.output(out);
      Tensor expected({2, 9, 5, 12});
      for_each_index(expected.shape, [&](const Extents& i) {
        expected.at(i) = whole.at({i[0], i[1], begin + i[2], i[3]});
      });
      expect_close(m.run()[0], expected, 1e-6);
    }
  }
}

// 3200 results in pieces of 2048; a piece of rows that begins and ends between the copies of one row adds two.
TEST(Resize, NearestByTwoIsAFewCopies) {
  for (int64_t begin : {0, 1}) {
    Machine m(trn2());
    Prng prng(1);
    const Block in = m.input(random_tensor(prng, {1, 96, 20, 80}, DType::fp32), DType::fp32, 1);
    const size_t before = m.instructions();
    kernels::resize(m.context,
                    {.coordinates = ResizeCoordinates::asymmetric, .rounding = ResizeRounding::floor, .scale = {2, 1}},
                    in, m.block(DType::fp32, {1, 96, 40, 80}, 1, {begin, 40 - 2 * begin}));
    EXPECT_EQ(m.instructions() - before, begin == 0 ? 2u : 4u);
  }
}

}  // namespace
}  // namespace presil::testing
