#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "graph/evaluation.h"
#include "graph/shape.h"
#include "numerics/activation.h"
#include "numerics/alu.h"

namespace presil::graph {
namespace {

double table(Activation f, double x) { return activation_apply(f, static_cast<float>(x)); }

double float_mod(double a, double b) {
  double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

double hard_sigmoid(const Attributes& attrs, double x) { return std::clamp(attrs.alpha * x + attrs.beta, 0.0, 1.0); }

double apply_unary(const Attributes& attrs, double x) {
  switch (attrs.fn) {
    case ElementwiseFn::identity:
      return x;
    case ElementwiseFn::neg:
      return -x;
    case ElementwiseFn::abs:
      return std::abs(x);
    case ElementwiseFn::sign:
      return x > 0 ? 1 : x < 0 ? -1 : x;
    case ElementwiseFn::exp:
      return table(Activation::exp, x);
    case ElementwiseFn::log:
      return table(Activation::log, x);
    case ElementwiseFn::sqrt:
      return std::sqrt(x);
    case ElementwiseFn::rsqrt:
      return 1 / std::sqrt(x);
    case ElementwiseFn::reciprocal:
      return 1 / x;
    case ElementwiseFn::square:
      return x * x;
    case ElementwiseFn::sigmoid:
      return table(Activation::sigmoid, x);
    case ElementwiseFn::tanh:
      return table(Activation::tanh, x);
    case ElementwiseFn::erf:
      return table(Activation::erf, x);
    case ElementwiseFn::gelu:
      return table(Activation::gelu, x);
    case ElementwiseFn::gelu_tanh:
      return table(Activation::gelu_apprx_tanh, x);
    case ElementwiseFn::silu:
      return table(Activation::silu, x);
    case ElementwiseFn::softplus:
      return table(Activation::softplus, x);
    case ElementwiseFn::mish:
      return table(Activation::mish, x);
    case ElementwiseFn::relu:
      return x > 0 ? x : x != x ? x : 0;
    case ElementwiseFn::leaky_relu:
      return x < 0 ? attrs.alpha * x : x;
    case ElementwiseFn::hard_sigmoid:
      return hard_sigmoid(attrs, x);
    case ElementwiseFn::hard_swish:
      return x * hard_sigmoid(attrs, x);
    case ElementwiseFn::elu:
      return x < 0 ? attrs.alpha * (table(Activation::exp, x) - 1) : x;
    case ElementwiseFn::floor:
      return std::floor(x);
    case ElementwiseFn::ceil:
      return std::ceil(x);
    case ElementwiseFn::trunc:
      return std::trunc(x);
    case ElementwiseFn::round:
      return std::nearbyint(x);
    case ElementwiseFn::saturate:
      return std::clamp<double>(x == x ? std::nearbyint(x) : 0, attrs.alpha, attrs.beta);
    case ElementwiseFn::sin:
      return table(Activation::sin, x);
    case ElementwiseFn::cos:
      return table(Activation::sin, x + std::numbers::pi / 2);
    case ElementwiseFn::clip:
      return std::min<double>(std::max<double>(x, attrs.alpha), attrs.beta);
    default:
      CHECK(false, "not a unary float function");
      return 0;
  }
}

double apply_binary(ElementwiseFn fn, double a, double b) {
  switch (fn) {
    case ElementwiseFn::add:
      return a + b;
    case ElementwiseFn::sub:
      return a - b;
    case ElementwiseFn::mul:
      return a * b;
    case ElementwiseFn::div:
      return a / b;
    case ElementwiseFn::pow:
      return alu_apply(AluOp::power, static_cast<float>(a), static_cast<float>(b));
    case ElementwiseFn::max:
      return std::max(a, b);
    case ElementwiseFn::min:
      return std::min(a, b);
    case ElementwiseFn::mod:
      return float_mod(a, b);
    default:
      CHECK(false, "not a binary float function");
      return 0;
  }
}

int64_t integer_power(int64_t base, int64_t exponent) {
  uint64_t result = 1;
  for (uint64_t square = static_cast<uint64_t>(base); exponent > 0; exponent >>= 1, square *= square) {
    if (exponent & 1) result *= square;
  }
  return static_cast<int64_t>(result);
}

// Wrapping arithmetic, as the shapes' own int64 has it; nothing for functions without an integer form.
std::optional<int64_t> apply_integer(const Attributes& attrs, int64_t a, int64_t b) {
  uint64_t ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  switch (attrs.fn) {
    case ElementwiseFn::identity:
      return a;
    case ElementwiseFn::neg:
      return static_cast<int64_t>(0 - ua);
    case ElementwiseFn::abs:
      return a < 0 ? static_cast<int64_t>(0 - ua) : a;
    case ElementwiseFn::sign:
      return (a > 0) - (a < 0);
    case ElementwiseFn::square:
      return static_cast<int64_t>(ua * ua);
    case ElementwiseFn::relu:
      return std::max<int64_t>(a, 0);
    case ElementwiseFn::logical_not:
      return a == 0;
    case ElementwiseFn::clip:
      return static_cast<int64_t>(std::min<double>(std::max<double>(a, attrs.alpha), attrs.beta));
    case ElementwiseFn::add:
      return static_cast<int64_t>(ua + ub);
    case ElementwiseFn::sub:
      return static_cast<int64_t>(ua - ub);
    case ElementwiseFn::mul:
      return static_cast<int64_t>(ua * ub);
    case ElementwiseFn::div:
      return b == -1 ? static_cast<int64_t>(0 - ua) : a / b;
    case ElementwiseFn::mod:
      return b == -1 ? 0 : (a % b != 0 && (a < 0) != (b < 0) ? a % b + b : a % b);
    case ElementwiseFn::pow:
      return b < 0 ? std::nullopt : std::optional(integer_power(a, b));
    case ElementwiseFn::max:
      return std::max(a, b);
    case ElementwiseFn::min:
      return std::min(a, b);
    case ElementwiseFn::logical_and:
      return a != 0 && b != 0;
    case ElementwiseFn::logical_or:
      return a != 0 || b != 0;
    case ElementwiseFn::logical_xor:
      return (a != 0) != (b != 0);
    default:
      return std::nullopt;
  }
}

template <class T>
bool compare(ElementwiseFn fn, T a, T b) {
  switch (fn) {
    case ElementwiseFn::equal:
      return a == b;
    case ElementwiseFn::greater:
      return a > b;
    case ElementwiseFn::greater_equal:
      return a >= b;
    case ElementwiseFn::less:
      return a < b;
    case ElementwiseFn::less_equal:
      return a <= b;
    default:
      CHECK(false, "not a comparison");
      return false;
  }
}

// Calls visit(output index, operand offsets) for every element of the broadcast.
template <class Visit>
void for_each_broadcast(const Evaluation& e, Visit visit) {
  const Shape& shape = e.out().shape;
  size_t operands = e.node.inputs.size();
  std::array<Shape, 3> strides;
  for (size_t i = 0; i < operands; ++i) {
    Shape dense = row_major_strides(e.in(i).shape);
    strides[i].assign(shape.size(), 0);
    size_t missing = shape.size() - dense.size();
    for (size_t d = 0; d < dense.size(); ++d) strides[i][d + missing] = e.in(i).shape[d] == 1 ? 0 : dense[d];
  }
  Shape index(shape.size(), 0);
  std::array<int64_t, 3> at{0, 0, 0};
  for (int64_t i = 0, count = element_count(shape); i < count; ++i) {
    visit(i, at);
    for (size_t d = shape.size(); d-- > 0;) {
      ++index[d];
      for (size_t k = 0; k < operands; ++k) at[k] += strides[k][d];
      if (index[d] < shape[d]) break;
      for (size_t k = 0; k < operands; ++k) at[k] -= strides[k][d] * shape[d];
      index[d] = 0;
    }
  }
}

template <class T>
ByteVector evaluate_where(const Evaluation& e, const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<int64_t> condition = e.integers(0);
  std::vector<T> y(element_count(e.out().shape));
  for_each_broadcast(e, [&](int64_t i, const auto& at) { y[i] = condition[at[0]] ? a[at[1]] : b[at[2]]; });
  return e.store(std::span<const T>(y));
}

template <class T>
ByteVector evaluate_comparison(const Evaluation& e, const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<int64_t> y(element_count(e.out().shape));
  for_each_broadcast(e, [&](int64_t i, const auto& at) { y[i] = compare(e.attrs().fn, a[at[0]], b[at[1]]); });
  return e.store(std::span<const int64_t>(y));
}

ByteVector evaluate_float(const Evaluation& e) {
  std::vector<double> a = e.floats(0), y(element_count(e.out().shape));
  if (elementwise_arity(e.attrs().fn) == 1) {
    for (size_t i = 0; i < y.size(); ++i) y[i] = apply_unary(e.attrs(), a[i]);
    return e.store(std::span<const double>(y));
  }
  std::vector<double> b = e.floats(1);
  for_each_broadcast(e, [&](int64_t i, const auto& at) { y[i] = apply_binary(e.attrs().fn, a[at[0]], b[at[1]]); });
  return e.store(std::span<const double>(y));
}

Result<ByteVector> evaluate_integer(const Evaluation& e) {
  ElementwiseFn fn = e.attrs().fn;
  bool binary = elementwise_arity(fn) == 2;
  std::vector<int64_t> a = e.integers(0), b = binary ? e.integers(1) : std::vector<int64_t>{1};
  if ((fn == ElementwiseFn::div || fn == ElementwiseFn::mod) && std::ranges::count(b, 0) > 0) {
    return e.error(fmt::format("{}: integer division by zero", elementwise_name(fn)));
  }
  std::vector<int64_t> y(element_count(e.out().shape));
  bool defined = true;
  for_each_broadcast(e, [&](int64_t i, const auto& at) {
    std::optional<int64_t> value = apply_integer(e.attrs(), a[at[0]], b[binary ? at[1] : 0]);
    defined &= value.has_value();
    y[i] = value.value_or(0);
  });
  if (!defined) {
    return unsupported(fmt::format("{} of {} is not defined", elementwise_name(fn), dtype_name(e.in(0).dtype)),
                       e.node.source);
  }
  return e.store(std::span<const int64_t>(y));
}

}  // namespace

Result<ByteVector> evaluate_elementwise(const Evaluation& e) {
  ElementwiseFn fn = e.attrs().fn;
  bool floats = is_float(e.in(fn == ElementwiseFn::where ? 1 : 0).dtype);
  if (fn == ElementwiseFn::where) {
    return floats ? evaluate_where(e, e.floats(1), e.floats(2)) : evaluate_where(e, e.integers(1), e.integers(2));
  }
  if (fn >= ElementwiseFn::equal && fn <= ElementwiseFn::less_equal) {
    return floats ? evaluate_comparison(e, e.floats(0), e.floats(1))
                  : evaluate_comparison(e, e.integers(0), e.integers(1));
  }
  return floats ? Result<ByteVector>(evaluate_float(e)) : evaluate_integer(e);
}

Result<ByteVector> evaluate_cast(const Evaluation& e) {
  bool from_float = is_float(e.in(0).dtype), to_float = is_float(e.out().dtype);
  if (from_float && to_float) return e.store(std::span<const double>(e.floats(0)));
  if (!from_float && !to_float) {
    std::vector<int64_t> x = e.integers(0);
    if (e.out().dtype == DType::boolean) std::ranges::transform(x, x.begin(), [](int64_t v) { return v != 0; });
    return e.store(std::span<const int64_t>(x));
  }
  if (to_float) {
    std::vector<int64_t> x = e.integers(0);
    return e.store(std::span<const double>(std::vector<double>(x.begin(), x.end())));
  }
  std::vector<double> x = e.floats(0);
  std::vector<int64_t> y(x.size());
  bool boolean = e.out().dtype == DType::boolean;
  for (size_t i = 0; i < x.size(); ++i) {
    // Beyond int64 the result is that of the widest value; NaN becomes zero.
    double whole = x[i] == x[i] ? std::clamp(std::trunc(x[i]), -0x1p63, 0x1.fffffffffffffp62) : 0;
    y[i] = boolean ? x[i] != 0 : static_cast<int64_t>(whole);
  }
  return e.store(std::span<const int64_t>(y));
}

}  // namespace presil::graph
