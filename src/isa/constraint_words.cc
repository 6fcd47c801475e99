#include <fmt/format.h>

#include "isa/constraints.h"

namespace presil::isa {
namespace {

std::string_view name_of(const Check& c, int k) {
  return row(c.instruction.opcode).operands[static_cast<size_t>(k)].name;
}

bool is_unary(AluOp op) { return op == AluOp::bypass || (op >= AluOp::abs && op <= AluOp::bit_not); }
bool is_reduction(AluOp op) {
  return (op >= AluOp::add && op <= AluOp::min) || (op >= AluOp::logical_and && op <= AluOp::logical_xor) ||
         (op >= AluOp::bit_and && op <= AluOp::bit_xor);
}

}  // namespace

void same_partitions(const Check& c, int k, int reference) {
  uint32_t found = c.operand(k).partitions, expected = c.operand(reference).partitions;
  if (found != expected) {
    c.fail_operand(k, fmt::format("{} partitions, {} has {}", found, name_of(c, reference), expected));
  }
}
void same_elements(const Check& c, int k, int reference) {
  uint64_t found = c.elements(k), expected = c.elements(reference);
  if (found != expected) {
    c.fail_operand(k, fmt::format("{} elements per partition, {} has {}", found, name_of(c, reference), expected));
  }
}
void same_shape(const Check& c, int k, int reference) {
  same_partitions(c, k, reference);
  same_elements(c, k, reference);
}
void same_type(const Check& c, int k, int reference) {
  DType found = c.operand(k).dtype, expected = c.operand(reference).dtype;
  if (found != expected) {
    c.fail_operand(
        k, fmt::format("type is {}, {} has {}", dtype_name(found), name_of(c, reference), dtype_name(expected)));
  }
}
void elements_are(const Check& c, int k, uint64_t expected) {
  if (c.elements(k) != expected) {
    c.fail_operand(k, fmt::format("{} elements per partition, expected {}", c.elements(k), expected));
  }
}
void elements_within(const Check& c, int k, uint64_t least, uint64_t most) {
  if (c.elements(k) < least || c.elements(k) > most) {
    c.fail_operand(k, fmt::format("{} elements per partition, from {} to {}", c.elements(k), least, most));
  }
}
void partitions_at_most(const Check& c, int k, uint32_t most, std::string_view why) {
  if (c.operand(k).partitions > most) {
    c.fail_operand(k, fmt::format("{} partitions, {} at most {}", c.operand(k).partitions, why, most));
  }
}
void type_among(const Check& c, int k, std::initializer_list<DType> legal) {
  std::vector<std::string_view> names;
  for (DType t : legal) {
    if (c.operand(k).dtype == t) return;
    names.push_back(dtype_name(t));
  }
  c.fail_operand(k, fmt::format("type is {}; legal: {}", dtype_name(c.operand(k).dtype), fmt::join(names, ", ")));
}
void type_is_float(const Check& c, int k) {
  if (is_float(c.operand(k).dtype)) return;
  c.fail_operand(k, fmt::format("type is {}, expected a float", dtype_name(c.operand(k).dtype)));
}
void type_is_integer(const Check& c, int k) {
  if (is_integer(c.operand(k).dtype)) return;
  c.fail_operand(k, fmt::format("type is {}, bit operators work on integers", dtype_name(c.operand(k).dtype)));
}

void value_per_partition(const Check& c, int k, int reference) {
  if (!c.present(k)) return;
  same_partitions(c, k, reference);
  elements_are(c, k, 1);
}
void fp32_per_partition(const Check& c, int k, int reference) {
  if (!c.present(k)) return;
  value_per_partition(c, k, reference);
  type_among(c, k, {DType::fp32});
}
void transposed_shape(const Check& c, int dst, uint64_t rows, uint64_t columns) {
  const View& d = c.operand(dst);
  if (d.partitions != columns || c.elements(dst) != rows) {
    c.fail_operand(
        dst, fmt::format("{} x {} elements, the transpose has {} x {}", d.partitions, c.elements(dst), columns, rows));
  }
}
void not_both_in_psum(const Check& c, int a, int b) {
  if (c.operand(a).memory == Memory::psum && c.operand(b).memory == Memory::psum) {
    c.fail_operand(b, fmt::format("is in psum, and so is {}; one of them may be", name_of(c, a)));
  }
}

AluOp alu(const Check& c, int k) { return static_cast<AluOp>(c.word(k)); }

void fail_op(const Check& c, int k, std::string_view why) {
  c.fail_attribute(k, fmt::format("{} {}", alu_op_name(alu(c, k)), why));
}
void check_op(const Check& c, int k) {
  AluOp op = alu(c, k);
  EngineKind engine = c.instruction.engine;
  if (op == AluOp::power && engine != EngineKind::gpsimd) fail_op(c, k, "runs on the gpsimd engine only");
  if (is_bitvec(op) && engine != EngineKind::vector) fail_op(c, k, "runs on the vector engine only");
  if ((op == AluOp::abs_max || op == AluOp::abs_min) && c.spec.generation < 4) fail_op(c, k, "needs generation 4");
}
void check_binary_op(const Check& c, int k) {
  if (is_unary(alu(c, k))) fail_op(c, k, "takes one operand, expected an operator of two");
}
void check_arithmetic_op(const Check& c, int k) {
  if (is_bitvec(alu(c, k))) fail_op(c, k, "works on bits, expected an arithmetic operator");
}
void check_late_op(const Check& c, int k, bool legal_here) {
  if (alu(c, k) != AluOp::square && alu(c, k) != AluOp::relu) return;
  if (!legal_here) return fail_op(c, k, "is legal as op0 of tensor_scalar and tensor_scalar_reduce only");
  if (c.spec.generation < 4) fail_op(c, k, "needs generation 4");
}
void check_comparison(const Check& c, int k, std::initializer_list<AluOp> legal) {
  std::vector<std::string_view> names;
  for (AluOp op : legal) {
    if (alu(c, k) == op) return;
    names.push_back(alu_op_name(op));
  }
  fail_op(c, k, fmt::format("is not one of {}", fmt::join(names, ", ")));
}
void check_command(const Check& c, int k, std::initializer_list<ReduceCommand> legal) {
  auto found = static_cast<ReduceCommand>(c.word(k));
  std::vector<std::string_view> names;
  for (ReduceCommand command : legal) {
    if (command == found) return;
    names.push_back(reduce_command_name(command));
  }
  c.fail_attribute(k, fmt::format("{} is not one of {}", reduce_command_name(found), fmt::join(names, ", ")));
}

void check_reduction_op(const Check& c, int k, std::initializer_list<int> operands) {
  check_op(c, k);
  if (!is_reduction(alu(c, k))) return fail_op(c, k, "does not reduce");
  if (!is_bitvec(alu(c, k))) return;
  for (int operand : operands) type_is_integer(c, operand);
}

}  // namespace presil::isa
