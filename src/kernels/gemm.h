// Blocked matmul of operands that stay in HBM, and element-wise streaming of tensors that do.
#pragma once
#include "kernels/elementwise.h"
#include "kernels/hbm.h"

namespace presil::kernels {

// How a large matmul is cut; chosen by the compiler, stored in its Plan.
struct GemmBlocking {
  int64_t m_block = 512,
          n_block = 1024;  // output block whose operand panels [K, m_block] and [K, n_block] are resident
};
// Largest panels that fit `sbuf_fraction` of SBUF with the next block's A panel prefetched.
GemmBlocking gemm_blocking(const spec::ChipSpec&, int64_t m, int64_t n, int64_t k, DType);

// out[M, N] = a[M, K] x b[K, N], row-major in HBM, computed in `dtype` (2- or 4-byte), fp32 accumulation.
// a reaches the array transposed by DMA, so that K lies on partitions.
void gemm(Context&, const GemmBlocking&, DType dtype, const HbmView& a, const HbmView& b, const HbmView& out);

// out = expression(inputs) over HBM tensors of equal shape, as one long array: loads, computes and stores tile by tile.
Result<void> stream(Context&, const Expression&, DType dtype, const std::vector<HbmView>& inputs, const HbmView& out);

}  // namespace presil::kernels
