// Integer results: bitvec operators on raw bits, and the gpsimd engine's exact arithmetic.
#include <fmt/format.h>

#include <cstring>

#include "base/check.h"
#include "chip/execute_internal.h"
#include "isa/slots.h"

namespace presil::chip {
namespace {

// One element as the low bytes of a word, sign-extended for signed types.
uint64_t read_word(DType t, const std::byte* from) {
  uint64_t word = 0;
  std::memcpy(&word, from, dtype_bytes(t));
  switch (t) {
    case DType::int8:
      return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int8_t>(word)));
    case DType::int16:
      return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int16_t>(word)));
    case DType::int32:
      return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(word)));
    default:
      return word;
  }
}

uint64_t low_bits(uint64_t word, size_t bytes) { return bytes == 8 ? word : word & ((1ull << (8 * bytes)) - 1); }

// For every element in order: body(words of the inputs) gives the word whose low bytes are stored.
template <class Body>
void map_words(Context& c, std::span<const Strided> inputs, Body&& body) {
  const Strided& dst = c.operand(0);
  const Nest nest = prepare_nest(c, dst, inputs);
  const size_t bytes = dst.element_bytes();
  for_each_run(nest, [&](std::array<std::byte*, kMaxJoined> at) {
    for (uint32_t i = 0; i < nest.run(); ++i) {
      std::array<uint64_t, kMaxJoined> words{};
      for (size_t k = 1; k <= inputs.size(); ++k) words[k - 1] = read_word(inputs[k - 1].dtype, at[k]);
      const uint64_t result = body(words);
      std::memcpy(at[0], &result, bytes);
      for (size_t k = 0; k <= inputs.size(); ++k) at[k] += nest.run_step(static_cast<int>(k));
    }
  });
}

// Two's complement with wrap-around; comparisons and logic give 1 or 0.
uint64_t integer_apply(AluOp op, uint64_t a, uint64_t b, bool is_signed) {
  const bool less = is_signed ? static_cast<int64_t>(a) < static_cast<int64_t>(b) : a < b;
  switch (op) {
    case AluOp::bypass:
      return a;
    case AluOp::add:
      return a + b;
    case AluOp::subtract:
      return a - b;
    case AluOp::multiply:
      return a * b;
    case AluOp::max:
      return less ? b : a;
    case AluOp::min:
      return less ? a : b;
    case AluOp::eq:
      return a == b;
    case AluOp::ne:
      return a != b;
    case AluOp::ge:
      return !less;
    case AluOp::gt:
      return !less && a != b;
    case AluOp::le:
      return less || a == b;
    case AluOp::lt:
      return less;
    case AluOp::logical_and:
      return a != 0 && b != 0;
    case AluOp::logical_or:
      return a != 0 || b != 0;
    case AluOp::logical_xor:
      return (a != 0) != (b != 0);
    default:
      break;
  }
  CHECK(false, "the operator has no exact integer form");
}

bool has_integer_form(AluOp op) { return op <= AluOp::logical_xor; }

// Bits of an immediate or of a value operand.
uint64_t apply_bits(AluOp op, bool reversed, uint64_t data, uint64_t value, size_t bytes) {
  const uint64_t a = low_bits(reversed ? value : data, bytes), b = low_bits(reversed ? data : value, bytes);
  return bit_apply(op, a, b, static_cast<int>(8 * bytes));
}

}  // namespace

bool is_exact_integer(const Context& c, std::span<const Strided> operands) {
  const auto op = static_cast<AluOp>(c.word(isa::slots::tensor_tensor::op));
  const DType t = operands[0].dtype;
  if (!has_integer_form(op) || (t != DType::int32 && t != DType::uint32 && t != DType::int64)) return false;
  for (const Strided& s : operands) {
    if (s.dtype != t) return false;
  }
  return true;
}

void execute_integer_tensor_tensor(Context& c) {
  namespace slot = isa::slots::tensor_tensor;
  const auto op = static_cast<AluOp>(c.word(slot::op));
  const bool is_signed = c.operand(slot::dst).dtype != DType::uint32;
  const Strided inputs[] = {c.operand(slot::data1), c.operand(slot::data2)};
  map_words(c, inputs, [&](const auto& words) { return integer_apply(op, words[0], words[1], is_signed); });
}

void execute_bits_tensor_tensor(Context& c) {
  namespace slot = isa::slots::tensor_tensor;
  const auto op = static_cast<AluOp>(c.word(slot::op));
  const size_t bytes = c.operand(slot::dst).element_bytes();
  const Strided inputs[] = {c.operand(slot::data1), c.operand(slot::data2)};
  map_words(c, inputs, [&](const auto& words) { return apply_bits(op, false, words[0], words[1], bytes); });
}

void execute_bits_tensor_scalar(Context& c) {
  namespace slot = isa::slots::tensor_scalar;
  const auto op0 = static_cast<AluOp>(c.word(slot::op0)), op1 = static_cast<AluOp>(c.word(slot::op1));
  for (AluOp op : {op0, op1}) {
    if (!is_bitvec(op) && op != AluOp::bypass) return c.fault("bitvec and arithmetic operators do not mix");
  }
  const Strided& data = c.operand(slot::data);
  const size_t bytes = data.element_bytes();
  const std::array<uint32_t, 2> immediates = {c.word(slot::imm0), c.word(slot::imm1)};
  std::array<Strided, 3> inputs = {data, Strided{}, Strided{}};
  for (int k = 0; k < 2; ++k) {
    const int operand = k == 0 ? slot::operand0 : slot::operand1;
    Strided& s = inputs[static_cast<size_t>(k + 1)];
    if (c.has(operand)) {
      s = broadcast_over_free(c.operand(operand), row_elements(data));
      continue;
    }
    s.base = const_cast<std::byte*>(reinterpret_cast<const std::byte*>(&immediates[static_cast<size_t>(k)]));
    s.dtype = DType::uint32;
    s.rank = 1;
    s.count[0] = static_cast<uint32_t>(data.elements());
  }
  const bool reverse0 = c.flag(slot::reverse0), reverse1 = c.flag(slot::reverse1);
  map_words(c, inputs, [&](const auto& words) {
    const uint64_t first = apply_bits(op0, reverse0, words[0], words[1], bytes);
    return apply_bits(op1, reverse1, first, words[2], bytes);
  });
}

}  // namespace presil::chip
