#include "kernels/micro.h"

#include <algorithm>
#include <cmath>

namespace presil::kernels {
namespace {

using graph::ElementwiseFn;

class Expander {
 public:
  Expander(const Expression& expression, const std::vector<InputKind>& kinds)
      : expression_(expression), kinds_(kinds) {}

  Result<std::vector<Micro>> run() {
    for (const ExpressionStep& step : expression_.steps) results_.push_back(TRY(expand_step(step)));
    // The output is the last micro's result: a step may have resolved to an earlier value (x to the power 1).
    uint32_t last = expression_.inputs + static_cast<uint32_t>(micros_.size()) - 1;
    // A conversion needs a place of its own type before the output.
    if (micros_.empty() || results_.back() != last || micros_.back().kind == Micro::Kind::convert)
      activation(Activation::copy, results_.back());
    return std::move(micros_);
  }

 private:
  uint32_t push(Micro micro) {
    micros_.push_back(micro);
    return expression_.inputs + static_cast<uint32_t>(micros_.size()) - 1;
  }
  uint32_t activation(Activation f, uint32_t a, float alpha = 0) {
    return push({.kind = Micro::Kind::activation, .function = f, .alpha = alpha, .a = a});
  }
  uint32_t scalar(AluOp op, uint32_t a, float s, bool reverse = false) {
    return push({.kind = Micro::Kind::scalar, .op = op, .scalar = {s, std::nullopt}, .reverse = reverse, .a = a});
  }
  uint32_t tensor(AluOp op, uint32_t a, uint32_t b) {
    return push({.kind = Micro::Kind::tensor, .op = op, .a = a, .b = b});
  }

  bool is_column(const Argument& x) const {
    return x.kind == Argument::Kind::value && x.value < expression_.inputs && kinds_[x.value] == InputKind::column;
  }
  uint32_t resolve(uint32_t value) const {
    return value < expression_.inputs ? value : results_[value - expression_.inputs];
  }
  bool is_tensor(const Argument& x) const { return x.kind == Argument::Kind::value && !is_column(x); }
  ScalarOperand scalar_of(const Argument& x) const {
    return x.kind == Argument::Kind::number ? ScalarOperand{x.number, std::nullopt} : ScalarOperand{0, x.value};
  }
  uint32_t full(const Argument& x) const {
    CHECK(x.kind == Argument::Kind::value, "a full operand is a value");
    return resolve(x.value);
  }

  Result<uint32_t> binary(AluOp op, const Argument& x, const Argument& y) {
    if (is_tensor(x) && is_tensor(y)) return tensor(op, full(x), full(y));
    // Of two scalar operands (an output of one element per partition), a column serves as the tensor.
    bool reverse = is_tensor(x) ? false : is_tensor(y) || x.kind != Argument::Kind::value;
    const Argument& t = reverse ? y : x;
    const Argument& s = reverse ? x : y;
    if (t.kind != Argument::Kind::value) return bad_input("an element-wise operation on two constants was not folded");
    return push({.kind = Micro::Kind::scalar, .op = op, .scalar = scalar_of(s), .reverse = reverse, .a = full(t)});
  }

  Result<uint32_t> divide(const Argument& x, const Argument& y) {
    if (y.kind == Argument::Kind::number) return binary(AluOp::multiply, x, number_argument(1.0f / y.number));
    uint32_t r = push({.kind = Micro::Kind::reciprocal, .a = full(y)});
    if (x.kind == Argument::Kind::number) return x.number == 1.0f ? r : scalar(AluOp::multiply, r, x.number);
    if (is_column(x)) return push({.kind = Micro::Kind::scalar, .op = AluOp::multiply, .scalar = scalar_of(x), .a = r});
    return tensor(AluOp::multiply, full(x), r);
  }

  Result<uint32_t> power(const Argument& x, const Argument& y) {
    if (y.kind == Argument::Kind::number && x.kind == Argument::Kind::value) {
      if (y.number == 1.0f) return full(x);
      if (y.number == 2.0f) return activation(Activation::square, full(x));
      if (y.number == 0.5f) return activation(Activation::sqrt, full(x));
      if (y.number == -0.5f) return activation(Activation::rsqrt, full(x));
      if (y.number == -1.0f) return push({.kind = Micro::Kind::reciprocal, .a = full(x)});
      if (y.number == 3.0f) return tensor(AluOp::multiply, activation(Activation::square, full(x)), full(x));
    }
    return binary(AluOp::power, x, y);
  }

  // Towards zero: the floor of the magnitude, with the sign.
  uint32_t truncated(uint32_t x) {
    return tensor(AluOp::multiply, floor_of(activation(Activation::abs, x)), activation(Activation::sign, x));
  }

