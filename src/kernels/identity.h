// The identity matrix in SBUF: the stationary operand that adds a tensor to what lies in PSUM, or spreads filters along
// a diagonal.
#pragma once
#include "kernels/block.h"

namespace presil::kernels {

// [P, P] with the identity's ones, P the SBUF's partitions; made once per program and type.
isa::View identity(Context&, DType);

}  // namespace presil::kernels
