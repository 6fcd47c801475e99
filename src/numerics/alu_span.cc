#include "numerics/alu_span.h"

#include <array>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "numerics/activation_tables.inc"
#include "numerics/float_bits.h"
#include "numerics/simd_dispatch.h"
#include "numerics/simd_targets.h"
#include "numerics/slab.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "numerics/alu_span.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace presil::numerics::HWY_NAMESPACE {
// clang-format off
#include "numerics/simd.inc"
#include "numerics/slab.inc"  // needs the one above
// clang-format on

PRESIL_INLINE F truth(Mask mask) { return select(mask, F(1.0f), F(0.0f)); }
PRESIL_INLINE Mask nonzero(F x) { return hn::Not(hn::Eq(x.v, hn::Zero(D()))); }
PRESIL_INLINE F with_nan_of(F a, F b, F result) {
  return select(hn::Or(not_a_number(a), not_a_number(b)), F(kNan), result);
}

template <AluOp op>
PRESIL_INLINE F apply(F a, F b) {
  if constexpr (op == AluOp::bypass) return a;
  if constexpr (op == AluOp::add) return canonical(a + b);
  if constexpr (op == AluOp::subtract) return canonical(a - b);
  if constexpr (op == AluOp::multiply) return canonical(a * b);
  if constexpr (op == AluOp::max) return with_nan_of(a, b, select(a > b, a, b));
  if constexpr (op == AluOp::min) return with_nan_of(a, b, select(a < b, a, b));
  if constexpr (op == AluOp::eq) return truth(hn::Eq(a.v, b.v));
  if constexpr (op == AluOp::ne) return truth(hn::Not(hn::Eq(a.v, b.v)));
  if constexpr (op == AluOp::ge) return truth(hn::Ge(a.v, b.v));
  if constexpr (op == AluOp::gt) return truth(hn::Gt(a.v, b.v));
  if constexpr (op == AluOp::le) return truth(hn::Le(a.v, b.v));
  if constexpr (op == AluOp::lt) return truth(hn::Lt(a.v, b.v));
  if constexpr (op == AluOp::logical_and) return truth(hn::And(nonzero(a), nonzero(b)));
  if constexpr (op == AluOp::logical_or) return truth(hn::Or(nonzero(a), nonzero(b)));
  if constexpr (op == AluOp::logical_xor) return truth(hn::Xor(nonzero(a), nonzero(b)));
  if constexpr (op == AluOp::divide) return canonical(a / b);
  if constexpr (op == AluOp::abs_max) return apply<AluOp::max>(abs(a), abs(b));
  if constexpr (op == AluOp::abs_min) return apply<AluOp::min>(abs(a), abs(b));
  if constexpr (op == AluOp::abs) return canonical(abs(a));
  if constexpr (op == AluOp::square) return canonical(a * a);
  if constexpr (op == AluOp::relu) return canonical(select(not_a_number(a), a, select(a > F(0.0f), a, F(0.0f))));
  if constexpr (op == AluOp::rsqrt) return canonical(F(1.0f) / sqrt(a));
  if constexpr (op == AluOp::reciprocal) return canonical(F(1.0f) / a);
}

// The last vector reads and writes only the elements that exist.
template <AluOp op, AluForm form>
HWY_INLINE HWY_ATTR void span(const float* a, const float* b, float* out, size_t count) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  const F a0(form == AluForm::scalar_vector && count > 0 ? a[0] : 0.0f);
  const F b0(form == AluForm::vector_scalar && count > 0 ? b[0] : 0.0f);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    F x = a0, y = b0;
    if constexpr (form != AluForm::scalar_vector) x = F(hn::LoadU(d, a + i));
    if constexpr (form != AluForm::vector_scalar) y = F(hn::LoadU(d, b + i));
    hn::StoreU(apply<op>(x, y).v, d, out + i);
  }
  if (i == count) return;
  const Mask rest = hn::FirstN(d, count - i);
  F x = a0, y = b0;
  if constexpr (form != AluForm::scalar_vector) x = F(hn::MaskedLoad(rest, d, a + i));
  if constexpr (form != AluForm::vector_scalar) y = F(hn::MaskedLoad(rest, d, b + i));
  hn::BlendedStore(apply<op>(x, y).v, rest, d, out + i);
}

template <AluForm form>
void power_span(const float* a, const float* b, float* out, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    out[i] =
        alu_apply(AluOp::power, a[form == AluForm::scalar_vector ? 0 : i], b[form == AluForm::vector_scalar ? 0 : i]);
  }
}

