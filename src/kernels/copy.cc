#include "kernels/copy.h"

#include <algorithm>

namespace presil::kernels {
namespace {

bool is_constant(const tile::Scalar& s, float value) { return !s.view.present() && s.value == value; }

bool contiguous(const isa::View& v) { return v.rank == 0 || v.dims[v.rank - 1u].step == 1; }

// Elements per cycle of the vector engine (its performance modes).
double vector_rate(const spec::VectorSpec& vector, const isa::View& dst, const isa::View& src) {
  auto narrow = [](const isa::View& v) { return is_float(v.dtype) && dtype_bytes(v.dtype) == 2 && contiguous(v); };
  const bool psum = src.memory == isa::Memory::psum || dst.memory == isa::Memory::psum;
  const bool fast = narrow(dst) && narrow(src);
  if (psum) return fast ? vector.fast_copy_psum_16bit : 1;
  return fast ? vector.fast_copy_16bit : vector.fast_copy_other;
}

// As lighter_engine, for an instruction that the vector engine does in one of its fast modes.
isa::EngineKind pick_engine(Context& context, const isa::View& dst, const isa::View& src) {
  const auto n = static_cast<double>(dst.elements_per_partition());
  const double rate = vector_rate(context.spec.vector, dst, src);
  const double vector = context.vector_seconds + n / rate / static_cast<double>(context.spec.vector.clock_hz);
  const double scalar = context.scalar_seconds + n / static_cast<double>(context.spec.scalar.clock_hz);
  (vector <= scalar ? context.vector_seconds : context.scalar_seconds) = std::min(vector, scalar);
  return vector <= scalar ? isa::EngineKind::vector : isa::EngineKind::scalar;
}

}  // namespace

void copy(Context& context, const isa::View& dst, const isa::View& src) {
  // The scalar engine of generation 2 has no copy, and its activation goes through fp32, which integers may not
  // survive.
  const bool activation = context.spec.generation < 3;
  const bool exact = is_float(src.dtype) && is_float(dst.dtype);
  const isa::EngineKind engine = activation && !exact ? isa::EngineKind::vector : pick_engine(context, dst, src);
  if (activation && engine == isa::EngineKind::scalar) {
    context.build.activation({.dst = dst, .data = src});
  } else {
    context.build.tensor_copy({.dst = dst, .src = src, .engine = engine});
  }
}

void copy_scaled(Context& context, const isa::View& dst, const isa::View& src, const tile::Scalar& scale,
                 const tile::Scalar& bias) {
  const bool scaled = !is_constant(scale, 1.0f), shifted = !is_constant(bias, 0.0f);
  if (!scaled && !shifted) return copy(context, dst, src);
  if (pick_engine(context, dst, src) == isa::EngineKind::scalar) {
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
