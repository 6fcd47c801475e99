#include "numerics/activation.h"

#include <array>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "numerics/activation_tables.inc"
#include "numerics/float_bits.h"
#include "numerics/names.h"

namespace presil {
namespace {

constexpr std::array<std::string_view, kActivationCount + kCustomActivations> kNames = {
    "copy",       "square",
    "abs",        "sign",
    "relu",       "leaky_relu",
    "exp",        "log",
    "sqrt",       "rsqrt",
    "reciprocal", "sigmoid",
    "tanh",       "erf",
    "gelu",       "gelu_apprx_tanh",
    "silu",       "softplus",
    "mish",       "sin",
    "arctan",     "gelu_apprx_sigmoid",
    "gelu_dx",    "gelu_apprx_sigmoid_dx",
    "silu_dx",    "erf_dx",
    "custom0",    "custom1",
    "custom2",    "custom3",
    "custom4",    "custom5",
    "custom6",    "custom7"};

namespace one {

using numerics::bits_of;
using numerics::float_of;
using numerics::kInfinity;
using numerics::kNan;

struct F {
  float v = 0.0f;
  F() = default;
  explicit F(float value) : v(value) {}
};
F operator+(F a, F b) { return F(a.v + b.v); }
F operator-(F a, F b) { return F(a.v - b.v); }
F operator*(F a, F b) { return F(a.v * b.v); }
F operator/(F a, F b) { return F(a.v / b.v); }
bool operator<(F a, F b) { return a.v < b.v; }
bool operator>(F a, F b) { return a.v > b.v; }
F fma(F a, F b, F c) { return F(std::fma(a.v, b.v, c.v)); }
F select(bool mask, F a, F b) { return mask ? a : b; }
F abs(F x) { return F(std::fabs(x.v)); }
F sqrt(F x) { return F(std::sqrt(x.v)); }
F copy_sign(F magnitude, F sign) { return F(std::copysign(magnitude.v, sign.v)); }
bool not_a_number(F x) { return numerics::is_nan(x.v); }
F nearest_integer(F x) { return F((x.v + 0x1.8p23f) - 0x1.8p23f); }
F times_power_of_two(F x, F k) {
  // NaN has no integer; any exponent serves, since the caller replaces the result.
  const int whole = not_a_number(k) ? 0 : static_cast<int>(k.v), half = whole >> 1;
  return F(x.v * numerics::power_of_two(half) * numerics::power_of_two(whole - half));
}
F split_power_of_two(F x, F& k) {
  const int32_t biased = static_cast<int32_t>(bits_of(x.v) - bits_of(numerics::kRootHalf));
  const int32_t exponent = biased >> 23;
  k = F(static_cast<float>(exponent));
  return F(float_of(bits_of(x.v) - (static_cast<uint32_t>(exponent) << 23)));
}

#define PRESIL_INLINE inline
using namespace numerics;
#include "numerics/activation_formulas.inc"
#undef PRESIL_INLINE

using Function = F (*)(F x, F alpha);
template <size_t... f>
constexpr std::array<Function, sizeof...(f)> functions(std::index_sequence<f...>) {
  return {&apply<static_cast<Activation>(f), F>...};
}

}  // namespace one
}  // namespace

std::string_view activation_name(Activation f) { return kNames[static_cast<size_t>(f)]; }
std::optional<Activation> activation_from_name(std::string_view name) {
  return numerics::enum_from_name<Activation>(kNames, name);
}

float activation_apply(Activation f, float x, float alpha) {
  CHECK(!is_custom(f), "a custom function is a table of its program");
  static constexpr auto table = one::functions(std::make_index_sequence<kActivationCount>());
  return table[static_cast<size_t>(f)](one::F(x), one::F(alpha)).v;
}

int activation_table(Activation f) {
  constexpr int kFirstCustom = 16;
  if (is_custom(f)) return kFirstCustom + static_cast<int>(custom_slot(f));
  switch (f) {
    case Activation::copy:
    case Activation::square:
    case Activation::abs:
    case Activation::sign:
    case Activation::relu:
    case Activation::leaky_relu:
      return 0;
    case Activation::exp:
    case Activation::sigmoid:
    case Activation::tanh:
    case Activation::silu:
      return 1;
    case Activation::log:
    case Activation::softplus:
    case Activation::mish:
      return 2;
    case Activation::sqrt:
    case Activation::rsqrt:
    case Activation::reciprocal:
      return 3;
    case Activation::erf:
    case Activation::gelu:
    case Activation::gelu_apprx_tanh:
      return 4;
    case Activation::sin:
    case Activation::arctan:
      return 5;
    case Activation::gelu_apprx_sigmoid:
    case Activation::gelu_apprx_sigmoid_dx:
    case Activation::silu_dx:
      return 6;
    case Activation::gelu_dx:
    case Activation::erf_dx:
      return 7;
    default:
      break;
  }
  CHECK(false, "unknown activation");
}

}  // namespace presil
