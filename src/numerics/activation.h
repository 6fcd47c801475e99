// Nonlinear functions of the scalar engine: piecewise polynomials, never libm, so that every machine gives the same
// bits. The documented list is the fact sheet's section 6.5.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace presil {

// clang-format off
enum class Activation : uint8_t {
  copy, square, abs, sign, relu, leaky_relu, exp, log, sqrt, rsqrt, reciprocal, sigmoid, tanh, erf, gelu,
  gelu_apprx_tanh, silu, softplus, mish, sin, arctan, gelu_apprx_sigmoid, gelu_dx, gelu_apprx_sigmoid_dx, silu_dx,
  erf_dx,
  custom0, custom1, custom2, custom3, custom4, custom5, custom6, custom7,  // tables of the program (activation_table.h)
};
// clang-format on
inline constexpr int kActivationCount = static_cast<int>(Activation::erf_dx) + 1;  // the engine's own
inline constexpr int kCustomActivations = 8;
constexpr bool is_custom(Activation f) { return f >= Activation::custom0; }
constexpr size_t custom_slot(Activation f) { return static_cast<size_t>(f) - static_cast<size_t>(Activation::custom0); }

std::string_view activation_name(Activation f);
std::optional<Activation> activation_from_name(std::string_view name);

// f(x) in fp32, exactly as the engine computes it; not of a custom function. `alpha` is the slope of leaky_relu,
// otherwise unused.
//  - Polynomials after an exact range reduction, IEEE division and fused multiply-add (activation_formulas.inc,
//    activation_tables.inc). sqrt, rsqrt = 1/sqrt(x) and reciprocal are the IEEE operations. Within 4e-7 of the real
//    function, relative, wherever the result is normal; sin: for |x| <= 8192 and absolute, NaN beyond.
//  - NaN gives the canonical NaN, so do log, sqrt and rsqrt of negative numbers; log(0) = -inf, rsqrt(0) = inf.
//    copy returns the bits of x. sign(+-0) = +0.
float activation_apply(Activation f, float x, float alpha = 0.0f);

// Functions that share a loaded table; switching tables costs time. Exact ones (copy, square, abs, sign, relu,
// leaky_relu) need none and return 0.
int activation_table(Activation f);

}  // namespace presil
