#include "numerics/matmul.h"

#include <cmath>

#include "numerics/float_bits.h"
#include "numerics/simd_dispatch.h"
#include "numerics/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "numerics/matmul.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace presil::numerics::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

#if HWY_NATIVE_FMA

// A block of rows x (vectors * lanes) outputs stays in registers for the whole chain. 32 registers (AVX-512) hold
// 8 x 3 of them, 16 registers (AVX2) hold 4 x 3, beside one row of `moving` and one broadcast value.
constexpr size_t kRows = HWY_TARGET <= HWY_AVX3 ? 8 : 4;
constexpr size_t kVectors = 3;
constexpr size_t kLine = 16;  // floats of a cache line

HWY_INLINE HWY_ATTR V canonical(V x) { return hn::IfThenElse(hn::IsNaN(x), hn::Set(D(), kNan), x); }

// Some columns of one row of dst: `count` <= one vector.
HWY_INLINE HWY_ATTR void store(V result, hn::Mask<D> mask, bool accumulate, float* out) {
  const D d;
  if (accumulate) result = canonical(hn::Add(hn::MaskedLoad(mask, d, out), result));
  hn::BlendedStore(result, mask, d, out);
}

// A block whose dst is a window, run by run. Rows of `values` are `stride` floats apart, with a vector of slack.
HWY_ATTR void store_runs(const Matmul& p, size_t m0, size_t rows, size_t n0, size_t columns, const float* values,
                         size_t stride) {
  const D d;
  for (size_t n = 0; n < columns;) {
    const size_t in_run = (n0 + n) % p.run;
    const size_t count = HWY_MIN(HWY_MIN(columns - n, p.run - in_run), hn::Lanes(d));
    const auto mask = hn::FirstN(d, count);
    float* out = p.at(m0, n0 + n);
    for (size_t r = 0; r < rows; ++r, out += p.dst_stride) {
      store(hn::LoadU(d, values + r * stride + n), mask, p.accumulate, out);
    }
    n += count;
  }
}

// Rows of dst lie far apart, where no hardware prefetcher follows.
HWY_INLINE void prefetch(const Matmul& p, size_t m0, size_t rows, size_t n0, size_t columns) {
  const size_t step = HWY_MIN(p.run, kLine);
  for (size_t n = 0; n < columns; n += step) {
    const float* out = p.at(m0, n0 + n);
    for (size_t r = 0; r < rows; ++r, out += p.dst_stride) hwy::Prefetch(out);
  }
}

// `columns`: how many of the block's columns exist; all of its vectors but the last are full.
template <size_t rows, size_t vectors>
HWY_ATTR void block(const Matmul& p, size_t m0, size_t n0, size_t columns) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const bool whole = columns == vectors * lanes;
  const auto mask = hn::FirstN(d, columns - (vectors - 1) * lanes);
  const auto all = hn::FirstN(d, lanes);
  V sum[rows][vectors];
#pragma GCC unroll 8
  for (size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; ++v) sum[r][v] = hn::Zero(d);
  }
  const float* a = p.stationary + m0;
  const float* b = p.moving + n0;
  prefetch(p, m0, rows, n0, columns);
  const bool more_lines = m0 + kLine < p.m;
  for (size_t k = 0; k < p.k; ++k, a += p.stationary_stride, b += p.moving_stride) {
    if (more_lines) hwy::Prefetch(a + kLine);
    V row[vectors];
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; ++v) {
      row[v] = v + 1 < vectors || whole ? hn::LoadU(d, b + v * lanes) : hn::MaskedLoad(mask, d, b + v * lanes);
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; ++r) {
      const V value = hn::Set(d, a[r]);
#pragma GCC unroll 4
      for (size_t v = 0; v < vectors; ++v) sum[r][v] = hn::MulAdd(value, row[v], sum[r][v]);
    }
  }
  if (p.run < p.n) {
    constexpr size_t kStride = (vectors + 1) * hn::MaxLanes(D());
    alignas(64) float values[rows * kStride];
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (size_t v = 0; v < vectors; ++v) hn::Store(canonical(sum[r][v]), d, values + r * kStride + v * lanes);
    }
    return store_runs(p, m0, rows, n0, columns, values, kStride);
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; ++v) {
      float* out = p.dst + (m0 + r) * p.dst_stride + n0 + v * lanes;
      store(canonical(sum[r][v]), v + 1 < vectors ? all : mask, p.accumulate, out);
    }
  }
}

using BlockFn = void (*)(const Matmul& p, size_t m0, size_t n0, size_t columns);

template <size_t vectors>
BlockFn block_of(size_t rows) {
  switch (rows) {
    case 1:
      return &block<1, vectors>;
    case 2:
      return &block<2, vectors>;
    case 3:
      return &block<3, vectors>;
    case 4:
      return &block<4, vectors>;
    case 5:
      return &block<HWY_MIN(5, kRows), vectors>;
    case 6:
      return &block<HWY_MIN(6, kRows), vectors>;
    case 7:
      return &block<HWY_MIN(7, kRows), vectors>;
    default:
      return &block<kRows, vectors>;
  }
}