  uint32_t floor_of(uint32_t x) {
    uint32_t r = push({.kind = Micro::Kind::round, .a = x});
    return tensor(AluOp::subtract, r, tensor(AluOp::gt, r, x));
  }

  Result<uint32_t> unary(const ExpressionStep& step) {
    uint32_t x = full(step.arguments[0]);
    switch (step.fn) {
      case ElementwiseFn::identity:
        return x;
      case ElementwiseFn::neg:
        return scalar(AluOp::multiply, x, -1.0f);
      case ElementwiseFn::abs:
        return activation(Activation::abs, x);
      case ElementwiseFn::sign:
        return activation(Activation::sign, x);
      case ElementwiseFn::exp:
        return activation(Activation::exp, x);
      case ElementwiseFn::log:
        return activation(Activation::log, x);
      case ElementwiseFn::sqrt:
        return activation(Activation::sqrt, x);
      case ElementwiseFn::rsqrt:
        return activation(Activation::rsqrt, x);
      case ElementwiseFn::reciprocal:
        return push({.kind = Micro::Kind::reciprocal, .a = x});
      case ElementwiseFn::square:
        return activation(Activation::square, x);
      case ElementwiseFn::sigmoid:
        return activation(Activation::sigmoid, x);
      case ElementwiseFn::tanh:
        return activation(Activation::tanh, x);
      case ElementwiseFn::erf:
        return activation(Activation::erf, x);
      case ElementwiseFn::gelu:
        return activation(Activation::gelu, x);
      case ElementwiseFn::gelu_tanh:
        return activation(Activation::gelu_apprx_tanh, x);
      case ElementwiseFn::silu:
        return activation(Activation::silu, x);
      case ElementwiseFn::softplus:
        return activation(Activation::softplus, x);
      case ElementwiseFn::mish:
        return activation(Activation::mish, x);
      case ElementwiseFn::sin:
        return activation(Activation::sin, x);
      case ElementwiseFn::relu:
        return activation(Activation::relu, x);
      case ElementwiseFn::leaky_relu:
        return activation(Activation::leaky_relu, x, step.alpha);
      case ElementwiseFn::hard_sigmoid:
        return clip(scalar(AluOp::add, scalar(AluOp::multiply, x, step.alpha), step.beta), 0, 1);
      case ElementwiseFn::hard_swish:
        return tensor(AluOp::multiply,
                      clip(scalar(AluOp::add, scalar(AluOp::multiply, x, step.alpha), step.beta), 0, 1), x);
      case ElementwiseFn::clip:
        return clip(x, step.alpha, step.beta);
      case ElementwiseFn::elu: {
        uint32_t negative = scalar(AluOp::add, activation(Activation::exp, scalar(AluOp::min, x, 0.0f)), -1.0f);
        return tensor(AluOp::add, scalar(AluOp::multiply, negative, step.alpha), activation(Activation::relu, x));
      }
      case ElementwiseFn::round:
        return push({.kind = Micro::Kind::round, .a = x});
      case ElementwiseFn::saturate:
        return saturate(x, step.alpha, step.beta);
      case ElementwiseFn::floor:
        return floor_of(x);
      case ElementwiseFn::trunc: {
        uint32_t magnitude = floor_of(activation(Activation::abs, x));
        return tensor(AluOp::multiply, magnitude, activation(Activation::sign, x));
      }
      case ElementwiseFn::ceil:
        return scalar(AluOp::multiply, floor_of(scalar(AluOp::multiply, x, -1.0f)), -1.0f);
      case ElementwiseFn::logical_not:
        return scalar(AluOp::eq, x, 0.0f);
      default:
        return unsupported("no engine computes this function", std::string(graph::elementwise_name(step.fn)));
    }
  }

  uint32_t clip(uint32_t x, float low, float high) {
    if (low > -INFINITY) x = scalar(AluOp::max, x, low);
    if (high < INFINITY) x = scalar(AluOp::min, x, high);
    return x;
  }

  // The narrowest integer type that holds the limits rounds and saturates; what it has beyond them is clipped.
  uint32_t saturate(uint32_t x, float low, float high) {
    struct Type {
      DType dtype;
      float low, high;
    };
    static constexpr Type kTypes[] = {{DType::uint8, 0, 255},
                                      {DType::int8, -128, 127},
                                      {DType::uint16, 0, 65535},
                                      {DType::int16, -32768, 32767},
                                      {DType::int32, -0x1p31f, 0x1p31f}};
    for (const Type& t : kTypes) {
      if (low < t.low || high > t.high) continue;
      uint32_t r = push({.kind = Micro::Kind::convert, .integer = t.dtype, .a = x});
      return clip(r, low > t.low ? low : -INFINITY, high < t.high ? high : INFINITY);
    }
    return clip(push({.kind = Micro::Kind::round, .a = x}), low, high);
  }

