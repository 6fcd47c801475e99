// Words in which the constraints of single instructions are written; private to this room. `k` is an operand's or an
// attribute's position; each function adds a finding if what it says does not hold.
#pragma once
#include <initializer_list>

#include "isa/instruction_check.h"
#include "numerics/alu.h"

namespace presil::isa {

using Check = InstructionCheck;

// Shapes: partitions, and elements per partition.
void same_partitions(const Check& c, int k, int reference);
void same_elements(const Check& c, int k, int reference);
void same_shape(const Check& c, int k, int reference);
void elements_are(const Check& c, int k, uint64_t expected);
void elements_within(const Check& c, int k, uint64_t least, uint64_t most);
void partitions_at_most(const Check& c, int k, uint32_t most, std::string_view why);
// One value per partition of `reference`, of any type or fp32; absent is legal.
void value_per_partition(const Check& c, int k, int reference);
void fp32_per_partition(const Check& c, int k, int reference);

// Types and memories.
void same_type(const Check& c, int k, int reference);
void type_among(const Check& c, int k, std::initializer_list<DType> legal);
void type_is_float(const Check& c, int k);
void type_is_integer(const Check& c, int k);
void not_both_in_psum(const Check& c, int a, int b);

// Operators. check_op: where power and bit operators run, and since when the newer ones do.
AluOp alu(const Check& c, int k);
void fail_op(const Check& c, int k, std::string_view why);
void check_op(const Check& c, int k);
void check_binary_op(const Check& c, int k);
void check_arithmetic_op(const Check& c, int k);
// square and relu: op0 of tensor_scalar and tensor_scalar_reduce from generation 4 on, nowhere else.
void check_late_op(const Check& c, int k, bool legal_here);
void check_reduction_op(const Check& c, int k, std::initializer_list<int> operands);
void check_comparison(const Check& c, int k, std::initializer_list<AluOp> legal);
void check_command(const Check& c, int k, std::initializer_list<ReduceCommand> legal);

// Transfers (dma_constraints.cc).
void check_dma_copy(const Check& c);
void check_dma_transpose(const Check& c);
void check_dma_compute(const Check& c);

// dst[f,p] = data[p,f].
void transposed_shape(const Check& c, int dst, uint64_t rows, uint64_t columns);

// Block of the vector engine's transpose and shuffle: as many as a shuffle mask has bytes.
inline constexpr uint32_t kVectorBlock = 32;

// Instructions of the vector engine (vector_constraints.cc).
void check_tensor_copy(const Check& c);
void check_tensor_tensor(const Check& c);
void check_tensor_scalar(const Check& c);
void check_scalar_tensor_tensor(const Check& c);
void check_tensor_reduce(const Check& c);
void check_predicated(const Check& c);
void check_select_reduce(const Check& c);
void check_range_select(const Check& c);
void check_memset(const Check& c);
void check_max8(const Check& c);
void check_find_index8(const Check& c);
void check_bn_stats(const Check& c);
void check_bn_aggr(const Check& c);
void check_shuffle(const Check& c);
void check_scan(const Check& c);
void check_tensor_scalar_reduce(const Check& c);
void check_tensor_scalar_cumulative(const Check& c);
void check_match_replace8(const Check& c);
void check_dropout(const Check& c);
void check_exponential(const Check& c);
void check_rand2(const Check& c);

// Products of the tensor engine and their operands (matmul_constraints.cc).
void check_matmul(const Check& c);
void check_matmul_mx(const Check& c);
void check_matmul_sparse(const Check& c);
void check_quantize_mx(const Check& c);

// Random numbers, and instructions of the gpsimd engine's groups of partitions (gpsimd_constraints.cc).
void check_rng(const Check& c);
void check_rng_seed(const Check& c);
void check_rng_state(const Check& c);
void check_local_gather(const Check& c);
void check_sequence_bounds(const Check& c);
void check_nonzero(const Check& c);
void check_topk(const Check& c);

}  // namespace presil::isa
