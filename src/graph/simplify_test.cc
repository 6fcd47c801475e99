// Graphs in, text out. Each pattern also runs on the interpreter before and after.
#include "graph/simplify.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "graph/builder.h"
#include "graph/interpret.h"

namespace presil::graph {
namespace {

constexpr ElementwiseFn kAdd = ElementwiseFn::add, kMul = ElementwiseFn::mul, kDiv = ElementwiseFn::div;

class Model {
 public:
  Builder b;
  Prng random{1};

  TensorId input(Shape shape) { return b.input("x", {DType::fp32, std::move(shape)}); }
  TensorId weight(Shape shape) {
    std::vector<double> values(element_count(shape));
    for (double& v : values) v = random.normal();
    return b.constant_floats(DType::fp32, std::move(shape), values);
  }
  TensorId conv(TensorId x, TensorId w, int64_t pad, int64_t group = 1) {
    Attributes a{.strides = {1, 1}, .dilations = {1, 1}, .pads = {pad, pad, pad, pad}, .group = group};
    return *b.add(Op::conv, {x, w}, a);
  }
  Graph finish(TensorId y) {
    Graph g = b.graph();
    g.outputs = {y};
    return g;
  }
};

std::vector<float> values_of(const HostTensor& t) {
  std::vector<double> wide = load_floats(t.dtype, t.bytes);
  return {wide.begin(), wide.end()};
}

std::vector<float> run(const Graph& g) {
  Prng random(9);
  std::vector<HostTensor> inputs;
  for (TensorId id : g.inputs) {
    std::vector<double> values(element_count(g.at(id).shape));
    for (double& v : values) v = 2 * random.normal();
    inputs.push_back({g.at(id).dtype, g.at(id).shape, store_floats(g.at(id).dtype, values)});
  }
  return values_of(interpret(g, inputs)->at(0));
}

// The histogram after simplification; checks that the graph stays sound and computes the same within fp32 rounding.
std::string simplified(const Graph& before) {
  Graph after = *simplify(before);
  for (const Finding& f : verify(after)) ADD_FAILURE() << f.where << ": " << f.message;
  EXPECT_EQ(after.at(after.outputs[0]).name, before.at(before.outputs[0]).name);
  std::vector<float> a = run(before), b = run(after);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5 * (1 + std::abs(a[i]))) << i;
  return op_histogram(after);
}

TEST(Simplify, BatchNormFoldsIntoConvolution) {
  for (int64_t group : {1, 2, 4}) {
    Model m;
    TensorId y = m.conv(m.input({2, 4, 5, 6}), m.weight({8, 4 / group, 3, 3}), 1, group);
    y = *m.b.binary(kMul, y, m.weight({8, 1, 1}));
    y = *m.b.binary(kAdd, m.weight({1, 8, 1, 1}), y);
    y = *m.b.binary(kDiv, y, 3.0);
    EXPECT_EQ(simplified(m.finish(*m.b.binary(ElementwiseFn::sub, y, 0.5))), "conv 1");
  }
}

TEST(Simplify, BatchNormFoldsIntoTransposedConvolution) {
  for (int64_t group : {1, 2}) {
    Model m;
    Attributes a{
        .strides = {2, 1}, .dilations = {1, 1}, .pads = {1, 0, 0, 1}, .output_padding = {1, 0}, .group = group};
    TensorId y = *m.b.add(Op::conv_transpose, {m.input({2, 4, 3, 4}), m.weight({4, 6 / group, 3, 2})}, a);
    y = *m.b.binary(kMul, y, m.weight({6, 1, 1}));
    EXPECT_EQ(simplified(m.finish(*m.b.binary(kAdd, y, m.weight({6, 1, 1})))), "conv_transpose 1");
  }
}

TEST(Simplify, FactorBeforeConvolutionFoldsButAddendOnlyWithoutPadding) {
  for (int64_t pad : {0, 1}) {
    Model m;
    TensorId x = *m.b.binary(kAdd, *m.b.unary(ElementwiseFn::tanh, m.input({1, 4, 5, 5})), m.weight({4, 1, 1}));
    EXPECT_EQ(simplified(m.finish(m.conv(x, m.weight({6, 2, 3, 3}), pad, 2))),
              pad == 0 ? "conv 1, elementwise.tanh 1" : "conv 1, elementwise.add 1, elementwise.tanh 1");
  }
  Model m;
  TensorId x = *m.b.binary(kMul, *m.b.unary(ElementwiseFn::tanh, m.input({1, 4, 5, 5})), m.weight({4, 1, 1}));
  EXPECT_EQ(simplified(m.finish(m.conv(x, m.weight({6, 2, 3, 3}), 1, 2))), "conv 1, elementwise.tanh 1");
}

TEST(Simplify, AffineAroundMatmul) {
  Model m;
  TensorId x = *m.b.binary(kMul, *m.b.unary(ElementwiseFn::tanh, m.input({2, 3, 4})), m.weight({4}));
  x = *m.b.binary(kAdd, x, m.weight({4}));
  TensorId y = *m.b.add(Op::matmul, {x, m.weight({4, 5})});
  y = *m.b.binary(kAdd, y, m.weight({5}));
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kMul, y, 0.25))), "elementwise.tanh 1, matmul 1");
}

