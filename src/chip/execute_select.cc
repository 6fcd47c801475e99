// Selections: dst takes one of two values by a mask, a range or an affine condition; and iota, whose values are affine.
#include <cstring>
#include <limits>

#include "chip/execute_internal.h"
#include "isa/slots.h"
#include "numerics/float_bits.h"
#include "numerics/reduce.h"

namespace presil::chip {
namespace {

constexpr float kLowest = std::numeric_limits<float>::lowest();

bool nonzero(const std::byte* p, size_t bytes) {
  uint64_t word = 0;
  std::memcpy(&word, p, bytes);
  return word != 0;
}

// The running maximum of select_reduce and range_select.
bool supported(Context& c, ReduceCommand command) {
  if (command != ReduceCommand::load_reduce) return true;
  c.fault("load_reduce is not available here");
  return false;
}

void accumulate_max(Context& c, uint32_t lane_index, ReduceCommand command, std::span<const float> row) {
  float& lane = c.registers.vector[lane_index];
  if (command == ReduceCommand::reset || command == ReduceCommand::reset_reduce) lane = -numerics::kInfinity;
  if (command == ReduceCommand::reduce || command == ReduceCommand::reset_reduce) {
    lane = alu_apply(AluOp::max, lane, numerics::reduce_span(AluOp::max, row));
  }
}

// offset + p * channel_multiplier + sum of index_k * step_k in int32 (wrapping), for each element in order:
// body(partition, position in the row, value).
struct Affine {
  int offset_slot, multiplier_slot, step_slot;
};
template <class Body>
void for_each_affine(Context& c, const Affine& slots, const Strided& shape, Body&& body) {
  if (shape.rank > 5) return c.fault("dst has more than four free dimensions");
  const uint32_t offset = c.word(slots.offset_slot), multiplier = c.word(slots.multiplier_slot);
  const auto dims = static_cast<size_t>(shape.rank - 1);
  std::array<uint32_t, kMaxDims> steps{}, index{};
  for (size_t d = 0; d < dims; ++d) steps[d] = c.word(slots.step_slot + static_cast<int>(d));
  const uint64_t row = row_elements(shape);
  for (uint32_t p = 0; p < shape.count[0]; ++p) {
    uint32_t value = offset + p * multiplier;
    index = {};
    for (uint64_t i = 0; i < row; ++i) {
      body(p, i, static_cast<int32_t>(value));
      for (size_t d = dims; d-- > 0;) {
        value += steps[d];
        if (++index[d] < shape.count[d + 1]) break;
        value -= steps[d] * shape.count[d + 1];
        index[d] = 0;
      }
    }
  }
}

bool same_partitions(Context& c, std::initializer_list<int> operands) {
  for (int k : operands) {
    if (c.has(k) && c.operand(k).count[0] != c.operand(0).count[0]) {
      c.fault("operands have different numbers of partitions");
      return false;
    }
  }
  return true;
}

bool same_elements(Context& c, std::initializer_list<int> operands) {
  for (int k : operands) {
    if (c.has(k) && c.operand(k).elements() != c.operand(0).elements()) {
      c.fault("operands have different numbers of elements");
      return false;
    }
  }
  return true;
}

// int32 values in dst's type: exact for 32- and 64-bit integers (saturating at 0 for uint32), else through fp32.
uint64_t from_int32(DType t, int32_t value) {
  switch (t) {
    case DType::int32:
      return static_cast<uint32_t>(value);
    case DType::uint32:
      return value < 0 ? 0u : static_cast<uint32_t>(value);
    case DType::int64:
      return static_cast<uint64_t>(static_cast<int64_t>(value));
    default:
      return numerics::from_fp32(t, static_cast<float>(value));
  }
}

}  // namespace

void execute_copy_predicated(Context& c) {
  namespace slot = isa::slots::tensor_copy_predicated;
  if (!same_elements(c, {slot::src, slot::predicate})) return;
  const Strided& dst = c.operand(slot::dst);
  const size_t bytes = dst.element_bytes();
  const uint64_t immediate = numerics::from_fp32(dst.dtype, c.f32(slot::imm));
  Strided src =
      contiguous(const_cast<std::byte*>(reinterpret_cast<const std::byte*>(&immediate)), dst.dtype, dst.elements());
  src.step[0] = 0;
  if (c.has(slot::src)) src = c.operand(slot::src);
  const Strided inputs[] = {src, c.operand(slot::predicate)};
  const Nest nest = prepare_nest(c, dst, inputs);
  const RunFormat from = run_format(src.dtype), to = run_format(dst.dtype);
  const bool wanted = !c.flag(slot::reverse_pred), same_type = src.dtype == dst.dtype;
  const size_t predicate_bytes = inputs[1].element_bytes();
  for_each_run(nest, [&](std::array<std::byte*, kMaxJoined> at) {
    for (uint32_t i = 0; i < nest.run(); ++i) {
      if (nonzero(at[2], predicate_bytes) == wanted) {
        if (same_type) {
          std::memcpy(at[0], at[1], bytes);
        } else {
          float value = 0.0f;
          from.load(at[1], &value, 1);
          to.store(&value, at[0], 1);
        }
      }
      for (size_t k = 0; k < 3; ++k) at[k] += nest.run_step(static_cast<int>(k));
    }
  });
}

void execute_select_reduce(Context& c) {
  namespace slot = isa::slots::select_reduce;
  const auto command = static_cast<ReduceCommand>(c.word(slot::reduce_cmd));
  if (!supported(c, command) || !same_elements(c, {slot::predicate, slot::on_true})) return;
  if (!same_partitions(c, {slot::predicate, slot::on_true, slot::on_false, slot::reduce_res})) return;
  const Strided& dst = c.operand(slot::dst);
  std::array<Strided, 2> inputs = {c.operand(slot::predicate), c.operand(slot::on_true)};
  for (size_t k = 0; k < inputs.size(); ++k) stage_overlap(c, dst, inputs[k], k + 1, true);
  const uint64_t row = row_elements(dst);
  const size_t predicate_bytes = inputs[0].element_bytes();
  std::byte* mask = c.scratch().rows[0].bytes(row * predicate_bytes);
  float* values = c.scratch().rows[1].floats(row);
  std::vector<float>& lanes = c.registers.vector;
  std::array<float, 1> other{c.f32(slot::imm)};
  const bool wanted = !c.flag(slot::reverse_pred);
  Strided on_false;
  if (c.has(slot::on_false)) {
    on_false = c.operand(slot::on_false);
    if (row_elements(on_false) != 1) return c.fault("on_false has one element for each of dst's partitions");
    stage_overlap(c, dst, on_false, 3, false);
  }
  const Rows from(inputs[1]), to(dst);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    copy_elements(c, contiguous(mask, inputs[0].dtype, row), row_of(inputs[0], p));
    from.read(p, values);
    if (c.has(slot::on_false)) other[0] = read_value(on_false, p);
    for (uint64_t i = 0; i < row; ++i) {
      if (nonzero(mask + i * predicate_bytes, predicate_bytes) != wanted) values[i] = other[0];
    }
    to.write(p, values);
    accumulate_max(c, dst.partition_begin + p, command, {values, row});
    if (c.has(slot::reduce_res)) write_value(c.operand(slot::reduce_res), p, lanes[dst.partition_begin + p]);
  }
}

