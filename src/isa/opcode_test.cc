// Does the table keep its own rules, and do the constants of slots.h name the table's positions?
#include "isa/opcode.h"

#include <set>

#include "isa/slots.h"

namespace presil::isa {
namespace {

struct Slot {
  Opcode opcode;
  std::string_view name;
  int position;
};

#define O(op, slot) \
  Slot { Opcode::op, #slot, slots::op::slot }
const Slot kOperands[] = {
    O(nc_matmul, dst),
    O(nc_matmul, stationary),
    O(nc_matmul, moving),
    O(nc_transpose, dst),
    O(nc_transpose, data),
    O(tensor_copy, dst),
    O(tensor_copy, src),
    O(tensor_tensor, dst),
    O(tensor_tensor, data1),
    O(tensor_tensor, data2),
    O(tensor_scalar, dst),
    O(tensor_scalar, data),
    O(tensor_scalar, operand0),
    O(tensor_scalar, operand1),
    O(scalar_tensor_tensor, dst),
    O(scalar_tensor_tensor, data),
    O(scalar_tensor_tensor, operand0),
    O(scalar_tensor_tensor, operand1),
    O(tensor_reduce, dst),
    O(tensor_reduce, data),
    O(tensor_copy_predicated, dst),
    O(tensor_copy_predicated, src),
    O(tensor_copy_predicated, predicate),
    O(select_reduce, dst),
    O(select_reduce, predicate),
    O(select_reduce, on_true),
    O(select_reduce, on_false),
    O(select_reduce, reduce_res),
    O(range_select, dst),
    O(range_select, on_true),
    O(range_select, bound0),
    O(range_select, bound1),
    O(range_select, reduce_res),
    O(reciprocal, dst),
    O(reciprocal, data),
    O(memset, dst),
    O(max8, dst),
    O(max8, src),
    O(nc_find_index8, dst),
    O(nc_find_index8, data),
    O(nc_find_index8, vals),
    O(bn_stats, dst),
    O(bn_stats, data),
    O(bn_aggr, dst),
    O(bn_aggr, data),
    O(nc_stream_shuffle, dst),
    O(nc_stream_shuffle, src),
    O(tensor_tensor_scan, dst),
    O(tensor_tensor_scan, data0),
    O(tensor_tensor_scan, data1),
    O(tensor_tensor_scan, initial),
    O(activation, dst),
    O(activation, data),
    O(activation, scale),
    O(activation, bias),
    O(activation, reduce_res),
    O(iota, dst),
    O(affine_select, dst),
    O(affine_select, on_true),
    O(nc_n_gather, dst),
    O(nc_n_gather, data),
    O(nc_n_gather, indices),
    O(tensor_partition_reduce, dst),
    O(tensor_partition_reduce, data),
    O(dma_copy, dst),
    O(dma_copy, src),
    O(dma_transpose, dst),
    O(dma_transpose, src),
    O(dma_gather, dst),
    O(dma_gather, src),
    O(dma_gather, index),
    O(tensor_scalar_reduce, dst),
    O(tensor_scalar_reduce, data),
    O(tensor_scalar_reduce, operand0),
    O(tensor_scalar_reduce, initial),
    O(tensor_scalar_reduce, reduce_res),
    O(tensor_scalar_cumulative, dst),
    O(tensor_scalar_cumulative, src),
    O(tensor_scalar_cumulative, operand0),
    O(tensor_scalar_cumulative, initial),
    O(nc_match_replace8, dst),
    O(nc_match_replace8, data),
    O(nc_match_replace8, vals),
    O(nc_match_replace8, dst_idx),
    O(activation_reduce, dst),
    O(activation_reduce, data),
    O(activation_reduce, scale),
    O(activation_reduce, bias),
    O(activation_reduce, reduce_res),
    O(rng, dst),
    O(set_rng_seed, src_seeds),
    O(rand_set_state, src_seeds),
    O(rand_get_state, dst),
    O(dropout, dst),
    O(dropout, data),
    O(dropout, prob),
    O(local_gather, dst),
    O(local_gather, src_buffer),
    O(local_gather, index),
    O(sequence_bounds, dst),
    O(sequence_bounds, segment_ids),
    O(nonzero_with_count, dst),
    O(nonzero_with_count, src),
    O(topk, val_dst),
    O(topk, idx_dst),
    O(topk, src),
    O(register_load, src),
    O(register_store, dst),
    O(nc_matmul_mx, dst),
    O(nc_matmul_mx, stationary),
    O(nc_matmul_mx, moving),
    O(nc_matmul_mx, stationary_scale),
    O(nc_matmul_mx, moving_scale),
    O(nc_matmul_sparse, dst),
    O(nc_matmul_sparse, stationary),
    O(nc_matmul_sparse, moving),
    O(nc_matmul_sparse, tags),
    O(quantize_mx, dst),
    O(quantize_mx, src),
    O(quantize_mx, dst_scale),
};
const Slot kAttributes[] = {
    O(nc_matmul, accumulate),
    O(nc_matmul, is_transpose),
    O(nc_matmul, perf_mode),
    O(nc_matmul, is_stationary_onezero),
    O(nc_matmul, is_moving_onezero),
    O(nc_matmul, tile_row),
    O(nc_matmul, tile_column),
    O(nc_matmul, tile_rows),
    O(nc_matmul, tile_columns),
    O(nc_matmul_mx, accumulate),
    O(nc_matmul_mx, tile_row),
    O(nc_matmul_mx, tile_rows),
    O(nc_matmul_sparse, accumulate),
    O(nc_matmul_sparse, kept),
    O(nc_matmul_sparse, of),
    O(quantize_mx, tight_scale),
    O(tensor_tensor, op),
    O(tensor_scalar, op0),
    O(tensor_scalar, imm0),
    O(tensor_scalar, reverse0),
    O(tensor_scalar, op1),
    O(tensor_scalar, imm1),
    O(tensor_scalar, reverse1),
    O(scalar_tensor_tensor, op0),
    O(scalar_tensor_tensor, imm0),
    O(scalar_tensor_tensor, reverse0),
    O(scalar_tensor_tensor, op1),
    O(scalar_tensor_tensor, reverse1),
    O(tensor_reduce, op),
    O(tensor_reduce, axes),
    O(tensor_reduce, negate),
    O(tensor_copy_predicated, imm),
    O(tensor_copy_predicated, reverse_pred),
    O(select_reduce, imm),
    O(select_reduce, reduce_cmd),
    O(select_reduce, reverse_pred),
    O(range_select, comp_op0),
    O(range_select, comp_op1),
    O(range_select, range_start),
    O(range_select, reduce_cmd),
    O(memset, value),
    O(nc_stream_shuffle, mask0),
    O(nc_stream_shuffle, mask1),
    O(nc_stream_shuffle, mask2),
    O(nc_stream_shuffle, mask3),
    O(nc_stream_shuffle, mask4),
    O(nc_stream_shuffle, mask5),
    O(nc_stream_shuffle, mask6),
    O(nc_stream_shuffle, mask7),
    O(tensor_tensor_scan, op0),
    O(tensor_tensor_scan, op1),
    O(tensor_tensor_scan, imm),
    O(tensor_tensor_scan, reverse0),
    O(tensor_tensor_scan, reverse1),
    O(activation, op),
    O(activation, scale_imm),
    O(activation, bias_imm),
    O(activation, reduce_cmd),
    O(activation, alpha),
    O(iota, offset),
    O(iota, channel_multiplier),
    O(iota, step0),
    O(iota, step1),
    O(iota, step2),
    O(iota, step3),
    O(affine_select, cmp_op),
    O(affine_select, value),
    O(affine_select, offset),
    O(affine_select, channel_multiplier),
    O(affine_select, step0),
    O(affine_select, step1),
    O(affine_select, step2),
    O(affine_select, step3),
    O(tensor_partition_reduce, op),
    O(tensor_scalar_reduce, op0),
    O(tensor_scalar_reduce, imm0),
    O(tensor_scalar_reduce, reverse0),
    O(tensor_scalar_reduce, reduce_op),
    O(tensor_scalar_reduce, reduce_cmd),
    O(tensor_scalar_reduce, initial_imm),
    O(tensor_scalar_reduce, negate),
    O(tensor_scalar_cumulative, op0),
    O(tensor_scalar_cumulative, imm0),
    O(tensor_scalar_cumulative, reverse0),
    O(tensor_scalar_cumulative, op1),
    O(tensor_scalar_cumulative, reduce_cmd),
    O(tensor_scalar_cumulative, initial_imm),
    O(nc_match_replace8, imm),
    O(activation_reduce, op),
    O(activation_reduce, scale_imm),
    O(activation_reduce, bias_imm),
    O(activation_reduce, alpha),
    O(dropout, prob_imm),
    O(local_gather, num_elem_per_idx),
    O(local_gather, num_valid_indices),
    O(nonzero_with_count, index_offset),
    O(nonzero_with_count, padding_val),
    O(topk, n),
    O(register_move, dst),
    O(register_move, src),
    O(register_move, imm),
    O(register_alu, dst),
    O(register_alu, op),
    O(register_alu, a),
    O(register_alu, b),
    O(register_alu, imm),
    O(register_load, dst),
    O(register_store, src),
    O(branch, op),
    O(branch, a),
    O(branch, b),
    O(branch, imm),
    O(branch, to),
    O(loop, counter),
    O(loop, from),
    O(loop, from_imm),
    O(loop, until),
    O(loop, until_imm),
    O(loop, step),
    O(loop, to),
    O(loop_end, to),
};
#undef O

TEST(Opcode, SlotConstantsNameTablePositions) {
  for (const Slot& s : kOperands) EXPECT_EQ(operand_index(s.opcode, s.name), s.position) << row(s.opcode).name;
  for (const Slot& s : kAttributes) EXPECT_EQ(attribute_index(s.opcode, s.name), s.position) << row(s.opcode).name;
}

TEST(Opcode, EveryTablePositionHasASlotConstant) {
  size_t operands = 0, attributes = 0;
  for (const InstructionRow& r : all_rows()) operands += r.operands.size(), attributes += r.attributes.size();
  EXPECT_EQ(std::size(kOperands), operands);
  EXPECT_EQ(std::size(kAttributes), attributes);
}

TEST(Opcode, RowsAreComplete) {
  std::set<std::string_view> names;
  for (const InstructionRow& r : all_rows()) {
    EXPECT_TRUE(names.insert(r.name).second) << r.name;
    EXPECT_EQ(opcode_from_name(r.name), r.opcode);
    EXPECT_NE(r.engines, 0);
    EXPECT_TRUE(r.first_generation >= 2 && r.first_generation <= 4);
    EXPECT_FALSE(r.summary.empty());
    std::set<std::string_view> fields;
    for (const OperandRow& o : r.operands) {
      EXPECT_NE(o.memories, 0) << r.name;
      EXPECT_TRUE(fields.insert(o.name).second) << r.name << " " << o.name;
    }
    for (const AttributeRow& a : r.attributes) EXPECT_TRUE(fields.insert(a.name).second) << r.name << " " << a.name;
  }
  EXPECT_EQ(opcode_from_name("nc_matmull"), std::nullopt);
}

TEST(Opcode, EngineNames) {
  for (int i = 0; i < kEngineKindCount; ++i) {
    EXPECT_EQ(engine_from_name(engine_name(static_cast<EngineKind>(i))), static_cast<EngineKind>(i));
  }
  EXPECT_EQ(engine_from_name("pool"), std::nullopt);
}

}  // namespace
}  // namespace presil::isa
