#include "numerics/activation_span.h"

#include <array>
#include <cmath>
#include <utility>

#include "numerics/activation_tables.inc"
#include "numerics/float_bits.h"
#include "numerics/simd_dispatch.h"
#include "numerics/simd_targets.h"
#include "numerics/slab.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "numerics/activation_span.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace presil::numerics::HWY_NAMESPACE {
// clang-format off
#include "numerics/simd.inc"
#include "numerics/activation_formulas.inc"  // needs the one above
#include "numerics/slab.inc"
// clang-format on

template <Activation f>
HWY_INLINE HWY_ATTR void span(const float* in, float* out, size_t count, const ActivationArguments& arguments) {
#if HWY_NATIVE_FMA
  const D d;
  const size_t lanes = hn::Lanes(d);
  const F scale(arguments.scale), bias(arguments.bias), alpha(arguments.alpha);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const F x = canonical(fma(F(hn::LoadU(d, in + i)), scale, bias));
    hn::StoreU(apply<f>(x, alpha).v, d, out + i);
  }
  if (i == count) return;
  const Mask rest = hn::FirstN(d, count - i);
  const F x = canonical(fma(F(hn::MaskedLoad(rest, d, in + i)), scale, bias));
  hn::BlendedStore(apply<f>(x, alpha).v, rest, d, out + i);
#else
  for (size_t i = 0; i < count; ++i) out[i] = activation_affine_apply(f, in[i], arguments);
#endif
}

template <Activation f>
HWY_ATTR void kernel(const float* in, float* out, size_t count, const ActivationArguments& arguments) {
  span<f>(in, out, count, arguments);
}

template <Activation f>
struct ActivationSlab {
  static constexpr size_t kInputs = 3;
  static constexpr unsigned kValues = 6;
  F alpha;
  PRESIL_INLINE F operator()(const F* x) const { return apply<f>(canonical(fma(x[0], x[1], x[2])), alpha); }
};

template <Activation f>
HWY_ATTR void slab(const Slab& s) {
#if HWY_NATIVE_FMA
  run_slab(s, ActivationSlab<f>{F(s.alpha)});
#else
  run_slab_rows<3>(s, [&](const float* const* in, float* out) {
    kernel<f>(in[0], out, s.columns, {in[1][0], in[2][0], s.alpha});
  });
#endif
}

template <size_t... f>
constexpr std::array<SlabKernel, sizeof...(f)> slabs(std::index_sequence<f...>) {
  return {&slab<static_cast<Activation>(f)>...};
}

SlabKernel pick_activation_slab(Activation f) {
  static constexpr auto table = slabs(std::make_index_sequence<kActivationCount>());
  return table[static_cast<size_t>(f)];
}

template <size_t... f>
constexpr std::array<ActivationKernel, sizeof...(f)> kernels(std::index_sequence<f...>) {
  return {&kernel<static_cast<Activation>(f)>...};
}

ActivationKernel pick_activation_kernel(Activation f) {
  static constexpr auto table = kernels(std::make_index_sequence<kActivationCount>());
  return table[static_cast<size_t>(f)];
}

}  // namespace presil::numerics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace presil::numerics {
namespace {
SIMD_EXPORT(pick_activation_kernel);
SIMD_EXPORT(pick_activation_slab);
}  // namespace

ActivationKernel activation_kernel(Activation f) { return SIMD_DISPATCH(pick_activation_kernel)(f); }

SlabKernel activation_slab(Activation f) { return SIMD_DISPATCH(pick_activation_slab)(f); }

float activation_affine_apply(Activation f, float x, const ActivationArguments& arguments) {
  return activation_apply(f, canonical(std::fma(x, arguments.scale, arguments.bias)), arguments.alpha);
}

}  // namespace presil::numerics
#endif
