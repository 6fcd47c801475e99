#include "numerics/reduce.h"

#include "base/check.h"
#include "numerics/float_bits.h"

namespace presil::numerics {
namespace {

float fold_lanes(AluOp op, std::array<float, kReduceLanes> lanes) {
  for (size_t width = kReduceLanes / 2; width > 0; width /= 2) {
    for (size_t j = 0; j < width; ++j) lanes[j] = alu_apply(op, lanes[j], lanes[j + width]);
  }
  return lanes[0];
}

}  // namespace

bool reduces_in_lanes(AluOp op) {
  switch (op) {
    case AluOp::add:
    case AluOp::multiply:
    case AluOp::max:
    case AluOp::min:
    case AluOp::abs_max:
    case AluOp::abs_min:
    case AluOp::logical_and:
    case AluOp::logical_or:
    case AluOp::logical_xor:
      return true;
    default:
      return false;
  }
}

float reduce_identity(AluOp op) {
  switch (op) {
    case AluOp::add:
    case AluOp::abs_max:
    case AluOp::logical_or:
    case AluOp::logical_xor:
      return 0.0f;
    case AluOp::multiply:
    case AluOp::logical_and:
      return 1.0f;
    case AluOp::max:
      return -kInfinity;
    case AluOp::min:
    case AluOp::abs_min:
      return kInfinity;
    default:
      break;
  }
  CHECK(false, "the operator has no identity");
}

float reduce_plain(AluOp op, std::span<const float> values) {
  if (!reduces_in_lanes(op)) {
    CHECK(!values.empty(), "a reduction without identity needs an element");
    float result = values[0];
    for (float x : values.subspan(1)) result = alu_apply(op, result, x);
    return result;
  }
  std::array<float, kReduceLanes> lanes;
  lanes.fill(reduce_identity(op));
  for (size_t i = 0; i < values.size(); ++i) {
    float& lane = lanes[i % kReduceLanes];
    lane = alu_apply(op, lane, values[i]);
  }
  return fold_lanes(op, lanes);
}

float reduce_span(AluOp op, std::span<const float> values) {
  if (!reduces_in_lanes(op)) return reduce_plain(op, values);
  const LaneReducer reducer(op);
  LaneReducer::State state = reducer.start();
  reducer.feed(state, values);
  return reducer.finish(state);
}

}  // namespace presil::numerics
