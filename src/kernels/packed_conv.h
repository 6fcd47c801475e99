// Convolution whose filter taps are packed into partitions (few input channels); see packed_conv.cc.
#pragma once
#include "kernels/hbm.h"
#include "kernels/kernels.h"

namespace presil::kernels {

// weights [kh * kw * C, M] in one group, taps outermost; `in` is the whole input [N, C, H, W] in HBM; kh * kw * C may
// not exceed the array's rows. Loads the rows that `out` needs, as `operand`.
void conv_packed(Context&, const Window&, DType operand, const Weights&, const HbmView& in, const Block& out,
                 const Epilogue& = {});
// Columns of one packed row: SBUF needed is out rows x this x element size per partition.
int64_t packed_columns(const Window&, int64_t in_columns);

}  // namespace presil::kernels
