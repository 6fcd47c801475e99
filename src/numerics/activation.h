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
float activation_apply(Activation f, float x, float alpha = 0.0f);

// Functions that share a loaded table; switching tables costs time. Exact ones (copy, square, abs, sign, relu,
// leaky_relu) need none and return 0.
int activation_table(Activation f);

}  // namespace presil
