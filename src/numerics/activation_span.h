// Activation functions over contiguous fp32 spans, equal bit for bit to activation_apply after one fused multiply-add.
#pragma once
#include <cstddef>

#include "numerics/activation.h"
#include "numerics/activation_table.h"

namespace presil::numerics {

// out[i] = f(fma(in[i], scale, bias)), the argument's NaN made canonical. Without a bias pass -0.0f, which adds
// nothing, not even to the sign of zero. `out` may be `in`.
struct ActivationArguments {
  float scale = 1.0f, bias = -0.0f, alpha = 0.0f;
};
using ActivationKernel = void (*)(const float* in, float* out, size_t count, const ActivationArguments& arguments);
ActivationKernel activation_kernel(Activation f);

// The same for a table.
void table_span(const ActivationTable& table, const float* in, float* out, size_t count,
                const ActivationArguments& arguments);

float activation_affine_apply(Activation f, float x, const ActivationArguments& arguments);  // the definition

}  // namespace presil::numerics
