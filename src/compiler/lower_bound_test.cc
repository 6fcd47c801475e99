#include "compiler/lower_bound.h"

#include <gtest/gtest.h>

#include "graph/builder.h"

namespace presil::compiler {
namespace {

using graph::Builder;
using graph::ElementwiseFn;
using graph::TensorId;

// Round figures: an array of 128 x 128 at 1 GHz whose instructions take 512 vectors, 5 cycles more and at least 64;
// 128 lanes, vector engine 1 GHz, scalar engine 2 GHz.
spec::ChipSpec machine() {
  spec::ChipSpec spec;
  spec.tensor.clock_hz = 1'000'000'000;
  spec.tensor.initiation_min_cycles = 64;
  spec.tensor.issue_overhead_cycles = 5;
  spec.vector.clock_hz = 1'000'000'000;
  spec.scalar.clock_hz = 2'000'000'000;
  spec.sbuf = {128, 196608, 1};
  return spec;
}

LowerBound bound(Builder& b, DType type = DType::bf16, const spec::ChipSpec& spec = machine(),
                 const char* precision = "bf16") {
  Plan plan;
  plan.precision = precision;
  plan.dtypes.assign(b.graph().tensors.size(), type);
  return lower_bound(b.graph(), plan, spec, 0);
}

TensorId matmul(Builder& b, TensorId x, TensorId w) { return *b.add(graph::Op::matmul, {x, w}); }

Builder product(graph::Shape a, graph::Shape b) {
  Builder build;
  matmul(build, build.input("a", {DType::fp32, std::move(a)}), build.input("b", {DType::fp32, std::move(b)}));
  return build;
}

double tensor_seconds(Builder b) { return bound(b).tensor; }

constexpr double kCycle = 1e-9;

// 2 passes of the contraction x 3 of the columns, 1024 vectors in two instructions each.
TEST(LowerBound, AMatmulStreamsThroughEveryTileOfTheArray) {
  Builder graph = product({1024, 256}, {256, 384});
  const LowerBound b = bound(graph);
  EXPECT_DOUBLE_EQ(b.tensor, 2 * 3 * (1024 + 2 * 5) * kCycle);
  EXPECT_DOUBLE_EQ(b.elementwise, 1024.0 * 384 / 128 / 3e9);  // both engines empty PSUM
  EXPECT_DOUBLE_EQ(b.seconds(), b.tensor);
  EXPECT_STREQ(b.resource(), "tensor");
}

// 300 rows stand still in three passes while 1024 columns stream: fewer cycles than eight passes of 300.
TEST(LowerBound, TheCheaperOperandStandsStill) {
  EXPECT_DOUBLE_EQ(tensor_seconds(product({300, 128}, {128, 1024})), 8 * (300 + 5) * kCycle);
  EXPECT_DOUBLE_EQ(tensor_seconds(product({256, 128}, {128, 1024})), 2 * (1024 + 2 * 5) * kCycle);
}

TEST(LowerBound, Fp32TakesItsPassesAndTf32DoesNot) {
  Builder b = product({512, 128}, {128, 128});
  EXPECT_DOUBLE_EQ(bound(b, DType::fp32, machine(), "fp32").tensor, (512 * 4 + 5) * kCycle);
  EXPECT_DOUBLE_EQ(bound(b, DType::fp32, machine(), "tf32").tensor, (512 + 5) * kCycle);
}

TEST(LowerBound, AnInstructionTakesItsLeastTime) {
  EXPECT_DOUBLE_EQ(tensor_seconds(product({1, 128}, {128, 128})), 64 * kCycle);
}

// Of 12 products with a contraction of 64, two lie side by side, and one instruction may stream for several.
TEST(LowerBound, SmallProductsShareTheArray) {
  EXPECT_DOUBLE_EQ(tensor_seconds(product({12, 512, 64}, {12, 64, 64})), 6 * 512 * kCycle);
}

TEST(LowerBound, SeveralArraysAndEnginesDivideTheWork) {
  spec::ChipSpec four = machine();
  four.tensor.count = 4;
  four.vector.count = 2;
  Builder b = product({1024, 256}, {256, 384});
  EXPECT_DOUBLE_EQ(bound(b, DType::bf16, four).tensor, bound(b).tensor / 4);
  EXPECT_DOUBLE_EQ(bound(b, DType::bf16, four).elementwise, 1024.0 * 384 / 128 / 4e9);
}

// [8, 64, 14, 14] by 128 filters of 3 x 3: contraction 576 in five passes, 1568 places in four instructions.
TEST(LowerBound, AConvolutionContractsTapsAndChannelsTogether) {
  Builder b;
  const TensorId x = b.input("x", {DType::fp32, {8, 64, 14, 14}}), w = b.input("w", {DType::fp32, {128, 64, 3, 3}});
  graph::Attributes attributes;
  attributes.strides = attributes.dilations = {1, 1};
  attributes.pads = {1, 1, 1, 1};
  ASSERT_TRUE(b.add(graph::Op::conv, {x, w}, attributes));
  EXPECT_DOUBLE_EQ(bound(b).tensor, 5 * (1568 + 4 * 5) * kCycle);
}

// x A + y B is one product of the joint depth: two of 64 fill the array's rows once.
TEST(LowerBound, ProductsThatAreAddedCountAsOne) {
  Builder b;
  auto half = [&](const char* x, const char* w) {
    return matmul(b, b.input(x, {DType::fp32, {512, 64}}), b.input(w, {DType::fp32, {64, 128}}));
  };
  const TensorId first = half("x", "a"), second = half("y", "b");
  EXPECT_DOUBLE_EQ(bound(b).tensor, 2 * (512 + 5) * kCycle);
  ASSERT_TRUE(b.binary(ElementwiseFn::add, first, second));
  EXPECT_DOUBLE_EQ(bound(b).tensor, (512 + 5) * kCycle);
}

// Only the scalar engine has transcendental functions; the vector engine may take the rest.
TEST(LowerBound, TranscendentalFunctionsAreTheScalarEngines) {
  Builder b;
  const TensorId x = b.input("x", {DType::fp32, {128, 6000}});
  const TensorId e = *b.unary(ElementwiseFn::exp, x);
  EXPECT_DOUBLE_EQ(bound(b).elementwise, 6000 / 2e9);
  ASSERT_TRUE(b.unary(ElementwiseFn::relu, e));  // may ride along
  EXPECT_DOUBLE_EQ(bound(b).elementwise, 6000 / 2e9);
  EXPECT_EQ(bound(b).tensor, 0);
  EXPECT_STREQ(bound(b).resource(), "vector and scalar");
}

// The function reads the product out of PSUM: each element leaves once.
TEST(LowerBound, AFunctionBehindAProductEmptiesPsum) {
  Builder b = product({512, 128}, {128, 1280});
  ASSERT_TRUE(b.unary(ElementwiseFn::gelu, b.graph().nodes.back().output));
  EXPECT_DOUBLE_EQ(bound(b).elementwise, 512.0 * 1280 / 128 / 2e9);
}

TEST(LowerBound, HbmIsAsTheCallerCounts) {
  Plan plan;
  plan.precision = "bf16";
  Builder b = product({4, 4}, {4, 4});
  plan.dtypes.assign(b.graph().tensors.size(), DType::bf16);
  const LowerBound most = lower_bound(b.graph(), plan, machine(), 0.25);
  EXPECT_EQ(most.hbm, 0.25);
  EXPECT_EQ(most.seconds(), 0.25);
  EXPECT_STREQ(most.resource(), "hbm");
}

}  // namespace
}  // namespace presil::compiler
