// What matters of an access pattern for time: contiguity and strides.
#pragma once
#include "isa/view.h"

namespace presil::timing {

// Elements that lie one after the other in memory, from the innermost dimension out; never across partitions.
uint64_t contiguous_run(const isa::View& view);

// Distance in bytes between neighbours of the innermost dimension that has any; 0: a single element, or a repeated one.
uint64_t innermost_stride_bytes(const isa::View& view);

bool is_16bit_float(DType t);

}  // namespace presil::timing