TEST(Simplify, LinearNodesMergeWhereThatSavesWork) {
  auto pair_of = [](int64_t middle, int64_t kernel, int64_t pad, bool inner_bias) {
    Model m;
    TensorId y = m.conv(m.input({2, 4, 6, 5}), m.weight({middle, 4, 1, 1}), 0);
    if (inner_bias) y = *m.b.binary(kAdd, y, m.weight({middle, 1, 1}));
    y = m.conv(y, m.weight({3, middle, kernel, kernel}), pad);
    return simplified(m.finish(*m.b.binary(kAdd, y, m.weight({3, 1, 1}))));
  };
  EXPECT_EQ(pair_of(8, 1, 0, true), "conv 1");
  EXPECT_EQ(pair_of(8, 3, 1, false), "conv 1");
  EXPECT_EQ(pair_of(8, 3, 0, true), "conv 1");
  EXPECT_EQ(pair_of(8, 3, 1, true), "conv 2");  // the padding would see the first bias
  EXPECT_EQ(pair_of(1, 1, 0, true), "conv 2");  // a bottleneck is cheaper as it is
  Model m;
  TensorId y = *m.b.add(Op::matmul, {m.input({2, 3, 4}), m.weight({4, 9})});
  y = *m.b.binary(kAdd, y, m.weight({9}));
  EXPECT_EQ(simplified(m.finish(*m.b.add(Op::matmul, {y, m.weight({9, 5})}))), "matmul 1");
}

TEST(Simplify, KeepsWhatOthersRead) {
  Model m;
  TensorId y = m.conv(m.input({1, 2, 3, 3}), m.weight({2, 2, 1, 1}), 0);
  TensorId scaled = *m.b.binary(kMul, y, 2.0);
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kAdd, scaled, y))), "conv 1, elementwise.add 1, elementwise.mul 1");
}

TEST(Simplify, KeepsFactorsThatAreNotPerChannel) {
  Model m;
  TensorId y = m.conv(m.input({1, 3, 3, 3}), m.weight({3, 3, 1, 1}), 0);
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kMul, y, m.weight({3})))), "conv 1, elementwise.mul 1");
}

TEST(Simplify, HardSwishSpelledOut) {
  Model m;
  TensorId x = m.input({4, 50});
  TensorId gate = *m.b.unary(ElementwiseFn::clip, *m.b.binary(kAdd, x, 3.0), 0, 6);
  TensorId y = *m.b.binary(kDiv, *m.b.binary(kMul, x, gate), 6.0);
  EXPECT_EQ(simplified(m.finish(y)), "elementwise.hard_swish 1");
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kMul, *m.b.binary(kDiv, gate, 6.0), x))), "elementwise.hard_swish 1");
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kDiv, gate, 6.0))), "elementwise.hard_sigmoid 1");
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kDiv, gate, 5.0))),
            "elementwise.add 1, elementwise.clip 1, elementwise.div 1");
}

TEST(Simplify, SelfGatedFunctions) {
  Model m;
  TensorId x = m.input({4, 50});
  TensorId one = *m.b.binary(kMul, x, 1.0);
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kMul, x, *m.b.unary(ElementwiseFn::sigmoid, one)))), "elementwise.silu 1");
  TensorId soft = *m.b.unary(ElementwiseFn::tanh, *m.b.unary(ElementwiseFn::softplus, x));
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kMul, soft, x))), "elementwise.mish 1");
  TensorId erf = *m.b.unary(ElementwiseFn::erf, *m.b.binary(kDiv, x, 1.4142135381698608));
  TensorId sum = *m.b.binary(kAdd, erf, 1.0);
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kMul, *m.b.binary(kMul, x, sum), 0.5))), "elementwise.gelu 1");
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kMul, *m.b.binary(kMul, x, 0.5), sum))), "elementwise.gelu 1");
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kMul, x, *m.b.binary(kMul, sum, 0.5)))), "elementwise.gelu 1");
}

