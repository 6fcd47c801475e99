// Copies from PSUM or SBUF that either the vector or the scalar engine may do: each goes to the one with less work.
#pragma once
#include "kernels/block.h"

namespace presil::kernels {

// dst = src, converted if types differ; bit-exact between equal types.
void copy(Context&, const isa::View& dst, const isa::View& src);

// The same from SBUF to SBUF, by the vector or the gpsimd engine: for what need not be there at once.
void copy_aside(Context&, const isa::View& dst, const isa::View& src);

// dst = src * scale + bias in fp32; scale and bias are constants or one value per partition.
void copy_scaled(Context&, const isa::View& dst, const isa::View& src, const tile::Scalar& scale,
                 const tile::Scalar& bias = 0.0f);

}  // namespace presil::kernels
