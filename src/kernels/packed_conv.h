// Convolution whose filter taps are packed into partitions (few input channels); see packed_conv.cc.
#pragma once
#include "kernels/hbm.h"
#include "kernels/kernels.h"

namespace presil::kernels {

// How taps share the array's rows: all of a filter column's taps and channels, for `columns` neighbouring filter
// columns at once; the filter's columns take `passes` matmuls.
struct TapPacking {
  int64_t columns = 1, passes = 1;
  int64_t partitions = 0;  // columns * kh * C
};
// Nothing when one filter column does not fit the array.
std::optional<TapPacking> tap_packing(const spec::ChipSpec&, const Window&, int64_t channels);

// weights [kw * kh * C, M], filter columns outermost, cut into one group per pass; `in` is the whole input
// [N, C, H, W] in HBM. Loads the rows that `out` needs, as `operand`.
void conv_packed(Context&, const Window&, DType operand, const Weights&, const HbmView& in, const Block& out,
                 const Epilogue& = {});
// Columns of one packed row: SBUF needed is out rows x this x element size per partition.
int64_t packed_columns(const Window&, int64_t in_columns);

}  // namespace presil::kernels
