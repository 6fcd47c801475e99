// Pooling against windows walked one by one, in pieces of rows too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/kernels/harness.h"

namespace presil::testing {
namespace {

using graph::PoolKind;
using kernels::Block;
using kernels::Window;

int64_t outputs(const Window& w, int i, int64_t extent) {
  return (extent + w.pad_begin[i] + w.pad_end[i] - w.dilation[i] * (w.kernel[i] - 1) - 1) / w.stride[i] + 1;
}

Tensor reference(PoolKind kind, const Window& w, bool count_include_pad, const Tensor& x, int64_t rows) {
  Tensor out({x.shape[0], x.shape[1], rows, outputs(w, 1, x.shape[3])});
  for_each_index(out.shape, [&](const Extents& o) {
    double sum = 0, maximum = -INFINITY;
    int64_t inside = 0, padded = 0;
    for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
      for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
        const int64_t y = o[2] * w.stride[0] - w.pad_begin[0] + ky * w.dilation[0];
        const int64_t x_ = o[3] * w.stride[1] - w.pad_begin[1] + kx * w.dilation[1];
        padded += y < x.shape[2] + w.pad_end[0] && x_ < x.shape[3] + w.pad_end[1];
        if (y < 0 || y >= x.shape[2] || x_ < 0 || x_ >= x.shape[3]) continue;
        const double v = x.at({o[0], o[1], y, x_});
        sum += v, maximum = std::max(maximum, v), ++inside;
      }
    }
    const double average = sum / static_cast<double>(count_include_pad ? padded : std::max<int64_t>(1, inside));
    out.at(o) = static_cast<float>(kind == PoolKind::max ? maximum : average);
  });
  return out;
}

Tensor rows_of(const Tensor& t, int64_t begin, int64_t count) {
  Tensor out({t.shape[0], t.shape[1], count, t.shape[3]});
  for_each_index(out.shape, [&](const Extents& i) { out.at(i) = t.at({i[0], i[1], begin + i[2], i[3]}); });
  return out;
}

void expect_pool(const spec::ChipSpec& spec, const Extents& shape, const Window& w, DType dtype, int64_t pieces = 1,
                 int64_t extra_rows = 0) {
  SCOPED_TRACE(::testing::PrintToString(shape) + " kernel " + std::to_string(w.kernel[0]) + "x" +
               std::to_string(w.kernel[1]));
  Prng prng(23);
  const Tensor x = random_tensor(prng, shape, dtype);
  const int64_t rows = outputs(w, 0, shape[2]) + extra_rows, columns = outputs(w, 1, shape[3]);
  Machine m(spec);
  std::vector<Tensor> expected;
  for (PoolKind kind : {PoolKind::max, PoolKind::average}) {
    for (bool include : {false, true}) {
      if (kind == PoolKind::max && include) continue;
      const Tensor whole = reference(kind, w, include, x, rows);
      for (int64_t piece = 0; piece < pieces; ++piece) {
        const int64_t begin = rows * piece / pieces, count = rows * (piece + 1) / pieces - begin;
        const int64_t first = std::max<int64_t>(0, begin * w.stride[0] - w.pad_begin[0]);
        const int64_t last = std::min(
            shape[2] - 1, (begin + count - 1) * w.stride[0] - w.pad_begin[0] + (w.kernel[0] - 1) * w.dilation[0]);
        const Block in = m.input(x, dtype, 1, {first, last - first + 1}, piece % 2 == 1);
        const Block out = m.block(dtype, {shape[0], shape[1], rows, columns}, 1, {begin, count});
        kernels::pool(m.context, kind, w, include, in, out);
        m.output(out);
        expected.push_back(rows_of(whole, begin, count));
      }
    }
  }
  const std::vector<Tensor> actual = m.run();
  for (size_t i = 0; i < actual.size(); ++i) {
    SCOPED_TRACE("result " + std::to_string(i));
    expect_close(actual[i], expected[i], tolerance_of(dtype));
  }
}

TEST(Pool, WindowsInsideAndAtBorders) {
  for (DType dtype : {DType::fp32, DType::bf16}) {
    expect_pool(trn2(), {2, 13, 12, 10}, {.kernel = {2, 2}, .stride = {2, 2}}, dtype);
    expect_pool(trn2(), {1, 130, 9, 11}, {.kernel = {3, 3}, .stride = {2, 2}, .pad_begin = {1, 1}, .pad_end = {1, 1}},
                dtype);
    expect_pool(trn2(), {2, 5, 14, 17}, {.kernel = {5, 5}, .stride = {1, 1}, .pad_begin = {2, 2}, .pad_end = {2, 2}},
                dtype, 3);
    expect_pool(trn2(), {1, 5, 14, 17},
                {.kernel = {3, 2}, .stride = {1, 3}, .dilation = {2, 3}, .pad_begin = {2, 1}, .pad_end = {1, 3}}, dtype,
                2);
    expect_pool(trn2(), {3, 4, 3, 80}, {.kernel = {3, 2}, .stride = {3, 2}}, dtype);
    expect_pool(trn2(), {1, 4, 6, 7}, {.kernel = {6, 7}, .stride = {1, 1}}, dtype);
    expect_pool(trn2(), {1, 4, 5, 6}, {.kernel = {1, 1}, .stride = {2, 2}}, dtype);
  }
}

// A window that begins in the padding after the image (rounding up of the output size) sees fewer values.
TEST(Pool, WindowsBeyondTheEnd) {
  expect_pool(trn2(), {1, 4, 8, 9}, {.kernel = {3, 3}, .stride = {2, 2}, .pad_begin = {0, 0}, .pad_end = {0, 0}},
              DType::fp32, 1, 1);
}

TEST(Pool, OneInstructionForEachSegmentOfBorders) {
  Machine m(trn2());
  Prng prng(1);
  const Block in = m.input(random_tensor(prng, {1, 8, 20, 20}, DType::fp32), DType::fp32, 1);
  const size_t before = m.instructions();
  kernels::pool(m.context, PoolKind::max, {.kernel = {2, 2}, .stride = {2, 2}}, false, in,
                m.block(DType::fp32, {1, 8, 10, 10}, 1));
  EXPECT_EQ(m.instructions() - before, 1u);
}

}  // namespace
}  // namespace presil::testing
