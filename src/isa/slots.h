// Operand and attribute positions of each instruction, by name, in the order of its table row. opcode_test.cc checks
// them against the table.
#pragma once

namespace presil::isa::slots {

// clang-format off
// nc_matmul: dst[M,N] (+)= sum_k stationary[k,M] * moving[k,N]
// tile_*: the part of the array that it uses, from row tile_row and column tile_column; sizes of 0 mean all of it
namespace nc_matmul { enum { dst, stationary, moving };
  enum { accumulate, is_transpose, perf_mode, is_stationary_onezero, is_moving_onezero, tile_row, tile_column,
         tile_rows, tile_columns }; }
// nc_transpose: dst[f,p] = data[p,f]; tensor engine (SBUF to PSUM) or vector engine (32 x 32)
namespace nc_transpose { enum { dst, data }; }
namespace tensor_copy { enum { dst, src }; }
namespace tensor_tensor { enum { dst, data1, data2 }; enum { op }; }
// tensor_scalar: dst = op1(op0(data, s0), s1); s_i is operand_i when present, else imm_i
namespace tensor_scalar { enum { dst, data, operand0, operand1 }; enum { op0, imm0, reverse0, op1, imm1, reverse1 }; }
// scalar_tensor_tensor: dst = op1(op0(data, s0), operand1)
namespace scalar_tensor_tensor { enum { dst, data, operand0, operand1 }; enum { op0, imm0, reverse0, op1, reverse1 }; }
// tensor_reduce: the last `axes` dims of data are reduced; dst has the leading ones
namespace tensor_reduce { enum { dst, data }; enum { op, axes, negate }; }
namespace tensor_copy_predicated { enum { dst, src, predicate }; enum { imm, reverse_pred }; }
namespace select_reduce { enum { dst, predicate, on_true, on_false, reduce_res };
  enum { imm, reduce_cmd, reverse_pred }; }
namespace range_select { enum { dst, on_true, bound0, bound1, reduce_res };
  enum { comp_op0, comp_op1, range_start, reduce_cmd }; }
namespace reciprocal { enum { dst, data }; }
namespace memset { enum { dst }; enum { value }; }
namespace max8 { enum { dst, src }; }
namespace nc_find_index8 { enum { dst, data, vals }; }
namespace bn_stats { enum { dst, data }; }
namespace bn_aggr { enum { dst, data }; }
// nc_stream_shuffle: mask of 32 bytes packed in 8 words
namespace nc_stream_shuffle { enum { dst, src }; enum { mask0, mask1, mask2, mask3, mask4, mask5, mask6, mask7 }; }
namespace tensor_tensor_scan { enum { dst, data0, data1, initial }; enum { op0, op1, imm, reverse0, reverse1 }; }
// activation: dst = cast(f(data * scale + bias)); reduce_res reads the accumulators; alpha is leaky_relu's slope
namespace activation { enum { dst, data, scale, bias, reduce_res };
  enum { op, scale_imm, bias_imm, reduce_cmd, alpha }; }
// iota: dst[p, i...] = offset + p * channel_multiplier + sum_k i_k * step_k, pattern shape = dst's
namespace iota { enum { dst }; enum { offset, channel_multiplier, step0, step1, step2, step3 }; }
// affine_select: dst = cmp(offset + p * channel_multiplier + sum_k i_k * step_k, 0) ? on_true : value
namespace affine_select { enum { dst, on_true };
  enum { cmp_op, value, offset, channel_multiplier, step0, step1, step2, step3 }; }
// nc_n_gather: per partition dst[p,i] = data[p, indices[p,i]]
namespace nc_n_gather { enum { dst, data, indices }; }
// tensor_partition_reduce: dst[0, i] = reduce over p of data[p, i]
namespace tensor_partition_reduce { enum { dst, data }; enum { op, average }; }
// dma_copy with index: one side is a table in HBM, whose first dim counts its rows; index names a row for each of the
// other's partitions (in HBM: of its first dim)
namespace dma_copy { enum { dst, src, index }; enum { scatter, oob_mode, dge_mode, priority }; }
// dma_transpose: dst[p, f] = src[f, p]; src is HBM or SBUF, dst SBUF, 2- or 4-byte elements. index, of which columns
// follow one another, names a row of src for every f
namespace dma_transpose { enum { dst, src, index }; enum { oob_mode, dge_mode, priority }; }
namespace tensor_scalar_reduce { enum { dst, data, operand0, initial, reduce_res };
  enum { op0, imm0, reverse0, reduce_op, reduce_cmd, initial_imm, negate }; }
namespace tensor_scalar_cumulative { enum { dst, src, operand0, initial };
  enum { op0, imm0, reverse0, op1, reduce_cmd, initial_imm }; }
namespace nc_match_replace8 { enum { dst, data, vals, dst_idx }; enum { imm }; }
// activation_reduce: operands and the first attributes as activation's
namespace activation_reduce { enum { dst, data, scale, bias, reduce_res }; enum { op, scale_imm, bias_imm, alpha }; }
namespace rng { enum { dst }; }
namespace set_rng_seed { enum { src_seeds }; }
namespace rand_set_state { enum { src_seeds }; }
namespace rand_get_state { enum { dst }; }
namespace dropout { enum { dst, data, prob }; enum { prob_imm }; }
// local_gather: num_valid_indices 0 means all
namespace local_gather { enum { dst, src_buffer, index }; enum { num_elem_per_idx, num_valid_indices }; }
namespace sequence_bounds { enum { dst, segment_ids }; }
namespace nonzero_with_count { enum { dst, src }; enum { index_offset, padding_val }; }
namespace topk { enum { val_dst, idx_dst, src }; enum { n }; }
namespace register_move { enum { dst, src, imm }; }
namespace register_alu { enum { dst, op, a, b, imm }; }
namespace register_load { enum { src }; enum { dst }; }
namespace register_store { enum { dst }; enum { src }; }
namespace branch { enum { op, a, b, imm, to }; }
namespace loop { enum { counter, from, from_imm, until, until_imm, step, to }; }
namespace loop_end { enum { to }; }
namespace nc_matmul_mx { enum { dst, stationary, moving, stationary_scale, moving_scale };
  enum { accumulate, tile_row, tile_rows }; }
// nc_matmul_sparse: k = (p, c), c < of / kept; candidates of p are the k of its group of `kept` partitions, in order
namespace nc_matmul_sparse { enum { dst, stationary, moving, tags }; enum { accumulate, kept, of }; }
// quantize_mx: tight_scale is the rule before NKI 0.5.0, one power of two less, and saturates
namespace quantize_mx { enum { dst, src, dst_scale }; enum { tight_scale }; }
namespace exponential { enum { dst, src, max_value, initial, reduce_res };
  enum { max_imm, reduce_cmd, initial_imm }; }
namespace rand2 { enum { dst, min, max }; enum { min_imm, max_imm }; }
// activate2: alpha is the slope of leaky_relu where relu_param is absent
namespace activate2 { enum { dst, data, operand0, operand1, relu_param, reduce_res };
  enum { op, op0, imm0, reverse0, op1, imm1, reverse1, alpha, reduce_op, reduce_cmd }; }
// dma_compute: the sources follow src0
namespace dma_compute { enum { dst, src0, src1, index = 17 }; enum { op, oob_mode, priority }; }
namespace sendrecv { enum { dst, src }; enum { send_to_rank, recv_from_rank, pipe_id, gpsimd_dma }; }
namespace core_barrier { enum { data }; }
// clang-format on

}  // namespace presil::isa::slots