void execute_range_select(Context& c) {
  namespace slot = isa::slots::range_select;
  const auto command = static_cast<ReduceCommand>(c.word(slot::reduce_cmd));
  if (!supported(c, command) || !same_elements(c, {slot::on_true})) return;
  if (!same_partitions(c, {slot::on_true, slot::bound0, slot::bound1, slot::reduce_res})) return;
  const auto op0 = static_cast<AluOp>(c.word(slot::comp_op0)), op1 = static_cast<AluOp>(c.word(slot::comp_op1));
  const Strided& dst = c.operand(slot::dst);
  std::array<Strided, 3> inputs = {c.operand(slot::on_true), c.operand(slot::bound0), c.operand(slot::bound1)};
  for (size_t k = 0; k < inputs.size(); ++k) stage_overlap(c, dst, inputs[k], k + 1, true);
  const uint64_t row = row_elements(dst);
  const auto start = static_cast<int32_t>(c.word(slot::range_start));
  float* values = c.scratch().rows[0].floats(row);
  const Rows from(inputs[0]), to(dst);
  for (uint32_t p = 0; p < dst.count[0]; ++p) {
    from.read(p, values);
    const float bound0 = read_value(inputs[1], p), bound1 = read_value(inputs[2], p);
    for (uint64_t i = 0; i < row; ++i) {
      const auto j = static_cast<float>(start + static_cast<int64_t>(i));
      if (alu_apply(op0, j, bound0) == 0.0f || alu_apply(op1, j, bound1) == 0.0f) values[i] = kLowest;
    }
    to.write(p, values);
    accumulate_max(c, dst.partition_begin + p, command, {values, row});
    if (c.has(slot::reduce_res))
      write_value(c.operand(slot::reduce_res), p, c.registers.vector[dst.partition_begin + p]);
  }
}

