// How element-wise chains become instructions: what is merged, and that nothing is lost by it.
#include "kernels/micro.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/prng.h"

namespace presil::kernels {
namespace {

using graph::ElementwiseFn;

ExpressionStep step(ElementwiseFn fn, Argument a, Argument b = {}, Argument c = {}) {
  return {.fn = fn, .arguments = {a, b, c}};
}

std::vector<Fused> lowered(const Expression& e, std::vector<InputKind> kinds = {}) {
  if (kinds.empty()) kinds.assign(e.inputs, InputKind::full);
  return fuse(expand(e, kinds).value(), e.inputs);
}

// x * clip(x + 3, 0, 6) / 6, then a learnable scale and shift, as exported for text detection networks.
Expression hard_swish_chain() {
  Expression e{1, {}};
  e.steps = {step(ElementwiseFn::add, value_argument(0), number_argument(3)),
             {.fn = ElementwiseFn::clip, .alpha = 0, .beta = 6, .arguments = {value_argument(1)}},
             step(ElementwiseFn::mul, value_argument(0), value_argument(2)),
             step(ElementwiseFn::div, value_argument(3), number_argument(6)),
             step(ElementwiseFn::mul, number_argument(0.7f), value_argument(4)),
             step(ElementwiseFn::add, value_argument(5), number_argument(-0.25f))};
  return e;
}

TEST(Micro, HardSwishWithScaleAndShiftTakesFourInstructions) {
  std::vector<Fused> f = lowered(hard_swish_chain());
  ASSERT_EQ(f.size(), 4u);
  EXPECT_EQ(f[0].kind, Fused::Kind::tensor_scalar);  // max(x + 3, 0)
  EXPECT_EQ(f[0].op0, AluOp::add);
  EXPECT_EQ(f[0].op1, AluOp::max);
  EXPECT_EQ(f[1].kind, Fused::Kind::scalar_tensor_tensor);  // min(., 6) * x
  EXPECT_EQ(f[1].op0, AluOp::min);
  EXPECT_EQ(f[1].op1, AluOp::multiply);
  EXPECT_EQ(f[2].kind, Fused::Kind::tensor_scalar);
  EXPECT_EQ(f[3].op0, AluOp::add);
}

TEST(Micro, QuantizingStoresAnIntegerTypeOnItsWay) {
  Expression e{2,
               {step(ElementwiseFn::mul, value_argument(0), value_argument(1)),
                {.fn = ElementwiseFn::saturate, .alpha = 0, .beta = 255, .arguments = {value_argument(2)}}}};
  std::vector<Fused> f = lowered(e, {InputKind::full, InputKind::column});
  ASSERT_EQ(f.size(), 2u);  // x * scale as uint8, which either engine does; a copy of it
  EXPECT_EQ(f[0].op0, AluOp::multiply);
  EXPECT_EQ(f[0].integer, DType::uint8);
  EXPECT_TRUE(f[0].affine);
  EXPECT_TRUE(f[1].affine);
  EXPECT_EQ(f[1].integer, std::nullopt);
}

TEST(Micro, LimitsInsideAnIntegerTypeAreClipped) {
  Expression e{1, {{.fn = ElementwiseFn::saturate, .alpha = -130, .beta = 125, .arguments = {value_argument(0)}}}};
  std::vector<Fused> f = lowered(e);
  ASSERT_EQ(f.size(), 2u);
  EXPECT_EQ(f[0].integer, DType::int16);
  EXPECT_EQ(f[1].op0, AluOp::max);
  EXPECT_EQ(f[1].op1, AluOp::min);
}

TEST(Micro, ScaleAndShiftBeforeATableGoIntoTheActivation) {
  Expression e{1,
               {step(ElementwiseFn::mul, value_argument(0), number_argument(2)),
                step(ElementwiseFn::add, value_argument(1), number_argument(1)),
                step(ElementwiseFn::sigmoid, value_argument(2))}};
  std::vector<Fused> f = lowered(e);
  ASSERT_EQ(f.size(), 1u);
  EXPECT_EQ(f[0].kind, Fused::Kind::activation);
  EXPECT_EQ(f[0].function, Activation::sigmoid);
  EXPECT_EQ(f[0].scale.number, 2);
  EXPECT_EQ(f[0].bias.number, 1);
}

TEST(Micro, AValueUsedTwiceIsNotMergedAway) {
  Expression e{1,
               {step(ElementwiseFn::add, value_argument(0), number_argument(1)),
                step(ElementwiseFn::mul, value_argument(1), value_argument(1))}};
  std::vector<Fused> f = lowered(e);
  ASSERT_EQ(f.size(), 2u);
  EXPECT_EQ(f[1].kind, Fused::Kind::tensor_tensor);
}

TEST(Micro, AColumnIsAScalarOperand) {
  Expression e{2, {step(ElementwiseFn::sub, value_argument(1), value_argument(0))}};
  std::vector<Fused> f = lowered(e, {InputKind::full, InputKind::column});
  ASSERT_EQ(f.size(), 1u);
  EXPECT_EQ(f[0].s0.column, 1u);
  EXPECT_TRUE(f[0].reverse0);
}

TEST(Micro, FunctionsThatNoEngineComputesAreNamed) {
  Expression e{1, {step(ElementwiseFn::cos, value_argument(0))}};
  auto result = expand(e, {InputKind::full});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().text(), "cos: no engine computes this function");
  EXPECT_EQ(result.error().code, ErrorCode::unsupported);
}

float scalar_of(const ScalarOperand& s, const std::vector<float>& inputs) {
  return s.column ? inputs[*s.column] : s.number;
}

// Fused instructions evaluated on one element.
float run(const std::vector<Fused>& program, const std::vector<float>& inputs) {
  std::map<uint32_t, float> v;
  for (uint32_t i = 0; i < inputs.size(); ++i) v[i] = inputs[i];
  auto apply = [&](AluOp op, float a, float s, bool reverse) {
    return reverse ? alu_apply(op, s, a) : alu_apply(op, a, s);
  };
  float last = 0;
  for (const Fused& f : program) {
    switch (f.kind) {
      case Fused::Kind::activation:
        last = activation_apply(f.function, std::fma(v.at(f.a), scalar_of(f.scale, inputs), scalar_of(f.bias, inputs)),
                                f.alpha);
        break;
      case Fused::Kind::tensor_scalar:
        last = apply(f.op0, v.at(f.a), scalar_of(f.s0, inputs), f.reverse0);
        if (f.op1 != AluOp::bypass) last = apply(f.op1, last, scalar_of(f.s1, inputs), f.reverse1);
        break;
      case Fused::Kind::scalar_tensor_tensor:
        last = apply(f.op1, apply(f.op0, v.at(f.a), scalar_of(f.s0, inputs), f.reverse0), v.at(f.b), f.reverse1);
        break;
      case Fused::Kind::tensor_tensor:
        last = alu_apply(f.op0, v.at(f.a), v.at(f.b));
        break;
      case Fused::Kind::reciprocal:
        last = 1.0f / v.at(f.a);
        break;
      case Fused::Kind::predicate:
        last = v.at(f.a) != 0 ? v.at(f.c) : v.at(f.b);
        break;
      case Fused::Kind::round:
        last = std::nearbyint(v.at(f.a));
        break;
    }
    v[f.result] = last;
  }
  return last;
}

float reference(const Expression& e, const std::vector<float>& inputs) {
  std::vector<float> v = inputs;
  for (const ExpressionStep& s : e.steps) {
    auto arg = [&](int i) {
      return s.arguments[i].kind == Argument::Kind::number ? s.arguments[i].number : v[s.arguments[i].value];
    };
    switch (s.fn) {
      case ElementwiseFn::add:
        v.push_back(arg(0) + arg(1));
        break;
      case ElementwiseFn::sub:
        v.push_back(arg(0) - arg(1));
        break;
      case ElementwiseFn::mul:
        v.push_back(arg(0) * arg(1));
        break;
      case ElementwiseFn::max:
        v.push_back(std::max(arg(0), arg(1)));
        break;
      case ElementwiseFn::relu:
        v.push_back(std::max(arg(0), 0.0f));
        break;
      case ElementwiseFn::sigmoid:
        v.push_back(1.0f / (1.0f + std::exp(-arg(0))));
        break;
      case ElementwiseFn::where:
        v.push_back(arg(0) != 0 ? arg(1) : arg(2));
        break;
      default:
        ADD_FAILURE();
    }
  }
  return v.back();
}

TEST(Micro, RandomExpressionsKeepTheirValueAndOrder) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Prng prng(seed);
    Expression e{2 + static_cast<uint32_t>(prng.below(2)), {}};
    std::vector<InputKind> kinds;
    for (uint32_t i = 0; i < e.inputs; ++i)
      kinds.push_back(i > 0 && prng.below(3) == 0 ? InputKind::column : InputKind::full);
    auto number_of_steps = 1 + prng.below(8);
    for (uint32_t s = 0; s < number_of_steps; ++s) {
      uint32_t values = e.inputs + s;
      // At least one operand is a full value, as the importer guarantees by folding.
      auto full = [&] {
        for (;;) {
          auto v = static_cast<uint32_t>(prng.below(values));
          if (v >= e.inputs || kinds[v] == InputKind::full) return value_argument(v);
        }
      };
      auto any = [&] {
        return prng.below(3) == 0 ? number_argument(static_cast<float>(prng.between(-4, 4)) * 0.5f)
                                  : value_argument(static_cast<uint32_t>(prng.below(values)));
      };
      const ElementwiseFn functions[] = {ElementwiseFn::add, ElementwiseFn::sub,  ElementwiseFn::mul,
                                         ElementwiseFn::max, ElementwiseFn::relu, ElementwiseFn::sigmoid};
      ElementwiseFn fn = functions[prng.below(6)];
      bool unary = fn == ElementwiseFn::relu || fn == ElementwiseFn::sigmoid;
      bool swap = prng.below(2) == 0;
      Argument a = full(), b = unary ? Argument{} : any();
      e.steps.push_back(unary ? step(fn, a) : swap ? step(fn, b, a) : step(fn, a, b));
    }
    std::vector<float> inputs;
    for (uint32_t i = 0; i < e.inputs; ++i) inputs.push_back(static_cast<float>(prng.between(-8, 8)) * 0.25f);
    std::vector<Fused> program = lowered(e, kinds);
    std::vector<bool> made(e.inputs + 64, false);
    for (uint32_t i = 0; i < e.inputs; ++i) made[i] = true;
    for (const Fused& f : program) {
      EXPECT_TRUE(made[f.a]) << "seed " << seed;
      made[f.result] = true;
    }
    float expected = reference(e, inputs), actual = run(program, inputs);
    EXPECT_NEAR(actual, expected, 1e-5f * std::max(1.0f, std::fabs(expected))) << "seed " << seed;
  }
}

}  // namespace
}  // namespace presil::kernels
