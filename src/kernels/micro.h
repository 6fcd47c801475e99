// Micro-operations: what one stage of an engine's pipeline does. expand() turns an expression into them; fuse() packs
// neighbours into instructions. Both are pure, so that their tests need no machine.
#pragma once
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/result.h"
#include "kernels/elementwise.h"
#include "numerics/activation.h"
#include "numerics/alu.h"

namespace presil::kernels {

// A number, or a column input (one number per partition).
struct ScalarOperand {
  float number = 0;
  std::optional<uint32_t> column;  // input index
};

struct Micro {
  enum class Kind : uint8_t {
    activation,  // f(a)
    scalar,      // op(a, s), or op(s, a) when reverse
    tensor,      // op(a, b)
    reciprocal,  // 1 / a on the vector engine
    predicate,   // a is a mask: c where true, else b (copy b, then copy c where a)
    round,       // to nearest even, through int32
    convert,     // to nearest even and to the limits of an integer type, by storing as `integer`
  } kind = Kind::activation;
  Activation function = Activation::copy;
  float alpha = 0;
  DType integer = DType::int32;
  AluOp op = AluOp::bypass;
  ScalarOperand scalar;
  bool reverse = false;
  uint32_t a = 0, b = 0, c = 0;  // values: inputs, then results of micros in order
};

// One instruction: up to three micros in sequence.
struct Fused {
  enum class Kind : uint8_t {
    activation,
    tensor_scalar,
    scalar_tensor_tensor,
    tensor_tensor,
    reciprocal,
    predicate,
    round
  };
  Kind kind = Kind::activation;
  Activation function = Activation::copy;
  float alpha = 0;
  ScalarOperand scale{1.0f, std::nullopt}, bias;  // activation
  AluOp op0 = AluOp::bypass, op1 = AluOp::bypass;
  ScalarOperand s0, s1;
  bool reverse0 = false, reverse1 = false;
  bool affine = false;  // a * s + t or a part of it: scalar and vector engine compute the same
  uint32_t a = 0, b = 0, c = 0;
  uint32_t result = 0;           // value number
  std::optional<DType> integer;  // the result is stored as this type
};

Result<std::vector<Micro>> expand(const Expression&, const std::vector<InputKind>& kinds);
std::vector<Fused> fuse(const std::vector<Micro>&, uint32_t inputs);

}  // namespace presil::kernels
