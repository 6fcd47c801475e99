#include "numerics/activation_span.h"

#include <array>
#include <cmath>
#include <utility>

#include "numerics/activation_tables.inc"
#include "numerics/float_bits.h"
#include "numerics/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "numerics/activation_span.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace presil::numerics::HWY_NAMESPACE {
// clang-format off
#include "numerics/simd.inc"
#include "numerics/activation_formulas.inc"  // needs the one above
// clang-format on

template <Activation f>
HWY_ATTR void kernel(const float* in, float* out, size_t count, const ActivationArguments& arguments) {
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
HWY_EXPORT(pick_activation_kernel);
}

ActivationKernel activation_kernel(Activation f) { return HWY_DYNAMIC_DISPATCH(pick_activation_kernel)(f); }

float activation_affine_apply(Activation f, float x, const ActivationArguments& arguments) {
  return activation_apply(f, canonical(std::fma(x, arguments.scale, arguments.bias)), arguments.alpha);
}

}  // namespace presil::numerics
#endif
