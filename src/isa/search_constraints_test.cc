// Is every constraint of accumulating, random and searching instructions stated, and stated exactly?
#include "isa/rule_cases.h"

namespace presil::isa {
namespace {

using namespace testing;

uint32_t command(ReduceCommand c) { return static_cast<uint32_t>(c); }

TEST(Constraints, Accumulations) {
  expect_messages({
      {Opcode::tensor_scalar_reduce,
       [](Program&, Last i) { i.operand("data", sbuf(32, {19})); },
       {"tensor_scalar_reduce data: 19 elements per partition, dst has 20"}},
      {Opcode::tensor_scalar_reduce,
       [](Program&, Last i) { i.operand("operand0", sbuf(32, {1}, DType::bf16)); },
       {"tensor_scalar_reduce operand0: type is bf16; legal: fp32"}},
      {Opcode::tensor_scalar_reduce,
       [](Program&, Last i) { i.operand("reduce_res", sbuf(32, {2})); },
       {"tensor_scalar_reduce reduce_res: 2 elements per partition, expected 1"}},
      {Opcode::tensor_scalar_reduce,
       [](Program&, Last i) { i.op("op0", AluOp::bit_and); },
       {"tensor_scalar_reduce op0: bit_and works on bits, expected an arithmetic operator"}},
      {Opcode::tensor_scalar_reduce,
       [](Program&, Last i) { i.op("reduce_op", AluOp::subtract); },
       {"tensor_scalar_reduce reduce_op: subtract is not one of add, multiply, max, min"}},
      {Opcode::tensor_scalar_reduce,
       [](Program&, Last i) { i.word("reduce_cmd", command(ReduceCommand::idle)); },
       {"tensor_scalar_reduce reduce_cmd: idle is not one of reduce, reset_reduce, load_reduce"}},
      {Opcode::tensor_scalar_reduce,
       [](Program&, Last i) { i.operand("initial", sbuf(32, {1})); },
       {"tensor_scalar_reduce initial: reduce_cmd is reset_reduce, only load_reduce takes it"}},
      {Opcode::tensor_scalar_reduce,
       [](Program&, Last i) {
         i.operand("initial", sbuf(32, {1})).word("reduce_cmd", command(ReduceCommand::load_reduce));
       },
       {}},
      {Opcode::tensor_scalar_cumulative,
       [](Program&, Last i) { i.operand("src", sbuf(32, {20}, DType::int32)); },
       {"tensor_scalar_cumulative src: type is int32; illegal: tf32, 32-bit integers"}},
      {Opcode::tensor_scalar_cumulative,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {20}, DType::tf32)); },
       {"tensor_scalar_cumulative dst: type is tf32; illegal: tf32, 32-bit integers"}},
      {Opcode::tensor_scalar_cumulative,
       [](Program&, Last i) { i.op("op1", AluOp::divide); },
       {"tensor_scalar_cumulative op1: divide is not one of add, subtract, multiply, max, min"}},
      {Opcode::activation_reduce,
       [](Program&, Last i) { i.operand("reduce_res", View{}); },
       {"activation_reduce reduce_res: is missing"}},
      {Opcode::activation_reduce,
       [](Program&, Last i) { i.f32("bias_imm", 1); },
       {"activation_reduce bias_imm: 1 as an immediate needs generation 3; use the bias operand"},
       chip(128, 2)},
  });
}

TEST(Constraints, MatchReplace8) {
  expect_messages({
      {Opcode::nc_match_replace8,
       [](Program&, Last i) { i.operand("vals", sbuf(32, {7})); },
       {"nc_match_replace8 vals: 7 elements per partition, expected 8"}},
      {Opcode::nc_match_replace8,
       [](Program&, Last i) { i.operand("data", sbuf(32, {7})).operand("dst", sbuf(32, {7})); },
       {"nc_match_replace8 data: 7 elements per partition, from 8 to 16384"}},
      {Opcode::nc_match_replace8,
       [](Program&, Last i) { i.operand("dst_idx", sbuf(32, {8}, DType::int32)); },
       {"nc_match_replace8 dst_idx: type is int32; legal: uint16, uint32"}},
      {Opcode::nc_match_replace8, [](Program&, Last i) { i.operand("dst_idx", View{}); }, {}},
  });
}

