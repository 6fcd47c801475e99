// What each instruction asks of its operands beyond the table: shapes, types, operators (fact sheet, section 9). Those
// of the vector engine are in vector_constraints.cc, products of the tensor engine in matmul_constraints.cc, transfers
// in dma_constraints.cc.
#include "isa/constraints.h"

#include <fmt/format.h>

#include "isa/slots.h"
#include "numerics/activation.h"

namespace presil::isa {
namespace {

void check_transpose(const Check& c) {
  namespace s = slots::nc_transpose;
  bool tensor = c.instruction.engine == EngineKind::tensor;
  partitions_at_most(c, s::data, tensor ? c.spec.tensor.rows : kVectorBlock,
                     tensor ? "the array's rows take" : "a block has");
  elements_within(c, s::data, 1, tensor ? c.spec.tensor.columns : kVectorBlock);
  transposed_shape(c, s::dst, c.operand(s::data).partitions, c.elements(s::data));
  if (tensor) type_among(c, s::data, {DType::fp32, DType::tf32, DType::bf16, DType::fp16});
  if (tensor && c.spec.generation < 3) {
    type_among(c, s::dst, {DType::fp32});
  } else {
    same_type(c, s::dst, s::data);
  }
}

// activation and activation_reduce have these in common.
void check_activation_operands(const Check& c) {
  namespace s = slots::activation;
  same_shape(c, s::data, s::dst);
  fp32_per_partition(c, s::scale, s::data);
  value_per_partition(c, s::bias, s::data);
  value_per_partition(c, s::reduce_res, s::dst);
  if (c.present(s::bias) && c.operand(s::bias).dtype == DType::tf32) c.fail_operand(s::bias, "type is tf32, illegal");
  if (c.spec.generation >= 3) return;
  float bias = c.program.f32(c.instruction, s::bias_imm);
  if (!c.present(s::bias) && bias != 0) {
    c.fail_attribute(s::bias_imm, fmt::format("{} as an immediate needs generation 3; use the bias operand", bias));
  }
  if (static_cast<Activation>(c.word(s::op)) == Activation::reciprocal && c.present(s::bias)) {
    c.fail_operand(s::bias, "reciprocal takes a bias from generation 3 on");
  }
}

void check_activation(const Check& c) {
  check_activation_operands(c);
  check_command(c, slots::activation::reduce_cmd,
                {ReduceCommand::idle, ReduceCommand::reset, ReduceCommand::reduce, ReduceCommand::reset_reduce});
}

// The six pairs of operators (fact sheet, section 9.3).
void check_activate2_ops(const Check& c) {
  namespace s = slots::activate2;
  const AluOp op0 = alu(c, s::op0), op1 = alu(c, s::op1);
  const bool alone = op1 == AluOp::bypass &&
                     (op0 == AluOp::multiply || op0 == AluOp::add || op0 == AluOp::subtract || op0 == AluOp::bypass);
  const bool pair = op0 == AluOp::multiply && (op1 == AluOp::add || op1 == AluOp::subtract);
  if (!alone && !pair) {
    c.fail("", fmt::format("does {}, {}; legal: multiply and add, multiply and subtract, multiply, add, subtract, "
                           "bypass",
                           alu_op_name(op0), alu_op_name(op1)));
  }
  if (op0 == AluOp::bypass && c.word(s::reverse0) != 0) c.fail_attribute(s::reverse0, "op0 is bypass");
  if (op1 == AluOp::bypass && c.word(s::reverse1) != 0) c.fail_attribute(s::reverse1, "op1 is bypass");
}

void check_activate2(const Check& c) {
  namespace s = slots::activate2;
  same_shape(c, s::data, s::dst);
  check_activate2_ops(c);
  for (int k : {s::operand0, s::operand1, s::relu_param}) value_per_partition(c, k, s::data);
  if (c.present(s::operand0) && c.present(s::operand1)) same_type(c, s::operand1, s::operand0);
  value_per_partition(c, s::reduce_res, s::dst);
  check_comparison(c, s::reduce_op, {AluOp::add, AluOp::max, AluOp::min, AluOp::abs_max, AluOp::abs_min});
  check_command(c, s::reduce_cmd,
                {ReduceCommand::idle, ReduceCommand::reset, ReduceCommand::reduce, ReduceCommand::reset_reduce});
}

void check_affine_select(const Check& c) {
  namespace s = slots::affine_select;
  same_shape(c, s::on_true, s::dst);
  check_comparison(c, s::cmp_op, {AluOp::eq, AluOp::ne, AluOp::ge, AluOp::gt, AluOp::le, AluOp::lt});
}

// Iteration counts of the affine index come from dst's own dimensions, and there are four steps.
void check_affine_rank(const Check& c, int dst) {
  if (c.operand(dst).rank > 4)
    c.fail_operand(dst, fmt::format("{} dimensions, there are 4 steps", c.operand(dst).rank));
}

void check_gather(const Check& c) {
  namespace s = slots::nc_n_gather;
  same_shape(c, s::indices, s::dst);
  same_partitions(c, s::data, s::dst);
  type_among(c, s::indices, {DType::uint32});
}

void check_partition_reduce(const Check& c) {
  namespace s = slots::tensor_partition_reduce;
  same_elements(c, s::data, s::dst);
  if (c.operand(s::dst).partitions != 1) {
    c.fail_operand(s::dst, fmt::format("{} partitions, expected 1", c.operand(s::dst).partitions));
  }
  AluOp op = alu(c, s::op);
  if (op != AluOp::add && op != AluOp::max && op != AluOp::bit_and && op != AluOp::bit_or) {
    return fail_op(c, s::op, "is not one of add, max, bit_and, bit_or");
  }
  if (c.word(s::average) != 0 && op != AluOp::add) {
    c.fail_attribute(s::average, fmt::format("op is {}, an average is of a sum", alu_op_name(op)));
  }
  if (!is_bitvec(op)) return;
  for (int k : {s::dst, s::data}) type_is_integer(c, k);
}

// A register holds one element of up to 32 bits.
void check_one_element(const Check& c, int k) {
  const View& v = c.operand(k);
  if (v.elements() != 1) c.fail_operand(k, fmt::format("{} elements, a register holds one", v.elements()));
  if (dtype_bytes(v.dtype) > 4 || is_packed(v.dtype))
    c.fail_operand(k, fmt::format("type is {}, a register holds one element of up to 32 bits", dtype_name(v.dtype)));
}

// Fact sheet 9.5 and 3.4: the processors' own DMA engines move at most 256 elements per partition.
void check_sendrecv(const Check& c) {
  namespace s = slots::sendrecv;
  constexpr uint64_t kGpsimdElementsMax = 256;
  for (const int k : {s::send_to_rank, s::recv_from_rank}) {
    if (c.word(k) > 1)
      c.fail_attribute(k, fmt::format("{}, a pair has cores 0 and 1", static_cast<int32_t>(c.word(k))));
  }
  if (c.word(s::send_to_rank) != c.word(s::recv_from_rank))
    c.fail_attribute(s::recv_from_rank, fmt::format("{}, but sends to {}: the other core is one and the same",
                                                    c.word(s::recv_from_rank), c.word(s::send_to_rank)));
  const View &dst = c.operand(s::dst), &src = c.operand(s::src);
  if (dst.dtype != src.dtype)
    c.fail_operand(s::src, fmt::format("type is {}, dst's is {}", dtype_name(src.dtype), dtype_name(dst.dtype)));
  if (dst.partitions != src.partitions || c.elements(s::dst) != c.elements(s::src))
    c.fail_operand(s::src, fmt::format("{} x {} elements, dst has {} x {}", src.partitions, c.elements(s::src),
                                       dst.partitions, c.elements(s::dst)));
  if (c.word(s::gpsimd_dma) == 0) return;
  if (c.instruction.engine != EngineKind::gpsimd)
    c.fail_attribute(s::gpsimd_dma,
                     fmt::format("on the {} engine, gpsimd has these DMA engines", engine_name(c.instruction.engine)));
  if (c.elements(s::src) > kGpsimdElementsMax)
    c.fail_operand(s::src, fmt::format("{} elements per partition, gpsimd's DMA engines move at most {}",
                                       c.elements(s::src), kGpsimdElementsMax));
}

}  // namespace

void check_constraints(const Check& c) {
  switch (c.instruction.opcode) {
    case Opcode::nc_matmul:
      return check_matmul(c);
    case Opcode::nc_transpose:
      return check_transpose(c);
    case Opcode::tensor_copy:
      return check_tensor_copy(c);
    case Opcode::tensor_tensor:
      return check_tensor_tensor(c);
    case Opcode::tensor_scalar:
      return check_tensor_scalar(c);
    case Opcode::scalar_tensor_tensor:
      return check_scalar_tensor_tensor(c);
    case Opcode::tensor_reduce:
      return check_tensor_reduce(c);
    case Opcode::tensor_copy_predicated:
      return check_predicated(c);
    case Opcode::select_reduce:
      return check_select_reduce(c);
    case Opcode::range_select:
      return check_range_select(c);
    case Opcode::reciprocal:
      return same_shape(c, slots::reciprocal::data, slots::reciprocal::dst);
    case Opcode::memset:
      return check_memset(c);
    case Opcode::max8:
      return check_max8(c);
    case Opcode::nc_find_index8:
      return check_find_index8(c);
    case Opcode::bn_stats:
      return check_bn_stats(c);
    case Opcode::bn_aggr:
      return check_bn_aggr(c);
    case Opcode::nc_stream_shuffle:
      return check_shuffle(c);
    case Opcode::tensor_tensor_scan:
      return check_scan(c);
    case Opcode::activation:
      return check_activation(c);
    case Opcode::iota:
      return check_affine_rank(c, slots::iota::dst);
    case Opcode::affine_select:
      check_affine_rank(c, slots::affine_select::dst);
      return check_affine_select(c);
    case Opcode::nc_n_gather:
      return check_gather(c);
    case Opcode::tensor_partition_reduce:
      return check_partition_reduce(c);
    case Opcode::dma_copy:
      return check_dma_copy(c);
    case Opcode::dma_transpose:
      return check_dma_transpose(c);
    case Opcode::tensor_scalar_reduce:
      return check_tensor_scalar_reduce(c);
    case Opcode::tensor_scalar_cumulative:
      return check_tensor_scalar_cumulative(c);
    case Opcode::nc_match_replace8:
      return check_match_replace8(c);
    case Opcode::activation_reduce:
      return check_activation_operands(c);
    case Opcode::exponential:
      return check_exponential(c);
    case Opcode::rand2:
      return check_rand2(c);
    case Opcode::activate2:
      return check_activate2(c);
    case Opcode::dma_compute:
      return check_dma_compute(c);
    case Opcode::sendrecv:
      return check_sendrecv(c);
    case Opcode::rng:
      return check_rng(c);
    case Opcode::set_rng_seed:
      return check_rng_seed(c);
    case Opcode::rand_set_state:
    case Opcode::rand_get_state:
      return check_rng_state(c);
    case Opcode::dropout:
      return check_dropout(c);
    case Opcode::local_gather:
      return check_local_gather(c);
    case Opcode::sequence_bounds:
      return check_sequence_bounds(c);
    case Opcode::nonzero_with_count:
      return check_nonzero(c);
    case Opcode::topk:
      return check_topk(c);
    case Opcode::register_load:
      return check_one_element(c, slots::register_load::src);
    case Opcode::register_store:
      return check_one_element(c, slots::register_store::dst);
    case Opcode::nc_matmul_mx:
      return check_matmul_mx(c);
    case Opcode::nc_matmul_sparse:
      return check_matmul_sparse(c);
    case Opcode::quantize_mx:
      return check_quantize_mx(c);
    case Opcode::core_barrier:
    case Opcode::wait:
    case Opcode::register_move:
    case Opcode::register_alu:
    case Opcode::branch:
    case Opcode::loop:
    case Opcode::loop_end:
    case Opcode::halt:
      return;
  }
}

}  // namespace presil::isa