void execute_iota(Context& c) {
  namespace slot = isa::slots::iota;
  const Strided& dst = c.operand(slot::dst);
  const size_t bytes = dst.element_bytes();
  const uint64_t row = row_elements(dst);
  std::byte* values = c.scratch().rows[0].bytes(row * bytes);
  for_each_affine(c, {slot::offset, slot::channel_multiplier, slot::step0}, dst,
                  [&](uint32_t p, uint64_t i, int32_t value) {
                    const uint64_t word = from_int32(dst.dtype, value);
                    std::memcpy(values + i * bytes, &word, bytes);
                    if (i + 1 == row) copy_elements(c, row_of(dst, p), contiguous(values, dst.dtype, row));
                  });
}

void execute_affine_select(Context& c) {
  namespace slot = isa::slots::affine_select;
  if (!same_elements(c, {slot::on_true}) || !same_partitions(c, {slot::on_true})) return;
  const auto op = static_cast<AluOp>(c.word(slot::cmp_op));
  const Strided& dst = c.operand(slot::dst);
  Strided on_true = c.operand(slot::on_true);
  stage_overlap(c, dst, on_true, 1, true);
  const size_t bytes = dst.element_bytes();
  const uint64_t row = row_elements(dst), other = numerics::from_fp32(dst.dtype, c.f32(slot::value));
  std::byte* values = c.scratch().rows[0].bytes(row * bytes);
  for_each_affine(c, {slot::offset, slot::channel_multiplier, slot::step0}, dst,
                  [&](uint32_t p, uint64_t i, int32_t value) {
                    if (i == 0) {
                      Strided all = contiguous(values, dst.dtype, row);
                      if (on_true.dtype == dst.dtype) {
                        copy_elements(c, all, row_of(on_true, p));
                      } else {
                        float* converted = c.scratch().rows[1].floats(row);
                        Rows(on_true).read(p, converted);
                        numerics::store_span(dst.dtype, converted, values, row);
                      }
                    }
                    // Compared as integers' signs: exact for every int32.
                    const float sign = value > 0 ? 1.0f : value < 0 ? -1.0f : 0.0f;
                    if (alu_apply(op, sign, 0.0f) == 0.0f) std::memcpy(values + i * bytes, &other, bytes);
                    if (i + 1 == row) copy_elements(c, row_of(dst, p), contiguous(values, dst.dtype, row));
                  });
}

}  // namespace presil::chip
