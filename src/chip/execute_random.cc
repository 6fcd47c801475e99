// Random numbers: XORWOW generators (numerics/random.h), four per lane of the vector engine and one per lane of the
// gpsimd engine. Element i of a partition's row takes the next word of generator i % 4, or of the only one.
#include <cmath>
#include <cstring>

#include "chip/execute_internal.h"
#include "isa/slots.h"
#include "numerics/float_bits.h"
#include "numerics/random.h"

namespace presil::chip {
namespace {

using numerics::Xorwow;

std::span<Xorwow> generators(Context& c, uint32_t lane) {
  if (c.instruction.engine == isa::EngineKind::gpsimd) return {&c.registers.gpsimd_random[lane], 1};
  return {&c.registers.vector_random[lane * kVectorGenerators], kVectorGenerators};
}

uint32_t word_of_lane(Context& c, uint32_t lane, uint64_t i) {
  const std::span<Xorwow> all = generators(c, lane);
  return numerics::next_word(all[i % all.size()]);
}

// The six words of each generator of one lane, contiguous and in order.
constexpr size_t kStateBytes = sizeof(Xorwow);

}  // namespace

std::vector<Xorwow> seeded_generators(uint32_t lanes, uint32_t per_lane, uint32_t seed) {
  std::vector<Xorwow> out(size_t{lanes} * per_lane);
  for (size_t g = 0; g < out.size(); ++g) {
    for (size_t k = 0; k < out[g].size(); ++k) out[g][k] = numerics::random_word(seed, g, k);
  }
  return out;
}

void execute_rng(Context& c) {
  const Strided& dst = c.operand(isa::slots::rng::dst);
  const uint64_t row = row_elements(dst);
  const size_t bytes = dst.element_bytes();
  std::byte* words = c.scratch().rows[0].bytes(row * bytes);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    for (uint64_t i = 0; i < row; ++i) {
      const uint64_t word = word_of_lane(c, dst.partition_begin + p, i);
      std::memcpy(words + i * bytes, &word, bytes);
    }
    copy_elements(c, row_of(dst, p), contiguous(words, dst.dtype, row));
  }
}

void execute_set_rng_seed(Context& c) {
  const Strided& seeds = c.operand(isa::slots::set_rng_seed::src_seeds);
  uint32_t seed = 0;
  std::memcpy(&seed, seeds.base, std::min(sizeof(seed), seeds.element_bytes()));
  c.registers.vector_random =
      seeded_generators(static_cast<uint32_t>(c.registers.vector.size()), kVectorGenerators, seed);
}

void execute_rand_state(Context& c) {
  const bool stores = c.instruction.opcode == isa::Opcode::rand_get_state;
  const Strided& states = c.operand(0);
  const std::span<Xorwow> first = generators(c, 0);
  if (states.element_bytes() != sizeof(uint32_t) || row_elements(states) != first.size() * std::tuple_size_v<Xorwow>)
    return c.fault("states have six 32-bit words per generator");
  for (uint32_t p = 0; p < states.count[0]; ++p) {
    auto* held = reinterpret_cast<std::byte*>(generators(c, states.partition_begin + p).data());
    const Strided words = contiguous(held, states.dtype, first.size() * kStateBytes / sizeof(uint32_t));
    stores ? copy_elements(c, row_of(states, p), words) : copy_elements(c, words, row_of(states, p));
  }
}

void execute_rand2(Context& c) {
  namespace s = isa::slots::rand2;
  const Strided& dst = c.operand(s::dst);
  std::array<Strided, 2> bounds;
  for (int k : {s::min, s::max}) {
    if (!c.has(k)) continue;
    Strided& bound = bounds[static_cast<size_t>(k - s::min)] = c.operand(k);
    if (bound.count[0] != dst.count[0] || row_elements(bound) != 1)
      return c.fault("min and max have one element for each of dst's partitions");
    stage_overlap(c, dst, bound, static_cast<size_t>(k), false);
  }
  const uint64_t row = row_elements(dst);
  float* values = c.scratch().rows[0].floats(row);
  const Rows to(dst);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    const float least = c.has(s::min) ? read_value(bounds[0], p) : c.f32(s::min_imm);
    const float most = c.has(s::max) ? read_value(bounds[1], p) : c.f32(s::max_imm);
    for (uint64_t i = 0; i < row; ++i) {
      const float drawn = static_cast<float>(word_of_lane(c, dst.partition_begin + p, i) >> 8) * 0x1p-24f;
      values[i] = numerics::canonical(std::fma(drawn, numerics::canonical(most - least), least));
    }
    to.write(p, values);
  }
}

void execute_dropout(Context& c) {
  namespace s = isa::slots::dropout;
  const Strided& dst = c.operand(s::dst);
  Strided data = c.operand(s::data), prob;
  if (data.dtype != dst.dtype || data.elements() != dst.elements() || data.count[0] != dst.count[0])
    return c.fault("data and dst have the same shape and type");
  stage_overlap(c, dst, data, 1, true);
  if (c.has(s::prob)) {
    prob = c.operand(s::prob);
    if (prob.count[0] != dst.count[0] || row_elements(prob) != 1)
      return c.fault("prob has one element for each of dst's partitions");
    stage_overlap(c, dst, prob, 2, false);
  }
  const uint64_t row = row_elements(dst);
  const size_t bytes = dst.element_bytes();
  std::byte* values = c.scratch().rows[0].bytes(row * bytes);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    const Strided all = contiguous(values, dst.dtype, row);
    copy_elements(c, all, row_of(data, p));
    const float probability = c.has(s::prob) ? read_value(prob, p) : c.f32(s::prob_imm);
    for (uint64_t i = 0; i < row; ++i) {
      const float drawn = static_cast<float>(word_of_lane(c, dst.partition_begin + p, i) >> 8) * 0x1p-24f;
      if (drawn < probability) std::memset(values + i * bytes, 0, bytes);
    }
    copy_elements(c, row_of(dst, p), all);
  }
}

}  // namespace presil::chip
