#include "numerics/sparse_matmul.h"

#include <cmath>

#include "numerics/float_bits.h"
#include "numerics/simd_dispatch.h"
#include "numerics/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "numerics/sparse_matmul.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace presil::numerics::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_NATIVE_FMA

// Outputs of one row that stay in registers for the whole chain.
constexpr size_t kVectors = 8;

HWY_ATTR void block(const SparseMatmul& p, size_t m, size_t n0, size_t columns) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const size_t used = (columns + lanes - 1) / lanes;
  const auto mask = hn::FirstN(d, columns - (used - 1) * lanes);
  hn::Vec<decltype(d)> sum[kVectors];
#pragma GCC unroll 8
  for (size_t v = 0; v < kVectors; ++v) sum[v] = hn::Zero(d);
  for (size_t k = 0; k < p.k; ++k) {
    const auto value = hn::Set(d, p.stationary[k * p.stationary_stride + m]);
    const float* row = p.moving + p.sources[k * p.m + m] * p.moving_stride + n0;
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      if (v >= used) break;
      const auto x = v + 1 < used ? hn::LoadU(d, row + v * lanes) : hn::MaskedLoad(mask, d, row + v * lanes);
      sum[v] = hn::MulAdd(value, x, sum[v]);
    }
  }
  float* out = p.dst + m * p.dst_stride + n0;
#pragma GCC unroll 8
  for (size_t v = 0; v < kVectors; ++v) {
    if (v >= used) break;
    const auto result = hn::IfThenElse(hn::IsNaN(sum[v]), hn::Set(d, kNan), sum[v]);
    if (v + 1 < used) {
      hn::StoreU(result, d, out + v * lanes);
    } else {
      hn::BlendedStore(result, mask, d, out + v * lanes);
    }
  }
}

void multiply_sparse(const SparseMatmul& p) {
  const size_t columns = kVectors * hn::Lanes(hn::ScalableTag<float>());
  for (size_t n0 = 0; n0 < p.n; n0 += columns) {
    for (size_t m = 0; m < p.m; ++m) block(p, m, n0, HWY_MIN(columns, p.n - n0));
  }
}

#else
void multiply_sparse(const SparseMatmul& p) { sparse_matmul_plain(p); }
#endif

}  // namespace presil::numerics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace presil::numerics {
namespace {
SIMD_EXPORT(multiply_sparse);
}

void sparse_matmul_plain(const SparseMatmul& p) {
  for (size_t m = 0; m < p.m; ++m) {
    for (size_t n = 0; n < p.n; ++n) {
      float sum = 0.0f;
      for (size_t k = 0; k < p.k; ++k) {
        const float x = p.moving[p.sources[k * p.m + m] * p.moving_stride + n];
        sum = std::fma(p.stationary[k * p.stationary_stride + m], x, sum);
      }
      p.dst[m * p.dst_stride + n] = canonical(sum);
    }
  }
}

void sparse_matmul(const SparseMatmul& product) { SIMD_DISPATCH(multiply_sparse)(product); }

}  // namespace presil::numerics
#endif