TEST(Constraints, RandomNumbers) {
  const auto on_vector = [](Program& p, Last i) {
    p.code.back().engine = EngineKind::vector;
    i.operand("dst", sbuf(32, {24}, DType::uint32));
  };
  expect_messages({
      {Opcode::rng,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {20}, DType::bf16)); },
       {"rng dst: type is bf16; legal: int8, uint8, int16, uint16, int32, uint32"}},
      {Opcode::rng,
       [](Program& p, Last) { p.code.back().engine = EngineKind::gpsimd; },
       {"rng: needs generation 3 on the gpsimd engine"},
       chip(128, 2)},
      {Opcode::set_rng_seed,
       [](Program&, Last i) { i.operand("src_seeds", sbuf(2, {1}, DType::uint32)); },
       {"set_rng_seed src_seeds: 2 partitions, expected 1"}},
      {Opcode::set_rng_seed,
       [](Program&, Last i) { i.operand("src_seeds", sbuf(1, {1}, DType::uint16)); },
       {"set_rng_seed src_seeds: type is uint16; legal: uint32, int32, fp32"}},
      {Opcode::rand_get_state,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {24}, DType::uint32)); },
       {"rand_get_state dst: 24 elements per partition, expected 6"}},
      {Opcode::rand_get_state, on_vector, {"rand_get_state: needs generation 4 on the vector engine"}},
      {Opcode::rand_get_state, on_vector, {}, chip(128, 4)},
      {Opcode::rand_set_state,
       [](Program&, Last i) { i.operand("src_seeds", sbuf(32, {6}, DType::int32)); },
       {"rand_set_state src_seeds: type is int32; legal: uint32"}},
      {Opcode::rand_set_state,
       [](Program&, Last) {},
       {"rand_set_state: needs generation 3, test is generation 2"},
       chip(128, 2)},
      {Opcode::dropout,
       [](Program&, Last i) { i.operand("data", sbuf(32, {20}, DType::bf16)); },
       {"dropout data: type is bf16, dst has fp32"}},
      {Opcode::dropout,
       [](Program&, Last i) {
         for (auto name : {"dst", "data"}) i.operand(name, sbuf(32, {20}, DType::int32));
         i.operand("prob", sbuf(32, {1}, DType::bf16));
       },
       {"dropout prob: type is bf16; legal: fp32"}},
      {Opcode::dropout, [](Program&, Last i) { i.operand("prob", sbuf(32, {1}, DType::bf16)); }, {}},
  });
}

TEST(Constraints, GroupsOfPartitions) {
  expect_messages({
      {Opcode::local_gather,
       [](Program&, Last i) {
         i.operand("dst", sbuf(24, {32}))
             .operand("src_buffer", sbuf(24, {50}))
             .operand("index", sbuf(24, {2}, DType::uint16));
       },
       {"local_gather src_buffer: 24 partitions, expected a multiple of 16"}},
      {Opcode::local_gather,
       [](Program&, Last i) { i.operand("index", sbuf(32, {2}, DType::uint32)); },
       {"local_gather index: type is uint32; legal: uint16"}},
      {Opcode::local_gather,
       [](Program&, Last i) { i.word("num_elem_per_idx", 3); },
       {"local_gather num_elem_per_idx: 3 is not one of 1, 2, 4, 8, 16, 32"}},
      {Opcode::local_gather,
       [](Program&, Last i) { i.word("num_valid_indices", 33); },
       {"local_gather num_valid_indices: 33, expected from 0 to 32",
        "local_gather dst: 32 elements per partition, expected 33"}},
      {Opcode::local_gather,
       [](Program&, Last i) { i.operand("index", sbuf(32, {257}, DType::uint16)).operand("dst", sbuf(32, {4112})); },
       {"local_gather index: 4112 indices per 16 partitions, at most 4096"}},
      {Opcode::sequence_bounds,
       [](Program&, Last i) { i.operand("dst", sbuf(1, {20}, DType::int32)); },
       {"sequence_bounds dst: 20 elements per partition, expected 40"}},
      {Opcode::sequence_bounds,
       [](Program&, Last i) { i.operand("segment_ids", sbuf(1, {20}, DType::int16)); },
       {"sequence_bounds segment_ids: type is int16; legal: fp32, int32"}},
      {Opcode::nonzero_with_count,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {20}, DType::int32)); },
       {"nonzero_with_count dst: 20 elements per partition, expected 21"}},
      {Opcode::nonzero_with_count,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {21}, DType::uint32)); },
       {"nonzero_with_count dst: type is uint32; legal: int32"}},
      {Opcode::nonzero_with_count,
       [](Program&, Last) {},
       {"nonzero_with_count: needs generation 3, test is generation 2"},
       chip(128, 2)},
      {Opcode::topk, [](Program&, Last i) { i.word("n", 49); }, {"topk src: 48 elements per 16 partitions, n is 49"}},
      {Opcode::topk, [](Program&, Last i) { i.word("n", 7); }, {"topk n: 7, expected from 8 to 65535"}},
      {Opcode::topk,
       [](Program&, Last i) {
         i.operand("val_dst", sbuf(32, {43}, DType::bf16)).operand("idx_dst", sbuf(32, {43}, DType::uint32));
       },
       {"topk val_dst: 43 elements per partition, from 1 to 42"}},
      {Opcode::topk,
       [](Program&, Last i) { i.operand("src", sbuf(32, {3})); },
       {"topk src: type is fp32; legal: bf16"}},
  });
}

}  // namespace
}  // namespace presil::isa
