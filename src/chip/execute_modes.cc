// Programs that round stochastically, or whose cFP8 has another bias (isa::Modes): operands whose conversions that
// concerns become fp32 copies, the instruction runs on these, and its results are converted one by one. What moves bits
// is left alone, so that the usual paths know nothing of modes.
#include <cstring>

#include "chip/execute_internal.h"
#include "isa/slots.h"
#include "numerics/float_bits.h"
#include "numerics/random.h"

namespace presil::chip {
namespace {

using isa::Opcode;

// Whether the instruction computes in fp32 what it reads and writes, or moves elements as they are.
bool converts(const Bound& b) {
  const isa::Program& p = *b.program;
  const isa::Instruction& i = *b.instruction;
  const auto differ = [&] { return b.operands[0].dtype != b.operands[1].dtype; };
  switch (i.opcode) {
    case Opcode::nc_matmul:
      return p.word(i, isa::slots::nc_matmul::is_transpose) == 0;
    case Opcode::tensor_copy:
    case Opcode::nc_transpose:
    case Opcode::affine_select:
    case Opcode::nc_n_gather:
      return differ();
    case Opcode::dma_copy:
      return !b.present[isa::slots::dma_copy::index] && differ();
    case Opcode::tensor_tensor:
    case Opcode::tensor_scalar:
    case Opcode::scalar_tensor_tensor:
    case Opcode::tensor_reduce:
    case Opcode::select_reduce:
    case Opcode::range_select:
    case Opcode::reciprocal:
    case Opcode::memset:
    case Opcode::max8:
    case Opcode::nc_find_index8:
    case Opcode::bn_stats:
    case Opcode::bn_aggr:
    case Opcode::tensor_tensor_scan:
    case Opcode::activation:
    case Opcode::iota:
    case Opcode::tensor_partition_reduce:
    case Opcode::tensor_scalar_reduce:
    case Opcode::tensor_scalar_cumulative:
    case Opcode::nc_match_replace8:
    case Opcode::activation_reduce:
    case Opcode::exponential:
    case Opcode::rand2:
    case Opcode::activate2:
    case Opcode::dma_compute:
    case Opcode::nc_matmul_mx:
    case Opcode::nc_matmul_sparse:
      return true;
    case Opcode::tensor_copy_predicated:  // the immediate alone is converted, to nearest
    case Opcode::nc_stream_shuffle:
    case Opcode::dma_transpose:
    case Opcode::rng:
    case Opcode::set_rng_seed:
    case Opcode::rand_set_state:
    case Opcode::rand_get_state:
    case Opcode::dropout:
    case Opcode::local_gather:
    case Opcode::sequence_bounds:
    case Opcode::nonzero_with_count:
    case Opcode::topk:
    case Opcode::quantize_mx:  // to nearest
    case Opcode::register_move:
    case Opcode::register_alu:
    case Opcode::register_load:
    case Opcode::register_store:
    case Opcode::branch:
    case Opcode::loop:
    case Opcode::loop_end:
    case Opcode::halt:
    case Opcode::wait:
    case Opcode::sendrecv:
    case Opcode::core_barrier:
      return false;
  }
  return false;
}

bool rounds(DType t) { return is_float(t) && !is_packed(t) && dtype_bytes(t) < 4 && t != DType::fp8_e8m0; }

// body(element's address), in order.
template <class Body>
void for_each_element(const Strided& s, Body&& body) {
  for_each_run(*join({&s, 1}), [&](const std::array<std::byte*, kMaxJoined>& at) {
    const Nest nest = *join({&s, 1});
    for (uint32_t i = 0; i < nest.run(); ++i) body(at[0] + nest.run_step(0) * static_cast<int64_t>(i));
  });
}

// The same shape in fp32, in a place of its own.
Strided in_fp32(const Strided& s, std::vector<float>& values) {
  values.resize(s.elements() + numerics::kRowsSlack);
  Strided out = s;
  out.base = reinterpret_cast<std::byte*>(values.data());
  out.dtype = DType::fp32;
  int64_t step = sizeof(float);
  for (size_t d = static_cast<size_t>(s.rank); d-- > 0;) out.step[d] = step, step *= s.count[d];
  out.memory = isa::Memory::none;
  out.byte_begin = out.byte_end = 0;
  return out;
}

// 32 random bits per element: a function of seed, instruction, operand and place, whatever the order.
class Words {
 public:
  Words(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  uint32_t operator[](uint64_t i) {
    if (i / 4 != block_) {
      block_ = i / 4;
      for (uint64_t k = 0; k < 4; ++k) words_[k] = numerics::random_word(seed_, stream_, 4 * block_ + k);
    }
    return words_[i % 4];
  }

 private:
  uint64_t seed_, stream_, block_ = UINT64_MAX;
  std::array<uint32_t, 4> words_{};
};

class Conversion {
 public:
  Conversion(const Bound& bound, const isa::Modes& modes) : outer_(bound), inner_(bound), modes_(modes) {
    for (size_t k = 0; k < kMaxOperands; ++k) {
      const Strided& s = bound.operands[k];
      if (!bound.present[k] || !concerns(k, s)) continue;
      inner_.operands[k] = in_fp32(s, values_[k]);
      replaced_[k] = true;
      if (access(k) != isa::Access::write) load(k);
    }
  }