template <AluOp op, AluForm form>
HWY_ATTR void kernel(const float* a, const float* b, float* out, size_t count) {
  if constexpr (op == AluOp::power)
    return power_span<form>(a, b, out, count);
  else
    return span<op, form>(a, b, out, count);
}

template <AluOp op, AluForm form>
struct AluSlab {
  static constexpr size_t kInputs = 2;
  static constexpr unsigned kValues = form == AluForm::vector_scalar ? 2 : form == AluForm::scalar_vector ? 1 : 0;
  PRESIL_INLINE F operator()(const F* x) const { return apply<op>(x[0], x[1]); }
};

template <AluOp op, AluForm form>
HWY_ATTR void slab(const Slab& s) {
  if constexpr (op == AluOp::power) {
    run_slab_rows<2>(s, [&](const float* const* in, float* out) { power_span<form>(in[0], in[1], out, s.columns); });
  } else {
    run_slab(s, AluSlab<op, form>());
  }
}

constexpr size_t kFp32Ops = static_cast<size_t>(AluOp::bit_not);

template <AluForm form, size_t... op>
constexpr std::array<AluKernel, kFp32Ops> kernels_of_form(std::index_sequence<op...>) {
  return {&kernel<static_cast<AluOp>(op), form>...};
}
template <AluForm form, size_t... op>
constexpr std::array<SlabKernel, kFp32Ops> slabs_of_form(std::index_sequence<op...>) {
  return {&slab<static_cast<AluOp>(op), form>...};
}

AluKernel pick_alu_kernel(AluOp op, AluForm form) {
  using Ops = std::make_index_sequence<kFp32Ops>;
  static constexpr std::array<std::array<AluKernel, kFp32Ops>, 3> table = {
      kernels_of_form<AluForm::vector_vector>(Ops()), kernels_of_form<AluForm::vector_scalar>(Ops()),
      kernels_of_form<AluForm::scalar_vector>(Ops())};
  return table[static_cast<size_t>(form)][static_cast<size_t>(op)];
}

SlabKernel pick_alu_slab(AluOp op, AluForm form) {
  using Ops = std::make_index_sequence<kFp32Ops>;
  static constexpr std::array<std::array<SlabKernel, kFp32Ops>, 3> table = {
      slabs_of_form<AluForm::vector_vector>(Ops()), slabs_of_form<AluForm::vector_scalar>(Ops()),
      slabs_of_form<AluForm::scalar_vector>(Ops())};
  return table[static_cast<size_t>(form)][static_cast<size_t>(op)];
}

HWY_ATTR void multiply_add(const float* a, const float* b, const float* c, float* out, size_t count) {
#if HWY_NATIVE_FMA
  const D d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const F sum = fma(F(hn::LoadU(d, a + i)), F(hn::LoadU(d, b + i)), F(hn::LoadU(d, c + i)));
    hn::StoreU(canonical(sum).v, d, out + i);
  }
  a += i, b += i, c += i, out += i, count -= i;
#endif
  for (size_t i = 0; i < count; ++i) out[i] = numerics::canonical(std::fma(a[i], b[i], c[i]));
}

// Step s of a fused kernel: the operators with a fixed order of operands.
enum class Step : uint8_t { add, multiply, max, min, subtract, subtract_from };
constexpr size_t kSteps = 6;

// NaN is canonicalized once, at the end: these operators pass a NaN on whatever its bits.
template <Step step>
PRESIL_INLINE F take(F a, F b) {
  if constexpr (step == Step::add) return a + b;
  if constexpr (step == Step::multiply) return a * b;
  if constexpr (step == Step::max) return with_nan_of(a, b, select(a > b, a, b));
  if constexpr (step == Step::min) return with_nan_of(a, b, select(a < b, a, b));
  if constexpr (step == Step::subtract) return a - b;
  if constexpr (step == Step::subtract_from) return b - a;
}

template <Step first, Step second, bool scalar_b>
HWY_INLINE HWY_ATTR void fused_span(const float* a, const float* s, const float* b, float* out, size_t count) {
  const D d;
  const size_t lanes = hn::Lanes(d);
  if (count == 0) return;
  const F s0(s[0]), b0(scalar_b ? b[0] : 0.0f);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    F y = b0;
    if constexpr (!scalar_b) y = F(hn::LoadU(d, b + i));
    hn::StoreU(canonical(take<second>(take<first>(F(hn::LoadU(d, a + i)), s0), y)).v, d, out + i);
  }
  if (i == count) return;
  const Mask rest = hn::FirstN(d, count - i);
  F y = b0;
  if constexpr (!scalar_b) y = F(hn::MaskedLoad(rest, d, b + i));
  hn::BlendedStore(canonical(take<second>(take<first>(F(hn::MaskedLoad(rest, d, a + i)), s0), y)).v, rest, d, out + i);
}