TEST(Simplify, PowersAndRoots) {
  Model m;
  TensorId x = *m.b.unary(ElementwiseFn::exp, m.input({30}));
  const std::pair<double, std::string> rows[] = {{2, "elementwise.exp 1, elementwise.square 1"},
                                                 {0.5, "elementwise.exp 1, elementwise.sqrt 1"},
                                                 {-0.5, "elementwise.exp 1, elementwise.rsqrt 1"},
                                                 {-1, "elementwise.exp 1, elementwise.reciprocal 1"},
                                                 {1, "elementwise.exp 1"},
                                                 {3, "elementwise.exp 1, elementwise.pow 1"}};
  for (const auto& [exponent, expected] : rows) {
    Graph g = m.finish(*m.b.binary(ElementwiseFn::pow, x, exponent));
    g.at(g.outputs[0]).name = "y";
    EXPECT_EQ(simplified(g), expected);
  }
  TensorId root = *m.b.unary(ElementwiseFn::sqrt, x);
  EXPECT_EQ(simplified(m.finish(*m.b.binary(kDiv, m.b.scalar(DType::fp32, 1), root))),
            "elementwise.exp 1, elementwise.rsqrt 1");
}

TEST(Simplify, LayerNormSpelledOut) {
  for (bool twice : {false, true}) {
    for (int64_t axis : {1, 2}) {
      Model m;
      TensorId x = m.input({3, 4, 5});
      std::vector<int64_t> axes = axis == 1 ? std::vector<int64_t>{1, 2} : std::vector<int64_t>{2};
      Shape normalized = axis == 1 ? Shape{4, 5} : Shape{5};
      auto center = [&] { return *m.b.binary(ElementwiseFn::sub, x, *m.b.reduce(ReduceKind::mean, x, axes, true)); };
      TensorId centered = center(), again = twice ? center() : centered;
      TensorId square = *m.b.binary(ElementwiseFn::pow, again, 2.0);
      TensorId variance = *m.b.binary(kAdd, *m.b.reduce(ReduceKind::mean, square, axes, true), 1e-5);
      TensorId y = *m.b.binary(kDiv, centered, *m.b.unary(ElementwiseFn::sqrt, variance));
      y = *m.b.binary(kMul, y, m.weight(normalized));
      EXPECT_EQ(simplified(m.finish(*m.b.binary(kAdd, y, m.weight({5})))), "layer_norm 1");
    }
  }
}

TEST(Simplify, VarianceOverOtherAxesIsNoLayerNorm) {
  Model m;
  TensorId x = m.input({3, 4, 5});
  TensorId centered = *m.b.binary(ElementwiseFn::sub, x, *m.b.reduce(ReduceKind::mean, x, {2}, true));
  TensorId square = *m.b.unary(ElementwiseFn::square, centered);
  TensorId variance = *m.b.binary(kAdd, *m.b.reduce(ReduceKind::mean, square, {1, 2}, true), 1e-5);
  Graph g = m.finish(*m.b.binary(kDiv, centered, *m.b.unary(ElementwiseFn::sqrt, variance)));
  EXPECT_EQ(simplified(g).find("layer_norm"), std::string::npos);
}

TEST(Simplify, ShapesMerge) {
  Model m;
  TensorId x = m.input({2, 1, 3, 4});
  TensorId y = *m.b.transpose(*m.b.transpose(x, {0, 2, 1, 3}), {0, 3, 2, 1});
  EXPECT_EQ(simplified(m.finish(*m.b.unary(ElementwiseFn::relu, y))), "elementwise.relu 1, transpose 1");
  TensorId moved = *m.b.transpose(x, {1, 0, 2, 3});
  TensorId back = *m.b.reshape(*m.b.reshape(moved, {24}), {2, 1, 3, 4});
  EXPECT_EQ(simplified(m.finish(*m.b.unary(ElementwiseFn::relu, back))), "elementwise.relu 1");
}

TEST(Simplify, AnOutputThatIsAnInputKeepsItsCopy) {
  Model m;
  TensorId x = m.input({2, 3});
  EXPECT_EQ(simplified(m.finish(*m.b.unary(ElementwiseFn::identity, x))), "elementwise.identity 1");
  TensorId relu = *m.b.unary(ElementwiseFn::relu, x);
  EXPECT_EQ(simplified(m.finish(*m.b.unary(ElementwiseFn::identity, relu))), "elementwise.relu 1");
}

// The structure may not depend on whether the weights were read.
TEST(Simplify, SameStructureWithoutData) {
  auto build = [](bool with_data) {
    Model m;
    TensorId w = m.weight({64, 64, 3, 3}), scale = m.weight({64, 1, 1});
    if (!with_data) m.b.at(w).data = nullptr;
    TensorId y = *m.b.binary(kMul, m.conv(m.input({1, 64, 8, 8}), w, 1), scale);
    // One value computed from the weight is 1 here; nobody may look at it.
    TensorId sum = *m.b.reduce(ReduceKind::sum, w, {0, 1, 2, 3}, false);
    TensorId one = *m.b.binary(kDiv, sum, sum);
    return print(*simplify(m.finish(*m.b.binary(kMul, *m.b.unary(ElementwiseFn::exp, y), one))));
  };
  EXPECT_EQ(build(true), build(false));
  EXPECT_NE(build(true).find("mul("), std::string::npos);
}

}  // namespace
}  // namespace presil::graph
