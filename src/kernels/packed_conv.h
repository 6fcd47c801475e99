// Convolution whose filter taps are packed into partitions (few input channels); see packed_conv.cc.
#pragma once
#include "kernels/hbm.h"
#include "kernels/kernels.h"

namespace presil::kernels {

// How taps share the array's rows: all input rows and channels that a filter column takes for `out_rows` neighbouring
// rows of the result, for `columns` neighbouring filter columns at once; the filter's columns take `passes` matmuls.
struct TapPacking {
  int64_t columns = 1, passes = 1;
  int64_t partitions = 0;             // columns * in_rows * C
  int64_t out_rows = 1, in_rows = 1;  // in_rows: that out_rows rows of the result need
  int64_t m_step = 1;                 // partitions from one row of the result to the next
};
// Nothing when one filter column does not fit the array. `rows`: of the result.
std::optional<TapPacking> tap_packing(const spec::ChipSpec&, const Window&, int64_t channels, int64_t outputs,
                                      int64_t rows);

// weights [kw * in_rows * C, out_rows * m_step], filter columns outermost, cut into one group per pass, for all outputs
// or, where out_rows is 1, for each group of `out` side by side; `in` is the whole input
// [N, C, H, W] in HBM. Loads the rows that `out` needs, as `operand`.
void conv_packed(Context&, const Window&, const TapPacking&, DType operand, const Weights&, const HbmView& in,
                 const Block& out, const Epilogue& = {});
// Columns of one packed row: SBUF needed is out rows x this x element size per partition.
int64_t packed_columns(const Window&, int64_t in_columns);

}  // namespace presil::kernels