  Result<uint32_t> expand_step(const ExpressionStep& step) {
    const Argument& x = step.arguments[0];
    const Argument& y = step.arguments[1];
    if (step.cast == ExpressionStep::Cast::truncate) return truncated(full(x));
    if (step.cast == ExpressionStep::Cast::boolean) return scalar(AluOp::ne, full(x), 0.0f);
    switch (step.fn) {
      case ElementwiseFn::add:
        return binary(AluOp::add, x, y);
      case ElementwiseFn::sub:
        return binary(AluOp::subtract, x, y);
      case ElementwiseFn::mul:
        return binary(AluOp::multiply, x, y);
      case ElementwiseFn::div:
        return divide(x, y);
      case ElementwiseFn::pow:
        return power(x, y);
      case ElementwiseFn::max:
        return binary(AluOp::max, x, y);
      case ElementwiseFn::min:
        return binary(AluOp::min, x, y);
      case ElementwiseFn::equal:
        return binary(AluOp::eq, x, y);
      case ElementwiseFn::greater:
        return binary(AluOp::gt, x, y);
      case ElementwiseFn::greater_equal:
        return binary(AluOp::ge, x, y);
      case ElementwiseFn::less:
        return binary(AluOp::lt, x, y);
      case ElementwiseFn::less_equal:
        return binary(AluOp::le, x, y);
      case ElementwiseFn::logical_and:
        return binary(AluOp::logical_and, x, y);
      case ElementwiseFn::logical_or:
        return binary(AluOp::logical_or, x, y);
      case ElementwiseFn::logical_xor:
        return binary(AluOp::logical_xor, x, y);
      case ElementwiseFn::where:
        return where(step);
      default:
        return unary(step);
    }
  }

  Result<uint32_t> where(const ExpressionStep& step) {
    const Argument& mask = step.arguments[0];
    auto tensor_or_number = [&](const Argument& v) -> uint32_t {
      if (v.kind == Argument::Kind::value) return resolve(v.value);
      // A number spread over the mask's shape: mask * 0 + number.
      return scalar(AluOp::add, scalar(AluOp::multiply, full(mask), 0.0f), v.number);
    };
    uint32_t c = tensor_or_number(step.arguments[1]);
    uint32_t b = tensor_or_number(step.arguments[2]);
    return push({.kind = Micro::Kind::predicate, .a = full(mask), .b = b, .c = c});
  }

  const Expression& expression_;
  const std::vector<InputKind>& kinds_;
  std::vector<Micro> micros_;
  std::vector<uint32_t> results_;
};

bool commutes(AluOp op) {
  return op == AluOp::add || op == AluOp::multiply || op == AluOp::max || op == AluOp::min || op == AluOp::eq ||
         op == AluOp::ne || op == AluOp::logical_and || op == AluOp::logical_or || op == AluOp::logical_xor;
}

class Fuser {
 public:
  Fuser(const std::vector<Micro>& micros, uint32_t inputs)
      : micros_(micros), inputs_(inputs), users_(micros.size() + inputs) {
    for (uint32_t i = 0; i < micros.size(); ++i) {
      for (uint32_t v : values_of(micros[i])) users_[v].push_back(i);
    }
    taken_.assign(micros.size(), false);
  }

  std::vector<Fused> run() {
    for (uint32_t i = 0; i < micros_.size(); ++i) {
      if (!taken_[i]) start(i);
    }
    // A merged instruction may read a value made by a micro that stands after its first one: order by result.
    std::stable_sort(out_.begin(), out_.end(), [](const Fused& x, const Fused& y) { return x.result < y.result; });
    return std::move(out_);
  }

 private:
  static std::vector<uint32_t> values_of(const Micro& m) {
    switch (m.kind) {
      case Micro::Kind::tensor:
        return {m.a, m.b};
      case Micro::Kind::predicate:
        return {m.a, m.b, m.c};
      default:
        return {m.a};
    }
  }
  uint32_t result(uint32_t i) const { return inputs_ + i; }
  // The one micro that uses micro i's result, if there is exactly one and it uses it once.
  const Micro* next(uint32_t i, uint32_t* index) const {
    const auto& u = users_[result(i)];
    if (u.size() != 1 || taken_[u[0]]) return nullptr;
    *index = u[0];
    return &micros_[u[0]];
  }
  bool multiplies(const Micro& m) const { return m.kind == Micro::Kind::scalar && m.op == AluOp::multiply; }
  bool adds(const Micro& m) const { return m.kind == Micro::Kind::scalar && m.op == AluOp::add; }

