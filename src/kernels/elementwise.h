// Element-wise expressions as data, and their lowering: neighbouring operations are merged into the engines' pipelines
// (activation with scale and bias, two-operator tensor_scalar, scalar_tensor_tensor), then run chunk by chunk.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "kernels/block.h"

namespace presil::kernels {

// An argument: a value (input k, or the result of step i as inputs + i), or a number.
struct Argument {
  enum class Kind : uint8_t { none, value, number } kind = Kind::none;
  uint32_t value = 0;
  float number = 0;
};
inline Argument value_argument(uint32_t value) { return {Argument::Kind::value, value, 0}; }
inline Argument number_argument(float number) { return {Argument::Kind::number, 0, number}; }

struct ExpressionStep {
  graph::ElementwiseFn fn = graph::ElementwiseFn::identity;
  float alpha = 0, beta = 0;  // saturate: the limits; the result has no fraction
  std::array<Argument, 3> arguments{};
  // What a cast does to a number before the next step sees it; fn is identity then.
  enum class Cast : uint8_t { none, truncate, boolean } cast = Cast::none;
};

// The last step's result is the output. Steps are in order of use.
struct Expression {
  uint32_t inputs = 0;
  std::vector<ExpressionStep> steps;
};

// How an input meets the output's shape.
enum class InputKind : uint8_t {
  full,    // same partitions; free axes equal, or of extent 1 and repeated
  column,  // one fp32 number per partition
};

// out = expression(inputs). Inputs have out's rank, partition axis and group cut; a `column` input has extent 1 on
// every other axis. What lies between instructions has the type `temporaries`. Errors: a function that no engine
// computes (named).
Result<void> elementwise(Context&, const Expression&, const std::vector<Block>& inputs,
                         const std::vector<InputKind>& kinds, const Block& out, DType temporaries = DType::fp32);

// Whether some engine computes `fn`; what is missing otherwise is the error's text.
bool elementwise_supported(graph::ElementwiseFn fn);

}  // namespace presil::kernels
