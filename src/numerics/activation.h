// Nonlinear functions of the scalar engine: piecewise polynomials, never libm, so that every machine gives the same
// bits. The documented list is the fact sheet's section 6.5.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace presil {

// clang-format off
enum class Activation : uint8_t {
  copy, square, abs, sign, relu, leaky_relu, exp, log, sqrt, rsqrt, reciprocal, sigmoid, tanh, erf, gelu,
  gelu_apprx_tanh, silu, softplus, mish, sin, arctan,
};
// clang-format on
inline constexpr int kActivationCount = static_cast<int>(Activation::arctan) + 1;

std::string_view activation_name(Activation f);
std::optional<Activation> activation_from_name(std::string_view name);

// f(x) in fp32, exactly as the engine computes it. `alpha` is the slope of leaky_relu, otherwise unused.
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
