// Convolution of few channels: several rows share the array; see row_conv.cc.
#pragma once
#include "kernels/kernels.h"
#include "kernels/window.h"

namespace presil::kernels {

// `out_rows` neighbouring rows of the result share the array's columns, `in_rows` rows of the input its rows. The rows
// that those outputs need are read in `passes` matmuls per filter column, `in_rows` rows each. Row j of the grid holds
// input rows [pitch * j, pitch * j + in_rows).
struct RowPacking {
  int64_t out_rows = 1, in_rows = 1, passes = 1, pitch = 1;
  int64_t m_step = 1;  // partitions from one row of the result to the next
};
// For operands of type `operand` and so many rows and columns of the result. Nothing when one row at a time is as fast,
// what the DMA engines do for the grid included.
std::optional<RowPacking> row_packing(const spec::ChipSpec&, const Window&, int64_t channels, int64_t outputs,
                                      int64_t rows, int64_t columns, DType operand);
// Rows of the result that may stand side by side in PSUM, where each begins at a legal partition `step` after the last.
struct RowsBeside {
  int64_t most = 1, step = 1;
};
RowsBeside rows_beside(const spec::ChipSpec&, int64_t outputs);

// weights [in_rows * C, passes, kw, out_rows * m_step], partition axis 0, one group; bias [M]. `in` has one group.
void conv_rows(Context&, const Window&, const RowPacking&, const Weights&, const Block& in, const Block& out,
               const Epilogue& = {});

// Rows [begin, begin + count) of blocks of out_rows rows each, columns as in `r` (whose rows are not used), leave the
// PSUM tile in which they stand beside each other. Rows beyond the block's last are dropped.
struct RowBlocks {
  int64_t begin = 0, count = 1, out_rows = 1, m_step = 1;
};
void evacuate_rows(Context&, uint32_t psum, const RowBlocks&, const Rectangle& r, const Weights&, const Block& out,
                   size_t group, int64_t n, const Epilogue&);

}  // namespace presil::kernels
