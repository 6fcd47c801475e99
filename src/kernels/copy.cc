#include "kernels/copy.h"

#include <algorithm>

namespace presil::kernels {
namespace {

bool is_constant(const tile::Scalar& s, float value) { return !s.view.present() && s.value == value; }

}  // namespace

void copy(Context& context, const isa::View& dst, const isa::View& src) {
  // The scalar engine of generation 2 has no copy, and its activation goes through fp32, which integers may not
  // survive.
  const bool activation = context.spec.generation < 3;
  const bool exact = is_float(src.dtype) && is_float(dst.dtype);
  const isa::EngineKind engine = activation && !exact ? isa::EngineKind::vector : lighter_engine(context, dst, src);
  if (activation && engine == isa::EngineKind::scalar) {
    context.build.activation({.dst = dst, .data = src});
  } else {
    context.build.tensor_copy({.dst = dst, .src = src, .engine = engine});
  }
}

void copy_aside(Context& context, const isa::View& dst, const isa::View& src) {
  context.build.tensor_copy({.dst = dst, .src = src, .engine = aside_engine(context, dst, src)});
}

void copy_scaled(Context& context, const isa::View& dst, const isa::View& src, const tile::Scalar& scale,
                 const tile::Scalar& bias) {
  const bool scaled = !is_constant(scale, 1.0f), shifted = !is_constant(bias, 0.0f);
  if (!scaled && !shifted) return copy(context, dst, src);
  if (lighter_engine(context, dst, src) == isa::EngineKind::scalar) {
    context.build.activation({.dst = dst, .data = src, .scale = scale, .bias = bias});
    return;
  }
  tile::TensorScalar a{.dst = dst, .data = src, .op0 = AluOp::multiply, .operand0 = scale};
  if (!scaled) {
    a.op0 = AluOp::add, a.operand0 = bias;
  } else if (shifted) {
    a.op1 = AluOp::add, a.operand1 = bias;
  }
  context.build.tensor_scalar(a);
}

}  // namespace presil::kernels
