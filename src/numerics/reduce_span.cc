// The lanes of a reduction in vector registers. A piece that ends within a group of 16 pads it with the identity, which
// leaves a lane's bits alone.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "numerics/activation_tables.inc"
#include "numerics/alu_inline.h"
#include "numerics/float_bits.h"
#include "numerics/reduce.h"
#include "numerics/simd_dispatch.h"
#include "numerics/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "numerics/reduce_span.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace presil::numerics::HWY_NAMESPACE {
#include "numerics/simd.inc"

PRESIL_INLINE Mask nonzero(F x) { return hn::Not(hn::Eq(x.v, hn::Zero(D()))); }
PRESIL_INLINE F truth(Mask mask) { return select(mask, F(1.0f), F(0.0f)); }
PRESIL_INLINE F with_nan_of(F a, F b, F result) {
  return select(hn::Or(not_a_number(a), not_a_number(b)), F(kNan), result);
}

template <AluOp op>
PRESIL_INLINE F take(F a, F b) {
  if constexpr (op == AluOp::add) return canonical(a + b);
  if constexpr (op == AluOp::multiply) return canonical(a * b);
  if constexpr (op == AluOp::max) return with_nan_of(a, b, select(a > b, a, b));
  if constexpr (op == AluOp::min) return with_nan_of(a, b, select(a < b, a, b));
  if constexpr (op == AluOp::abs_max) return take<AluOp::max>(abs(a), abs(b));
  if constexpr (op == AluOp::abs_min) return take<AluOp::min>(abs(a), abs(b));
  if constexpr (op == AluOp::logical_and) return truth(hn::And(nonzero(a), nonzero(b)));
  if constexpr (op == AluOp::logical_or) return truth(hn::Or(nonzero(a), nonzero(b)));
  if constexpr (op == AluOp::logical_xor) return truth(hn::Xor(nonzero(a), nonzero(b)));
}

constexpr size_t kRegisters = kReduceLanes / HWY_MIN(kReduceLanes, hn::MaxLanes(D()));

template <AluOp op>
HWY_ATTR void lanes_kernel(const float* values, size_t groups, float* lanes) {
  const D d;
  F state[kRegisters];
  for (size_t r = 0; r < kRegisters; ++r) state[r] = F(hn::LoadU(d, lanes + r * hn::Lanes(d)));
  for (size_t g = 0; g < groups; ++g) {
    for (size_t r = 0; r < kRegisters; ++r) {
      state[r] = take<op>(state[r], F(hn::LoadU(d, values + g * kReduceLanes + r * hn::Lanes(d))));
    }
  }
  for (size_t r = 0; r < kRegisters; ++r) hn::StoreU(state[r].v, d, lanes + r * hn::Lanes(d));
}

template <AluOp op>
float fold_kernel(const float* lanes) {
  float state[kReduceLanes];
  std::memcpy(state, lanes, sizeof state);
  for (size_t width = kReduceLanes / 2; width > 0; width /= 2) {
    for (size_t j = 0; j < width; ++j) state[j] = alu_apply_inline(op, state[j], state[j + width]);
  }
  return state[0];
}

template <AluOp op>
constexpr LaneKernels kernels() {
  return {&lanes_kernel<op>, &fold_kernel<op>};
}

LaneKernels pick_lane_kernels(AluOp op) {
  switch (op) {
    case AluOp::add:
      return kernels<AluOp::add>();
    case AluOp::multiply:
      return kernels<AluOp::multiply>();
    case AluOp::max:
      return kernels<AluOp::max>();
    case AluOp::min:
      return kernels<AluOp::min>();
    case AluOp::abs_max:
      return kernels<AluOp::abs_max>();
    case AluOp::abs_min:
      return kernels<AluOp::abs_min>();
    case AluOp::logical_and:
      return kernels<AluOp::logical_and>();
    case AluOp::logical_or:
      return kernels<AluOp::logical_or>();
    case AluOp::logical_xor:
      return kernels<AluOp::logical_xor>();
    default:
      return {};
  }
}

}  // namespace presil::numerics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace presil::numerics {
namespace {
SIMD_EXPORT(pick_lane_kernels);
}

LaneReducer::LaneReducer(AluOp op) : identity_(reduce_identity(op)), kernels_(SIMD_DISPATCH(pick_lane_kernels)(op)) {}

LaneReducer::State LaneReducer::start() const {
  State state;
  state.lanes.fill(identity_);
  return state;
}

void LaneReducer::feed(State& state, std::span<const float> values) const {
  const auto take_partial = [&](size_t begin, size_t count) {
    std::array<float, kReduceLanes> padded;
    padded.fill(identity_);
    std::memcpy(padded.data() + begin, values.data(), count * sizeof(float));
    kernels_.feed(padded.data(), 1, state.lanes.data());
    values = values.subspan(count);
  };
  const size_t begin = state.position % kReduceLanes;
  state.position += values.size();
  if (begin != 0) take_partial(begin, std::min(values.size(), kReduceLanes - begin));
  const size_t groups = values.size() / kReduceLanes;
  kernels_.feed(values.data(), groups, state.lanes.data());
  values = values.subspan(groups * kReduceLanes);
  if (!values.empty()) take_partial(0, values.size());
}

float LaneReducer::finish(const State& state) const { return kernels_.fold(state.lanes.data()); }

}  // namespace presil::numerics
#endif