template <Step first, Step second, bool scalar_b>
HWY_ATTR void fused(const float* a, const float* s, const float* b, float* out, size_t count) {
  fused_span<first, second, scalar_b>(a, s, b, out, count);
}
template <Step first, Step second, bool scalar_b>
struct FusedSlab {
  static constexpr size_t kInputs = 3;
  static constexpr unsigned kValues = scalar_b ? 6 : 2;
  PRESIL_INLINE F operator()(const F* x) const { return canonical(take<second>(take<first>(x[0], x[1]), x[2])); }
};
template <Step first, Step second, bool scalar_b>
HWY_ATTR void fused_slab(const Slab& s) {
  run_slab(s, FusedSlab<first, second, scalar_b>());
}

template <bool scalar_b, size_t... pair>
constexpr std::array<FusedKernel, kSteps * kSteps> fused_of_form(std::index_sequence<pair...>) {
  return {&fused<static_cast<Step>(pair / kSteps), static_cast<Step>(pair % kSteps), scalar_b>...};
}
template <bool scalar_b, size_t... pair>
constexpr std::array<SlabKernel, kSteps * kSteps> fused_slabs_of_form(std::index_sequence<pair...>) {
  return {&fused_slab<static_cast<Step>(pair / kSteps), static_cast<Step>(pair % kSteps), scalar_b>...};
}

FusedKernel pick_fused_kernel(size_t first, size_t second, bool scalar_b) {
  using Pairs = std::make_index_sequence<kSteps * kSteps>;
  static constexpr auto with_vector = fused_of_form<false>(Pairs()), with_scalar = fused_of_form<true>(Pairs());
  return (scalar_b ? with_scalar : with_vector)[first * kSteps + second];
}

SlabKernel pick_fused_slab(size_t first, size_t second, bool scalar_b) {
  using Pairs = std::make_index_sequence<kSteps * kSteps>;
  static constexpr auto with_vector = fused_slabs_of_form<false>(Pairs()),
                        with_scalar = fused_slabs_of_form<true>(Pairs());
  return (scalar_b ? with_scalar : with_vector)[first * kSteps + second];
}

}  // namespace presil::numerics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace presil::numerics {
namespace {

SIMD_EXPORT(pick_alu_kernel);
SIMD_EXPORT(pick_alu_slab);
SIMD_EXPORT(pick_fused_kernel);
SIMD_EXPORT(pick_fused_slab);
SIMD_EXPORT(multiply_add);

// Position in Step, or 6 if there is none.
size_t step_of(AluOp op, bool reverse) {
  switch (op) {
    case AluOp::add:
      return 0;
    case AluOp::multiply:
      return 1;
    case AluOp::max:
      return reverse ? 6 : 2;
    case AluOp::min:
      return reverse ? 6 : 3;
    case AluOp::subtract:
      return reverse ? 5 : 4;
    default:
      return 6;
  }
}

}  // namespace

AluKernel alu_kernel(AluOp op, AluForm form) {
  CHECK(!is_bitvec(op), "bitvec operators have no fp32 kernel");
  return SIMD_DISPATCH(pick_alu_kernel)(op, form);
}

SlabKernel alu_slab(AluOp op, AluForm form) {
  CHECK(!is_bitvec(op), "bitvec operators have no fp32 kernel");
  return SIMD_DISPATCH(pick_alu_slab)(op, form);
}

SlabKernel fused_slab(const FusedOps& ops) {
  const size_t first = step_of(ops.first, ops.reverse_first), second = step_of(ops.second, ops.reverse_second);
  if (first == 6 || second == 6) return nullptr;
  return SIMD_DISPATCH(pick_fused_slab)(first, second, ops.scalar_b);
}

FusedKernel fused_kernel(const FusedOps& ops) {
  const size_t first = step_of(ops.first, ops.reverse_first), second = step_of(ops.second, ops.reverse_second);
  if (first == 6 || second == 6) return nullptr;
  return SIMD_DISPATCH(pick_fused_kernel)(first, second, ops.scalar_b);
}

void fma_span(const float* a, const float* b, const float* c, float* out, size_t count) {
  SIMD_DISPATCH(multiply_add)(a, b, c, out, count);
}

}  // namespace presil::numerics
#endif
