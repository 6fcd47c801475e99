// Memories, registers and operands as plainly as they can be written: what the reference semantics work on.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "isa/program.h"
#include "isa/slots.h"
#include "numerics/activation_span.h"
#include "numerics/alu.h"
#include "numerics/convert.h"
#include "numerics/float_bits.h"
#include "numerics/random.h"
#include "numerics/reduce.h"
#include "spec/chip_spec.h"

namespace presil::chip::reference {

using isa::Memory;
using isa::View;
using Words = std::vector<uint64_t>;
using Floats = std::vector<float>;

struct Machine {
  std::vector<std::vector<std::byte>> sbuf, psum, hbm;
  Floats vector_lanes, scalar_lanes;
  std::vector<numerics::Xorwow> vector_random, gpsimd_random;

  Machine(const spec::ChipSpec& spec, uint64_t hbm_bytes)
      : sbuf(spec.sbuf.partitions, std::vector<std::byte>(spec.sbuf.bytes_per_partition)),
        psum(spec.psum.partitions, std::vector<std::byte>(spec.psum.bytes_per_partition)),
        hbm(1, std::vector<std::byte>(hbm_bytes)),
        vector_lanes(spec.sbuf.partitions),
        scalar_lanes(spec.sbuf.partitions),
        gpsimd_random(spec.sbuf.partitions) {
    seed(0);
    for (uint32_t p = 0; p < spec.sbuf.partitions; ++p) {
      for (uint32_t k = 0; k < 6; ++k) gpsimd_random[p][k] = numerics::random_word(0, p, k);
    }
  }
  void seed(uint32_t value) {
    vector_random.resize(4 * vector_lanes.size());
    for (uint32_t g = 0; g < vector_random.size(); ++g) {
      for (uint32_t k = 0; k < 6; ++k) vector_random[g][k] = numerics::random_word(value, g, k);
    }
  }

  std::vector<std::vector<std::byte>>& memory(Memory m) {
    return m == Memory::sbuf ? sbuf : m == Memory::psum ? psum : hbm;
  }
};

// Byte places of a view's elements, in order.
inline std::vector<std::byte*> places(Machine& m, const View& v) {
  std::vector<std::byte*> out;
  for (uint32_t p = 0; p < v.partitions; ++p) {
    for (uint64_t i = 0; i < v.elements_per_partition(); ++i) {
      uint64_t rest = i;
      int64_t element = 0;
      for (size_t d = v.rank; d-- > 0;) {
        element += static_cast<int64_t>(rest % v.dims[d].count) * v.dims[d].step;
        rest /= v.dims[d].count;
      }
      const int64_t byte = v.offset + element * static_cast<int64_t>(dtype_bytes(v.dtype));
      out.push_back(&m.memory(v.memory).at(v.partition + p).at(static_cast<size_t>(byte)));
    }
  }
  return out;
}

inline Words read_words(Machine& m, const View& v) {
  Words out;
  for (const std::byte* p : places(m, v)) {
    uint64_t word = 0;
    std::memcpy(&word, p, dtype_bytes(v.dtype));
    out.push_back(word);
  }
  return out;
}

// Signed ones as wide as a word: what a bitvec operator combines with wider ones.
inline Words read_integers(Machine& m, const View& v) {
  Words words = read_words(m, v);
  const bool is_signed = v.dtype == DType::int8 || v.dtype == DType::int16 || v.dtype == DType::int32;
  const auto sign = static_cast<uint64_t>(1) << (8 * dtype_bytes(v.dtype) - 1);
  for (uint64_t& word : words) {
    if (is_signed && (word & sign) != 0) word -= 2 * sign;
  }
  return words;
}

inline Floats read_floats(Machine& m, const View& v) {
  Floats out;
  for (uint64_t word : read_words(m, v)) out.push_back(numerics::to_fp32(v.dtype, word));
  return out;
}

inline void write_words(Machine& m, const View& v, const Words& words) {
  const auto at = places(m, v);
  for (size_t i = 0; i < at.size(); ++i) std::memcpy(at[i], &words.at(i), dtype_bytes(v.dtype));
}

inline void write_floats(Machine& m, const View& v, const Floats& values) {
  Words words;
  for (float x : values) words.push_back(numerics::from_fp32(v.dtype, x));
  write_words(m, v, words);
}

// An instruction and the machine that it changes.
class Operands {
 public:
  Operands(const isa::Program& program, const isa::Instruction& instruction, Machine& machine)
      : program_(program), i_(instruction), m_(machine) {}

 protected:
  const View& v(int k) const { return program_.operand(i_, k); }
  float f32(int k) const { return program_.f32(i_, k); }
  uint32_t word(int k) const { return program_.word(i_, k); }
  AluOp op(int k) const { return static_cast<AluOp>(word(k)); }
  Floats floats(int k) { return read_floats(m_, v(k)); }
  size_t row(int k) const { return v(k).elements_per_partition(); }

  // Per-partition value: the operand if present, else the immediate.
  Floats values(int k, float immediate) { return v(k).present() ? floats(k) : Floats(v(0).partitions, immediate); }
  static float apply(AluOp o, bool reversed, float a, float b) {
    return reversed ? alu_apply(o, b, a) : alu_apply(o, a, b);
  }

  const isa::Program& program_;
  const isa::Instruction& i_;
  Machine& m_;
};

}  // namespace presil::chip::reference
