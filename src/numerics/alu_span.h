// ALU operators over contiguous fp32 spans, equal bit for bit to alu_apply.
#pragma once
#include <cstddef>

#include "numerics/alu.h"

namespace presil::numerics {

// Which operand is a span and which is one value used for all elements.
enum class AluForm : uint8_t {
  vector_vector,  // out[i] = op(a[i], b[i])
  vector_scalar,  // out[i] = op(a[i], b[0])
  scalar_vector,  // out[i] = op(a[0], b[i])
};

// `out` may be the same span as `a` or `b`, but must not overlap them otherwise. No bitvec operators.
using AluKernel = void (*)(const float* a, const float* b, float* out, size_t count);
AluKernel alu_kernel(AluOp op, AluForm form);

// out[i] = second(first(a[i], s[0]), b[i]), or b[0] if scalar_b; with reverse_x the operands of x change places. Only
// for add, subtract, multiply, max, min (max and min not reversed); nullptr for the rest, which take two passes.
struct FusedOps {
  AluOp first, second;
  bool reverse_first, reverse_second, scalar_b;
};
using FusedKernel = void (*)(const float* a, const float* s, const float* b, float* out, size_t count);
FusedKernel fused_kernel(const FusedOps& ops);

// out[i] = fma(a[i], b[i], c[i]), NaN canonical. `out` may be any of them.
void fma_span(const float* a, const float* b, const float* c, float* out, size_t count);

}  // namespace presil::numerics
