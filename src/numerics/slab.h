// Element-wise arithmetic where the operands lie: planes x rows x columns of fp32, one call for many short rows. The
// same bits as the spans of alu_span.h and activation_span.h, row by row.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "numerics/activation.h"
#include "numerics/alu_span.h"

namespace presil::numerics {

// Steps in elements. The columns of a row are contiguous, or one value stands for all of them (the kernel knows).
struct SlabSide {
  float* at = nullptr;
  int64_t plane_step = 0, row_step = 0;
};
struct Slab {
  size_t planes = 1, rows = 1, columns = 0;
  SlabSide out;  // may be the places of an input, but must not overlap one otherwise
  std::array<SlabSide, 3> in;
  float alpha = 0.0f;  // of activations
};

using SlabKernel = void (*)(const Slab& slab);
SlabKernel alu_slab(AluOp op, AluForm form);  // of in[0] and in[1]
SlabKernel fused_slab(const FusedOps& ops);   // of in[0], a value in[1], and in[2]; nullptr as fused_kernel
SlabKernel activation_slab(Activation f);     // of in[0], scale and bias as values in[1] and in[2]

}  // namespace presil::numerics
