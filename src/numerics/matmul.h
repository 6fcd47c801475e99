// The matrix product of the tensor engine, in fp32.
//
// Definition: for every output one chain of fused multiply-adds over k = 0 .. K-1, starting from +0; the result's NaN
// is made canonical; then, if accumulate, one addition to the old value, its NaN made canonical too.
#pragma once
#include <cstddef>
#include <cstdint>

namespace presil::numerics {

// Row-major operands; strides in elements. The columns of dst may form a 2-D window: runs of `run` columns,
// `run_stride` apart.
struct Matmul {
  size_t m = 0, n = 0, k = 0;
  const float* stationary = nullptr;  // [k][m]
  size_t stationary_stride = 0;
  const float* moving = nullptr;  // [k][n]
  size_t moving_stride = 0;
  float* dst = nullptr;  // [m][n]
  size_t dst_stride = 0;
  bool accumulate = false;
  size_t run = SIZE_MAX;  // all columns
  int64_t run_stride = 0;

  float* at(size_t row, size_t column) const {
    float* first = dst + row * dst_stride;
    return column < run ? first + column : first + static_cast<int64_t>(column / run) * run_stride + column % run;
  }
};

void matmul_plain(const Matmul& product);
// The same bits, fast. Best when strides are no multiple of 1024 bytes, which would crowd a cache's sets.
void matmul_accumulate(const Matmul& product);

}  // namespace presil::numerics
