// Reductions over free axes with one result per partition and kept index: what reduce, softmax and pooling share.
#pragma once
#include "kernels/block.h"
#include "numerics/alu.h"

namespace presil::kernels {

// out = op over `axes` (free axes, out has extent 1 there), times -1 if negate. Same partition axis and cut. Long sums
// are added in runs, then the runs, so that rounding errors stay small.
void reduce_free_axes(Context&, AluOp op, std::vector<int64_t> axes, const Block& in, const Block& out,
                      bool negate = false);

}  // namespace presil::kernels
