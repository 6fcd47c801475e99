// What the vector engine's instructions ask of their operands beyond the table (fact sheet, sections 6.6 and 9.2).
#include <fmt/format.h>

#include <cmath>

#include "isa/constraints.h"
#include "isa/slots.h"

namespace presil::isa {
namespace {

constexpr auto kSelectCommands = {ReduceCommand::idle, ReduceCommand::reduce, ReduceCommand::reset_reduce};

constexpr auto kAccumulateCommands = {ReduceCommand::reduce, ReduceCommand::reset_reduce, ReduceCommand::load_reduce};

// What an accumulator starts with is said where it is loaded, and only there.
void check_initial(const Check& c, int initial, int command) {
  if (!c.present(initial) || static_cast<ReduceCommand>(c.word(command)) == ReduceCommand::load_reduce) return;
  c.fail_operand(initial, fmt::format("reduce_cmd is {}, only load_reduce takes it",
                                      reduce_command_name(static_cast<ReduceCommand>(c.word(command)))));
}

// The running maximum of select_reduce and range_select.
void check_maximum(const Check& c, int k, int reference) {
  value_per_partition(c, k, reference);
  if (c.present(k)) type_is_float(c, k);
}

constexpr uint64_t kSearchMin = 8, kSearchMax = 16384;

void check_tensor_scalar_engine(const Check& c) {
  namespace s = slots::tensor_scalar;
  AluOp op0 = alu(c, s::op0), op1 = alu(c, s::op1);
  if (c.instruction.engine == EngineKind::gpsimd && op0 != AluOp::rsqrt && op1 != AluOp::rsqrt) {
    c.fail("", fmt::format("does {}, {} on the gpsimd engine; one must be rsqrt", alu_op_name(op0), alu_op_name(op1)));
  }
  if (c.instruction.engine != EngineKind::scalar) return;
  if (c.spec.generation < 3) c.fail("", "needs generation 3 on the scalar engine");
  if (c.spec.generation >= 4) return;  // there, as on the vector engine
  bool one = (op0 == AluOp::multiply || op0 == AluOp::add) && op1 == AluOp::bypass;
  bool both = op0 == AluOp::multiply && op1 == AluOp::add;
  if (!one && !both) {
    c.fail("", fmt::format("does {}, {} on the scalar engine; legal: multiply and add, multiply, add", alu_op_name(op0),
                           alu_op_name(op1)));
  }
}

// The documented start rule goes by whole blocks: 33 partitions occupy 64.
void check_shuffle_start(const Check& c, int k) {
  const View& v = c.operand(k);
  if (v.base != kAbsolute || v.partition % kVectorBlock == 0) return;
  c.fail_operand(k, fmt::format("starts at partition {}, expected a multiple of {}", v.partition, kVectorBlock));
}

}  // namespace

void check_tensor_copy(const Check& c) {
  namespace s = slots::tensor_copy;
  same_shape(c, s::src, s::dst);
  if (c.instruction.engine == EngineKind::scalar && c.spec.generation < 3) {
    c.fail("", "needs generation 3 on the scalar engine; use activation with copy");
  }
}

void check_tensor_tensor(const Check& c) {
  namespace s = slots::tensor_tensor;
  same_shape(c, s::data1, s::dst);
  same_shape(c, s::data2, s::dst);
  not_both_in_psum(c, s::data1, s::data2);
  check_op(c, s::op);
  check_binary_op(c, s::op);
  if (is_bitvec(alu(c, s::op))) {
    for (int k : {s::dst, s::data1, s::data2}) type_is_integer(c, k);
  }
}

void check_tensor_scalar(const Check& c) {
  namespace s = slots::tensor_scalar;
  same_shape(c, s::data, s::dst);
  check_op(c, s::op0);
  check_op(c, s::op1);
  check_tensor_scalar_engine(c);
  AluOp op0 = alu(c, s::op0), op1 = alu(c, s::op1);
  auto neutral = [](AluOp op) { return op == AluOp::bypass; };
  bool bits = is_bitvec(op0) || is_bitvec(op1);
  if (is_bitvec(op0) != is_bitvec(op1) && !neutral(op0) && !neutral(op1)) {
    fail_op(c, s::op1, fmt::format("does not combine with {}: one works on bits, one on numbers", alu_op_name(op0)));
  }
  check_late_op(c, s::op0, true);
  check_late_op(c, s::op1, false);
  if (bits) {
    for (int k : {s::dst, s::data}) type_is_integer(c, k);
  }
  for (int k : {s::operand0, s::operand1}) {
    if (!c.present(k)) continue;
    value_per_partition(c, k, s::data);
    bits ? type_is_integer(c, k) : type_among(c, k, {DType::fp32});
  }
}

void check_scalar_tensor_tensor(const Check& c) {
  namespace s = slots::scalar_tensor_tensor;
  same_shape(c, s::data, s::dst);
  same_shape(c, s::operand1, s::dst);
  not_both_in_psum(c, s::data, s::operand1);
  fp32_per_partition(c, s::operand0, s::data);
  for (int k : {s::op0, s::op1}) {
    check_op(c, k);
    check_arithmetic_op(c, k);
    check_late_op(c, k, false);
  }
}

void check_tensor_reduce(const Check& c) {
  namespace s = slots::tensor_reduce;
  same_partitions(c, s::data, s::dst);
  check_reduction_op(c, s::op, {s::dst, s::data});
  if (is_bitvec(alu(c, s::op)) && c.word(s::negate) != 0) c.fail_attribute(s::negate, "does not combine with bits");
  const View& data = c.operand(s::data);
  auto axes = static_cast<int32_t>(c.word(s::axes));
  if (axes < 1 || axes > data.rank) {
    return c.fail_attribute(s::axes, fmt::format("{} dimensions reduced, data has {}", axes, data.rank));
  }
  uint64_t kept = 1;
  for (int d = 0; d < data.rank - axes; ++d) kept *= data.dims[static_cast<size_t>(d)].count;
  elements_are(c, s::dst, kept);
}

void check_predicated(const Check& c) {
  namespace s = slots::tensor_copy_predicated;
  same_shape(c, s::predicate, s::dst);
  type_among(c, s::predicate, {DType::uint8, DType::uint16, DType::uint32, DType::boolean});
  if (!c.present(s::src)) return;
  same_shape(c, s::src, s::dst);
  same_type(c, s::src, s::dst);
  not_both_in_psum(c, s::src, s::predicate);
}

void check_select_reduce(const Check& c) {
  namespace s = slots::select_reduce;
  same_shape(c, s::predicate, s::dst);
  same_shape(c, s::on_true, s::dst);
  not_both_in_psum(c, s::predicate, s::on_true);
  type_among(c, s::predicate, {DType::int8, DType::uint8, DType::int16, DType::uint16, DType::boolean});
  DType t = c.operand(s::on_true).dtype;
  if (t == DType::tf32 || t == DType::int32 || t == DType::uint32) {
    c.fail_operand(s::on_true, fmt::format("type is {}; illegal: tf32, int32, uint32", dtype_name(t)));
  }
  fp32_per_partition(c, s::on_false, s::dst);
  check_maximum(c, s::reduce_res, s::dst);
  check_command(c, s::reduce_cmd, kSelectCommands);
}

void check_range_select(const Check& c) {
  namespace s = slots::range_select;
  same_shape(c, s::on_true, s::dst);
  type_is_float(c, s::on_true);
  fp32_per_partition(c, s::bound0, s::dst);
  fp32_per_partition(c, s::bound1, s::dst);
  check_maximum(c, s::reduce_res, s::dst);
  for (int k : {s::comp_op0, s::comp_op1}) {
    check_comparison(c, k, {AluOp::eq, AluOp::ge, AluOp::gt, AluOp::le, AluOp::lt});
  }
  check_command(c, s::reduce_cmd, kSelectCommands);
  constexpr int64_t exact = 1 << 24;  // indices are compared in fp32
  int64_t first = static_cast<int32_t>(c.word(s::range_start));
  int64_t last = first + static_cast<int64_t>(c.elements(s::dst)) - 1;
  if (first <= -exact || last >= exact) {
    c.fail_attribute(s::range_start, fmt::format("indices {} to {}, fp32 is exact below {}", first, last, exact));
  }
}

void check_memset(const Check& c) {
  namespace s = slots::memset;
  float value = c.program.f32(c.instruction, s::value);
  if (is_packed(c.operand(s::dst).dtype)) {
    if (value == 0) return;
    return c.fail_attribute(s::value, fmt::format("{} in elements of four numbers, only 0 is legal", value));
  }
  if (is_float(c.operand(s::dst).dtype) || (std::isfinite(value) && value == std::trunc(value))) return;
  c.fail_attribute(s::value, fmt::format("{} is no value of {}", value, dtype_name(c.operand(s::dst).dtype)));
}

void check_max8(const Check& c) {
  namespace s = slots::max8;
  same_partitions(c, s::src, s::dst);
  elements_within(c, s::src, kSearchMin, kSearchMax);
  elements_are(c, s::dst, 8);
  uint8_t rank = simplified(c.operand(s::src)).rank;
  if (rank > 3) c.fail_operand(s::src, fmt::format("{} dimensions, at most 3", rank));
}

void check_find_index8(const Check& c) {
  namespace s = slots::nc_find_index8;
  same_partitions(c, s::data, s::dst);
  same_partitions(c, s::vals, s::dst);
  elements_within(c, s::data, kSearchMin, kSearchMax);
  elements_are(c, s::vals, 8);
  elements_are(c, s::dst, 8);
  type_among(c, s::dst, {DType::uint16, DType::uint32});
}

void check_bn_stats(const Check& c) {
  namespace s = slots::bn_stats;
  same_partitions(c, s::data, s::dst);
  elements_within(c, s::data, 1, 512);
  elements_are(c, s::dst, 6);
}

void check_bn_aggr(const Check& c) {
  namespace s = slots::bn_aggr;
  same_partitions(c, s::data, s::dst);
  elements_are(c, s::dst, 2);
  if (c.elements(s::data) % 3 != 0) {
    c.fail_operand(s::data, fmt::format("{} elements per partition, expected a multiple of 3", c.elements(s::data)));
  }
}

void check_shuffle(const Check& c) {
  namespace s = slots::nc_stream_shuffle;
  same_shape(c, s::src, s::dst);
  same_type(c, s::src, s::dst);
  check_shuffle_start(c, s::dst);
  check_shuffle_start(c, s::src);
  const uint32_t partitions = c.operand(s::dst).partitions;
  for (uint32_t k = 0; k < kVectorBlock; ++k) {
    const auto slot = static_cast<int>(k / 4);
    const uint32_t from = (c.word(slot) >> (8 * (k % 4))) & 255;
    if (from == 255) continue;
    if (from >= kVectorBlock) {
      c.fail_attribute(slot, fmt::format("byte {} is {}, expected 0 to 31 or 255", k % 4, from));
    } else if (k < partitions) {
      // The last block that has a partition k may have no partition `from`.
      const uint32_t named = (partitions - 1 - k) / kVectorBlock * kVectorBlock + from;
      if (named >= partitions)
        c.fail_attribute(slot, fmt::format("byte {} names partition {}, there are {}", k % 4, named, partitions));
    }
  }
}

void check_scan(const Check& c) {
  namespace s = slots::tensor_tensor_scan;
  same_shape(c, s::data0, s::dst);
  same_shape(c, s::data1, s::dst);
  not_both_in_psum(c, s::data0, s::data1);
  fp32_per_partition(c, s::initial, s::dst);
  for (int k : {s::op0, s::op1}) {
    check_op(c, k);
    check_arithmetic_op(c, k);
    check_binary_op(c, k);
  }
}

void check_tensor_scalar_reduce(const Check& c) {
  namespace s = slots::tensor_scalar_reduce;
  same_shape(c, s::data, s::dst);
  for (int k : {s::operand0, s::initial}) fp32_per_partition(c, k, s::dst);
  value_per_partition(c, s::reduce_res, s::dst);
  check_op(c, s::op0);
  check_arithmetic_op(c, s::op0);
  check_late_op(c, s::op0, true);
  check_comparison(c, s::reduce_op, {AluOp::add, AluOp::multiply, AluOp::max, AluOp::min});
  check_command(c, s::reduce_cmd, kAccumulateCommands);
  check_initial(c, s::initial, s::reduce_cmd);
}

void check_tensor_scalar_cumulative(const Check& c) {
  namespace s = slots::tensor_scalar_cumulative;
  same_shape(c, s::src, s::dst);
  for (int k : {s::operand0, s::initial}) fp32_per_partition(c, k, s::dst);
  for (int k : {s::dst, s::src}) {
    const DType t = c.operand(k).dtype;
    const bool wide = is_integer(t) && dtype_bytes(t) > 2;
    if (wide || t == DType::tf32)
      c.fail_operand(k, fmt::format("type is {}; illegal: tf32, 32-bit integers", dtype_name(t)));
  }
  check_op(c, s::op0);
  check_arithmetic_op(c, s::op0);
  check_late_op(c, s::op0, false);
  check_comparison(c, s::op1, {AluOp::add, AluOp::subtract, AluOp::multiply, AluOp::max, AluOp::min});
  check_command(c, s::reduce_cmd, kAccumulateCommands);
  check_initial(c, s::initial, s::reduce_cmd);
}

void check_match_replace8(const Check& c) {
  namespace s = slots::nc_match_replace8;
  same_shape(c, s::data, s::dst);
  same_partitions(c, s::vals, s::dst);
  elements_within(c, s::data, kSearchMin, kSearchMax);
  elements_are(c, s::vals, 8);
  if (!c.present(s::dst_idx)) return;
  same_partitions(c, s::dst_idx, s::dst);
  elements_are(c, s::dst_idx, 8);
  type_among(c, s::dst_idx, {DType::uint16, DType::uint32});
}

void check_dropout(const Check& c) {
  namespace s = slots::dropout;
  same_shape(c, s::data, s::dst);
  same_type(c, s::data, s::dst);
  if (!c.present(s::prob)) return;
  value_per_partition(c, s::prob, s::dst);
  if (is_float(c.operand(s::data).dtype)) {
    type_is_float(c, s::prob);
  } else {
    type_among(c, s::prob, {DType::fp32});
  }
}

void check_exponential(const Check& c) {
  namespace s = slots::exponential;
  same_shape(c, s::src, s::dst);
  type_among(c, s::dst,
             {DType::fp8_e4m3, DType::fp8_e5m2, DType::fp16, DType::bf16, DType::fp32, DType::tf32, DType::int8,
              DType::int16, DType::int32, DType::uint8, DType::uint16});
  type_among(c, s::src,
             {DType::fp8_e4m3, DType::fp8_e5m2, DType::fp16, DType::bf16, DType::fp32, DType::int8, DType::int16,
              DType::int32, DType::uint8, DType::uint16, DType::uint32});
  for (int k : {s::max_value, s::initial}) fp32_per_partition(c, k, s::dst);
  value_per_partition(c, s::reduce_res, s::dst);
  if (c.present(s::reduce_res)) {
    type_among(c, s::reduce_res,
               {DType::fp8_e4m3, DType::fp8_e5m2, DType::fp16, DType::bf16, DType::fp32, DType::tf32});
  }
  check_command(c, s::reduce_cmd,
                {ReduceCommand::idle, ReduceCommand::reset_reduce, ReduceCommand::reduce, ReduceCommand::load_reduce});
  check_initial(c, s::initial, s::reduce_cmd);
  const float initial = c.program.f32(c.instruction, s::initial_imm);
  if (initial != 0 && static_cast<ReduceCommand>(c.word(s::reduce_cmd)) != ReduceCommand::load_reduce) {
    c.fail_attribute(s::initial_imm, fmt::format("{}, only load_reduce takes it", initial));
  }
}

void check_rand2(const Check& c) {
  namespace s = slots::rand2;
  type_among(c, s::dst,
             {DType::fp8_e4m3, DType::fp8_e5m2, DType::fp16, DType::bf16, DType::fp32, DType::tf32, DType::int8,
              DType::int16, DType::int32, DType::uint8, DType::uint16, DType::uint32});
  for (int k : {s::min, s::max}) fp32_per_partition(c, k, s::dst);
  const float least = c.program.f32(c.instruction, s::min_imm), most = c.program.f32(c.instruction, s::max_imm);
  if (!c.present(s::min) && !c.present(s::max) && !(least < most))
    c.fail_attribute(s::max_imm, fmt::format("{}, expected more than min_imm's {}", most, least));
}

}  // namespace presil::isa
