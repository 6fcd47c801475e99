// The matrix product of the tensor engine with a stationary operand of structured sparsity.
//
// Definition: for every output one chain of fused multiply-adds over the k = 0 .. K-1 numbers that are kept, starting
// from +0, each meeting the row of `moving` that its source names; the result's NaN is made canonical.
#pragma once
#include <cstddef>
#include <cstdint>

namespace presil::numerics {

struct SparseMatmul {
  size_t m = 0, n = 0, k = 0;
  const float* stationary = nullptr;  // [k][m]
  size_t stationary_stride = 0;       // elements
  const uint32_t* sources = nullptr;  // [k][m]: rows of `moving`
  const float* moving = nullptr;      // [rows][n]
  size_t moving_stride = 0;
  float* dst = nullptr;  // [m][n], overwritten
  size_t dst_stride = 0;
};

void sparse_matmul_plain(const SparseMatmul& product);
// The same bits, fast.
void sparse_matmul(const SparseMatmul& product);

}  // namespace presil::numerics
