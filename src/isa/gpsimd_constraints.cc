// What random numbers, and searches in groups of partitions that share a processor, ask of their operands (fact sheet,
// sections 9.2 and 9.4).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "isa/constraints.h"
#include "isa/slots.h"

namespace presil::isa {
namespace {

constexpr uint32_t kGroup = 16;  // partitions of one gpsimd processor

void whole_groups(const Check& c, int k) {
  if (c.operand(k).partitions % kGroup == 0) return;
  c.fail_operand(k, fmt::format("{} partitions, expected a multiple of {}", c.operand(k).partitions, kGroup));
}

void one_partition(const Check& c, int k) {
  if (c.operand(k).partitions == 1) return;
  c.fail_operand(k, fmt::format("{} partitions, expected 1", c.operand(k).partitions));
}

void attribute_within(const Check& c, int k, int64_t least, int64_t most) {
  const auto value = static_cast<int32_t>(c.word(k));
  if (value < least || value > most) c.fail_attribute(k, fmt::format("{}, expected from {} to {}", value, least, most));
}

}  // namespace

void check_rng(const Check& c) {
  type_among(c, slots::rng::dst, {DType::int8, DType::uint8, DType::int16, DType::uint16, DType::int32, DType::uint32});
  if (c.instruction.engine == EngineKind::gpsimd && c.spec.generation < 3) {
    c.fail("", "needs generation 3 on the gpsimd engine");
  }
}

void check_rng_seed(const Check& c) {
  namespace s = slots::set_rng_seed;
  one_partition(c, s::src_seeds);
  elements_are(c, s::src_seeds, 1);
  type_among(c, s::src_seeds, {DType::uint32, DType::int32, DType::fp32});
}

// rand_set_state and rand_get_state: operand 0 holds the states.
void check_rng_state(const Check& c) {
  const bool vector = c.instruction.engine == EngineKind::vector;
  type_among(c, 0, {DType::uint32});
  elements_are(c, 0, vector ? 24 : 6);
  if (vector && c.spec.generation < 4) c.fail("", "needs generation 4 on the vector engine");
}

void check_local_gather(const Check& c) {
  namespace s = slots::local_gather;
  whole_groups(c, s::src_buffer);
  same_partitions(c, s::index, s::src_buffer);
  same_partitions(c, s::dst, s::src_buffer);
  same_type(c, s::src_buffer, s::dst);
  type_among(c, s::index, {DType::uint16});
  const uint32_t per_index = c.word(s::num_elem_per_idx);
  constexpr std::array<uint32_t, 6> kLegal = {1, 2, 4, 8, 16, 32};
  if (std::find(kLegal.begin(), kLegal.end(), per_index) == kLegal.end()) {
    return c.fail_attribute(s::num_elem_per_idx, fmt::format("{} is not one of 1, 2, 4, 8, 16, 32", per_index));
  }
  const uint64_t given = c.elements(s::index) * kGroup;
  attribute_within(c, s::num_valid_indices, 0, static_cast<int64_t>(given));
  const uint64_t indices = c.word(s::num_valid_indices) != 0 ? c.word(s::num_valid_indices) : given;
  if (indices > 4096)
    c.fail_operand(s::index, fmt::format("{} indices per {} partitions, at most 4096", indices, kGroup));
  elements_are(c, s::dst, indices * per_index);
}

void check_sequence_bounds(const Check& c) {
  namespace s = slots::sequence_bounds;
  for (int k : {s::dst, s::segment_ids}) {
    one_partition(c, k);
    type_among(c, k, {DType::fp32, DType::int32});
  }
  elements_are(c, s::dst, 2 * c.elements(s::segment_ids));
}

void check_nonzero(const Check& c) {
  namespace s = slots::nonzero_with_count;
  same_partitions(c, s::src, s::dst);
  type_among(c, s::src, {DType::fp32, DType::int32});
  type_among(c, s::dst, {DType::int32});
  elements_are(c, s::dst, c.elements(s::src) + 1);
}

void check_topk(const Check& c) {
  namespace s = slots::topk;
  whole_groups(c, s::src);
  for (int k : {s::val_dst, s::idx_dst}) same_partitions(c, k, s::src);
  for (int k : {s::val_dst, s::src}) type_among(c, k, {DType::bf16});
  type_among(c, s::idx_dst, {DType::uint32});
  attribute_within(c, s::n, 8, 65535);
  const uint64_t n = c.word(s::n);
  if (c.elements(s::src) * kGroup < n) {
    c.fail_operand(s::src,
                   fmt::format("{} elements per {} partitions, n is {}", c.elements(s::src) * kGroup, kGroup, n));
  }
  elements_within(c, s::val_dst, 1, std::min<uint64_t>(n, 32767));
  elements_are(c, s::idx_dst, c.elements(s::val_dst));
}

}  // namespace presil::isa
