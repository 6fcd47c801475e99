// Reductions with a stated order. Commutative operators use 16 interleaved lanes: lane j starts at the operator's
// identity and takes elements j, j + 16, j + 32, ... in turn, lane = op(lane, element); then lane[j] =
// op(lane[j], lane[j + w]) for w = 8, 4, 2, 1. The other operators run from the first element to the last.
#pragma once
#include <array>
#include <cstddef>
#include <span>

#include "numerics/alu.h"

namespace presil::numerics {

inline constexpr size_t kReduceLanes = 16;

// add, multiply, max, min, abs_max, abs_min, logical_and, logical_or, logical_xor.
bool reduces_in_lanes(AluOp op);
float reduce_identity(AluOp op);  // 0, 1, -inf, +inf, 0, +inf, 1, 0, 0; CHECKs reduces_in_lanes

// The definition, and the fast one.
float reduce_plain(AluOp op, std::span<const float> values);
float reduce_span(AluOp op, std::span<const float> values);

// Steps of one operator: feed takes groups of 16 values into 16 lanes; fold runs the tree.
struct LaneKernels {
  void (*feed)(const float* values, size_t groups, float* lanes) = nullptr;
  float (*fold)(const float* lanes) = nullptr;
};

// Reductions in lanes fed piece by piece; one reducer serves many states.
class LaneReducer {
 public:
  struct State {
    std::array<float, kReduceLanes> lanes;
    size_t position = 0;  // elements fed
  };
  explicit LaneReducer(AluOp op);
  State start() const;
  void feed(State& state, std::span<const float> values) const;
  float finish(const State& state) const;

 private:
  float identity_;
  LaneKernels kernels_;
};

}  // namespace presil::numerics