  const Bound& inner() const { return inner_; }

  void store() {
    for (size_t k = 0; k < kMaxOperands; ++k) {
      if (!replaced_[k] || access(k) == isa::Access::read) continue;
      const Strided& s = outer_.operands[k];
      const float scale = scale_of(s.dtype, 1);
      Words words(modes_.rounding_seed, outer_.execution * kMaxOperands + k);
      uint64_t i = 0;
      for_each_element(s, [&](std::byte* at) {
        const float value = values_[k][i] * scale;
        const uint64_t bits = modes_.stochastic_rounding ? numerics::from_fp32_stochastic(s.dtype, value, words[i])
                                                         : numerics::from_fp32(s.dtype, value);
        std::memcpy(at, &bits, s.element_bytes());
        ++i;
      });
    }
  }

 private:
  isa::Access access(size_t k) const {
    return isa::access_of(*outer_.program, *outer_.instruction, static_cast<int>(k));
  }
  // 2^((bias - 3) direction) for cFP8: a number's bits under a bias are those of the scaled number under the usual one.
  float scale_of(DType t, int direction) const {
    return t == DType::fp8_e3m4 ? numerics::power_of_two(direction * (modes_.cfp8_bias - isa::kCfp8Bias)) : 1.0f;
  }
  bool concerns(size_t k, const Strided& s) const {
    if (s.dtype == DType::fp8_e3m4 && modes_.cfp8_bias != isa::kCfp8Bias) return true;
    // Windows that overlap are added up one after the other, each sum rounded to nearest.
    return modes_.stochastic_rounding && rounds(s.dtype) && access(k) != isa::Access::read &&
           !(access(k) == isa::Access::read_write && overlaps_itself(s));
  }
  void load(size_t k) {
    const Strided& s = outer_.operands[k];
    const float scale = scale_of(s.dtype, -1);
    uint64_t i = 0;
    for_each_element(s, [&](std::byte* at) {
      uint64_t bits = 0;
      std::memcpy(&bits, at, s.element_bytes());
      values_[k][i++] = numerics::to_fp32(s.dtype, bits) * scale;
    });
  }

  const Bound& outer_;
  Bound inner_;
  isa::Modes modes_;
  std::array<std::vector<float>, kMaxOperands> values_;
  std::array<bool, kMaxOperands> replaced_{};
};

}  // namespace

std::string execute_in_modes(const Bound& bound, Registers& registers, ExecuteScratch& scratch) {
  if (!converts(bound)) return execute_plain(bound, registers, scratch);
  Conversion conversion(bound, registers.modes);
  std::string fault = execute_plain(conversion.inner(), registers, scratch);
  if (fault.empty()) conversion.store();
  return fault;
}

}  // namespace presil::chip
