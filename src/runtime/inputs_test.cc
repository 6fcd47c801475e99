#include "runtime/inputs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graph/host_tensor.h"

namespace presil::runtime {
namespace {

isa::HbmTensor tensor(std::string name, DType dtype, std::vector<int64_t> shape, isa::TensorRole role) {
  return {.name = std::move(name), .dtype = dtype, .shape = std::move(shape), .role = role};
}

isa::Executable executable() {
  isa::Executable e;
  e.tensors = {tensor("w", DType::fp32, {2}, isa::TensorRole::constant),
               tensor("x", DType::fp32, {100, 100}, isa::TensorRole::input),
               tensor("steps", DType::int32, {3}, isa::TensorRole::input),
               tensor("y", DType::fp32, {2}, isa::TensorRole::output)};
  return e;
}

Array integers(std::vector<int64_t> values) {
  return {DType::int64, {static_cast<int64_t>(values.size())}, graph::store_integers(DType::int64, values)};
}

std::string error_of(std::vector<NamedArray> given) {
  auto result = make_inputs(executable(), std::move(given), 0);
  return result ? "none" : result.error().text();
}

TEST(Inputs, DrawnValuesDependOnSeedAndNameOnly) {
  auto first = *make_inputs(executable(), {}, 7), again = *make_inputs(executable(), {}, 7);
  auto with_steps = *make_inputs(executable(), {{"steps", integers({1, 2, 3})}}, 7);
  auto other = *make_inputs(executable(), {}, 8);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].name, "x");
  EXPECT_EQ(first[0].array.bytes, again[0].array.bytes);
  EXPECT_EQ(first[0].array.bytes, with_steps[0].array.bytes);
  EXPECT_NE(first[0].array.bytes, other[0].array.bytes);
  double sum = 0, squares = 0;
  for (double v : graph::load_floats(DType::fp32, first[0].array.bytes)) sum += v, squares += v * v;
  // 10,000 normal values: five standard errors.
  EXPECT_LT(std::abs(sum / 1e4), 0.05);
  EXPECT_LT(std::abs(squares / 1e4 - 1), 0.07);
}

TEST(Inputs, DrawingIsCancelled) {
  Cancel cancel;
  cancel.request();
  auto stopped = make_inputs(executable(), {}, 7, /*draw=*/true, &cancel);
  EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
}

TEST(Inputs, Int64IsNarrowedIfItFits) {
  auto inputs = *make_inputs(executable(), {{"steps", integers({INT32_MIN, 0, INT32_MAX})}}, 0);
  EXPECT_EQ(inputs[1].array.dtype, DType::int32);
  EXPECT_EQ(graph::load_integers(DType::int32, inputs[1].array.bytes), (std::vector<int64_t>{INT32_MIN, 0, INT32_MAX}));
  EXPECT_EQ(error_of({{"steps", integers({0, 0, int64_t{INT32_MAX} + 1})}}),
            "input 'steps': value 2147483648 of int64 does not fit int32, in which the core computes");
}

TEST(Inputs, RefusesWhatDoesNotFit) {
  EXPECT_EQ(error_of({{"step", integers({1})}}),
            "--input: the model has no input 'step'; it has x, steps (did you mean 'steps'?)");
  EXPECT_EQ(error_of({{"y", integers({1})}}), "--input: the model has no input 'y'; it has x, steps");
  EXPECT_EQ(error_of({{"steps", integers({1, 2, 3})}, {"steps", integers({1, 2, 3})}}),
            "--input: input 'steps' is given twice");
  EXPECT_EQ(error_of({{"steps", integers({1, 2})}}), "input 'steps': shape [2], expected [3]");
  Array floats{DType::fp32, {3}, std::vector<std::byte>(12)};
  EXPECT_EQ(error_of({{"steps", floats}}), "input 'steps': dtype fp32, expected int32");
  EXPECT_EQ(read_named("x").error().text(), "--input: 'x' is not NAME=FILE.npy");
}

}  // namespace
}  // namespace presil::runtime