  void start(uint32_t i) {
    taken_[i] = true;
    const Micro& m = micros_[i];
    Fused f;
    f.a = m.a, f.b = m.b, f.c = m.c, f.result = result(i), f.alpha = m.alpha;
    switch (m.kind) {
      case Micro::Kind::activation:
        f.kind = Fused::Kind::activation, f.function = m.function;
        f.affine = m.function == Activation::copy;
        break;
      case Micro::Kind::tensor:
        f.kind = Fused::Kind::tensor_tensor, f.op0 = m.op;
        break;
      case Micro::Kind::reciprocal:
        f.kind = Fused::Kind::reciprocal;
        break;
      case Micro::Kind::predicate:
        f.kind = Fused::Kind::predicate;
        break;
      case Micro::Kind::round:
        f.kind = Fused::Kind::round;
        break;
      case Micro::Kind::convert:
        f.kind = Fused::Kind::activation, f.affine = true, f.integer = m.integer;
        break;
      case Micro::Kind::scalar:
        start_scalar(i, f);
        break;
    }
    if (m.kind != Micro::Kind::round && m.kind != Micro::Kind::predicate) take_convert(f);
    out_.push_back(f);
  }

  // An instruction whose result is only converted stores it as the integer type itself.
  void take_convert(Fused& f) {
    uint32_t j = 0;
    const Micro* u = f.integer ? nullptr : next(f.result - inputs_, &j);
    if (u == nullptr || u->kind != Micro::Kind::convert) return;
    taken_[j] = true;
    f.integer = u->integer, f.result = result(j);
  }

  // [mul] [add] activation, else two scalars, else scalar then tensor, else one scalar.
  void start_scalar(uint32_t i, Fused& f) {
    const Micro& m = micros_[i];
    if (into_activation(i, f)) return;
    f.op0 = m.op, f.s0 = m.scalar, f.reverse0 = m.reverse;
    f.kind = Fused::Kind::tensor_scalar;
    f.affine = multiplies(m) || adds(m);
    uint32_t j = 0;
    const Micro* u = next(i, &j);
    if (u == nullptr) return;
    if (u->kind == Micro::Kind::scalar && !starts_activation(j)) {
      taken_[j] = true;
      f.op1 = u->op, f.s1 = u->scalar, f.reverse1 = u->reverse, f.result = result(j);
      f.affine = multiplies(m) && adds(*u);
    } else if (u->kind == Micro::Kind::tensor && u->a != u->b) {
      bool first = u->a == result(i);
      taken_[j] = true;
      f.kind = Fused::Kind::scalar_tensor_tensor, f.affine = false;
      f.op1 = u->op, f.b = first ? u->b : u->a, f.result = result(j);
      f.reverse1 = !first && !commutes(u->op);
    }
  }

  bool is_table(const Micro& m) const { return m.kind == Micro::Kind::activation && m.function != Activation::copy; }
  // Whether micro j alone or with its successor becomes an activation's scale and bias.
  bool starts_activation(uint32_t j) const {
    const Micro& m = micros_[j];
    uint32_t k = 0, l = 0;
    const Micro* u = next(j, &k);
    if (u == nullptr || !(multiplies(m) || adds(m))) return false;
    if (is_table(*u)) return true;
    return multiplies(m) && adds(*u) && next(k, &l) != nullptr && is_table(micros_[l]);
  }
  bool into_activation(uint32_t i, Fused& f) {
    if (!starts_activation(i)) return false;
    const Micro* m = &micros_[i];
    f.kind = Fused::Kind::activation;
    uint32_t at = i;
    if (multiplies(*m)) {
      f.scale = m->scalar;
      m = next(at, &at);
      taken_[at] = true;
    }
    if (adds(*m)) {
      f.bias = m->scalar;
      m = next(at, &at);
      taken_[at] = true;
    }
    f.function = m->function, f.alpha = m->alpha, f.result = result(at);
    return true;
  }

  const std::vector<Micro>& micros_;
  uint32_t inputs_;
  std::vector<std::vector<uint32_t>> users_;
  std::vector<bool> taken_;
  std::vector<Fused> out_;
};

}  // namespace

Result<std::vector<Micro>> expand(const Expression& expression, const std::vector<InputKind>& kinds) {
  return Expander(expression, kinds).run();
}

std::vector<Fused> fuse(const std::vector<Micro>& micros, uint32_t inputs) { return Fuser(micros, inputs).run(); }

}  // namespace presil::kernels