BlockFn pick_block(size_t rows, size_t vectors) {
  if (vectors == 3) return block_of<3>(rows);
  return vectors == 2 ? block_of<2>(rows) : block_of<1>(rows);
}

// Few columns: vectors go along the rows, which are contiguous in `stationary`; results leave one by one.
constexpr size_t kNarrow = 4;
template <size_t columns>
HWY_ATTR void narrow_block(const Matmul& p, size_t m0, size_t n0, size_t rows) {
  constexpr size_t vectors = 4;
  const D d;
  const size_t lanes = hn::Lanes(d);
  const size_t left = rows % lanes;
  const size_t used = (rows + lanes - 1) / lanes;
  const auto mask = hn::FirstN(d, left == 0 ? lanes : left);
  V sum[vectors][columns];
#pragma GCC unroll 4
  for (size_t v = 0; v < vectors; ++v) {
#pragma GCC unroll 4
    for (size_t c = 0; c < columns; ++c) sum[v][c] = hn::Zero(d);
  }
  const float* a = p.stationary + m0;
  const float* b = p.moving + n0;
  for (size_t k = 0; k < p.k; ++k, a += p.stationary_stride, b += p.moving_stride) {
#pragma GCC unroll 4
    for (size_t v = 0; v < vectors; ++v) {
      if (v >= used) break;
      const V column = v + 1 < used ? hn::LoadU(d, a + v * lanes) : hn::MaskedLoad(mask, d, a + v * lanes);
#pragma GCC unroll 4
      for (size_t c = 0; c < columns; ++c) sum[v][c] = hn::MulAdd(column, hn::Set(d, b[c]), sum[v][c]);
    }
  }
  alignas(64) float values[hn::MaxLanes(D())];
#pragma GCC unroll 4
  for (size_t v = 0; v < vectors; ++v) {
    if (v >= used) break;
#pragma GCC unroll 4
    for (size_t c = 0; c < columns; ++c) {
      hn::Store(canonical(sum[v][c]), d, values);
      float* out = p.at(m0 + v * lanes, n0 + c);
      for (size_t r = 0; r < HWY_MIN(lanes, rows - v * lanes); ++r, out += p.dst_stride) {
        *out = p.accumulate ? numerics::canonical(*out + values[r]) : values[r];
      }
    }
  }
}

void narrow(const Matmul& p, size_t n0, size_t columns) {
  const size_t rows_max = 4 * hn::Lanes(D());
  const auto block = columns == 1   ? &narrow_block<1>
                     : columns == 2 ? &narrow_block<2>
                     : columns == 3 ? &narrow_block<3>
                                    : &narrow_block<kNarrow>;
  for (size_t m0 = 0; m0 < p.m; m0 += rows_max) block(p, m0, n0, HWY_MIN(rows_max, p.m - m0));
}

// A panel of columns meets all rows of the stationary operand while it is in the first-level cache.
void multiply(const Matmul& p) {
  const size_t lanes = hn::Lanes(D());
  for (size_t n0 = 0; n0 < p.n;) {
    const size_t left = p.n - n0;
    if (left <= kNarrow && p.m >= lanes) return narrow(p, n0, left);
    // A few columns beyond whole vectors are cheaper on their own.
    const size_t full = left / lanes, rest = left % lanes;
    const size_t vectors = HWY_MIN(full + (full == 0 || rest > kNarrow ? 1 : 0), kVectors);
    const size_t columns = HWY_MIN(left, vectors * lanes);
    const BlockFn whole = pick_block(kRows, vectors);
    size_t m0 = 0;
    for (; m0 + kRows <= p.m; m0 += kRows) whole(p, m0, n0, columns);
    if (m0 < p.m) pick_block(p.m - m0, vectors)(p, m0, n0, columns);
    n0 += columns;
  }
}

#else
void multiply(const Matmul& p) { matmul_plain(p); }
#endif

}  // namespace presil::numerics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace presil::numerics {
namespace {
SIMD_EXPORT(multiply);
}

void matmul_plain(const Matmul& p) {
  for (size_t m = 0; m < p.m; ++m) {
    for (size_t n = 0; n < p.n; ++n) {
      float sum = 0.0f;
      for (size_t k = 0; k < p.k; ++k) {
        sum = std::fma(p.stationary[k * p.stationary_stride + m], p.moving[k * p.moving_stride + n], sum);
      }
      sum = canonical(sum);
      float& out = *p.at(m, n);
      out = p.accumulate ? canonical(out + sum) : sum;
    }
  }
}

void matmul_accumulate(const Matmul& product) { SIMD_DISPATCH(multiply)(product); }

}  // namespace presil::numerics
#endif
