// Is every constraint of a single instruction stated, and stated exactly?
#include "isa/rule_cases.h"

namespace presil::isa {
namespace {

using namespace testing;

TEST(Constraints, Types) {
  expect_messages({
      {Opcode::activation,
       [](Program&, Last i) { i.operand("data", sbuf(32, {20}, DType::fp8_e4m3fn)); },
       {"activation data: type is fp8_e4m3fn, needs generation 4"}},
      {Opcode::activation,
       [](Program&, Last i) { i.operand("data", sbuf(32, {20}, DType::fp8_e4m3fn)); },
       {},
       chip(128, 4)},
      {Opcode::activation, [](Program&, Last i) { i.operand("data", sbuf(32, {20}, DType::fp8_e3m4)); }, {}},
      {Opcode::activation,
       [](Program&, Last i) { i.operand("data", sbuf(32, {20}, DType::fp4_e2m1fn_x4)); },
       {"activation data: type is fp4_e2m1fn_x4, expected one number per element"},
       chip(128, 4)},
      {Opcode::tensor_copy,
       [](Program&, Last i) { i.operand("src", sbuf(32, {20}, DType::fp8_e5m2_x4)); },
       {"tensor_copy src: type is fp8_e5m2_x4, does not convert to or from fp32"},
       chip(128, 4)},
      {Opcode::tensor_copy,
       [](Program&, Last i) {
         for (auto name : {"dst", "src"}) i.operand(name, sbuf(32, {20}, DType::fp8_e5m2_x4));
       },
       {},
       chip(128, 4)},
  });
}

TEST(Constraints, TensorEngine) {
  auto is_transpose = [](DType data, DType dst) {
    return [=](Program&, Last i) {
      i.operand("stationary", sbuf(32, {16}, data)).operand("moving", sbuf(32, {32}, data));
      i.operand("dst", psum(16, {32}, dst)).word("is_transpose", 1);
    };
  };
  expect_messages({
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.operand("moving", sbuf(16, {100})); },
       {"nc_matmul moving: 16 partitions, stationary has 32"}},
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.operand("moving", sbuf(32, {99})); },
       {"nc_matmul dst: 100 elements per partition, moving has 99"}},
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.operand("dst", psum(15, {100})); },
       {"nc_matmul dst: 15 partitions, stationary has 16 columns"}},
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.operand("stationary", sbuf(32, {129})).operand("dst", psum(129, {100})); },
       {"nc_matmul dst: partitions 0 to 128, psum has 128",
        "nc_matmul stationary: 129 elements per partition, from 1 to 128"}},
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.operand("stationary", sbuf(65, {16})).operand("moving", sbuf(65, {100})); },
       {"nc_matmul stationary: 65 partitions, the array's rows take at most 64"},
       with([](spec::ChipSpec& s) { s.tensor.rows = 64; })},
      {Opcode::nc_matmul,
       [](Program&, Last i) {
         i.operand("stationary", sbuf(256, {256})).operand("moving", sbuf(256, {512})).operand("dst", psum(256, {512}));
       },
       {},
       chip(256)},
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.operand("moving", sbuf(32, {513})).operand("dst", psum(16, {513})); },
       {"nc_matmul dst: bytes 0 to 2051 cross a PSUM bank, banks have 2048 bytes",
        "nc_matmul moving: 513 elements per partition, from 1 to 512"}},
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.operand("moving", sbuf(32, {100}, DType::bf16)); },
       {"nc_matmul moving: type is bf16, stationary has fp32; fp32 and tf32 do not mix with narrower types"}},
      {Opcode::nc_matmul,
       [](Program&, Last i) {
         i.operand("stationary", sbuf(32, {16}, DType::fp8_e4m3)).operand("moving", sbuf(32, {100}, DType::bf16));
       },
       {}},
      {Opcode::nc_matmul,
       [](Program&, Last i) {
         i.operand("stationary", sbuf(32, {16}, DType::int8)).operand("moving", sbuf(32, {100}, DType::bf16));
       },
       {"nc_matmul stationary: type is int8, expected a float"}},
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.operand("dst", psum(16, {100}, DType::bf16)); },
       {"nc_matmul dst: type is bf16; legal: fp32"}},
      {Opcode::nc_matmul, [](Program&, Last i) { i.operand("dst", psum(16, {100}, DType::bf16)); }, {}, chip(128, 4)},
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.operand("dst", psum(16, {100}, DType::fp16)); },
       {"nc_matmul dst: type is fp16; legal: fp32, bf16"},
       chip(128, 4)},
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.word("accumulate", 2); },
       {"nc_matmul accumulate: value 2 has no meaning"}},
      {Opcode::nc_matmul, is_transpose(DType::bf16, DType::bf16), {}},
      {Opcode::nc_matmul, is_transpose(DType::bf16, DType::fp32), {"nc_matmul dst: type is fp32, stationary has bf16"}},
      {Opcode::nc_matmul,
       is_transpose(DType::fp32, DType::fp32),
       {"nc_matmul is_transpose: needs generation 3"},
       chip(128, 2)},
      {Opcode::nc_matmul,
       is_transpose(DType::fp8_e4m3, DType::fp8_e4m3),
       {"nc_matmul stationary: type is fp8_e4m3; legal: fp32, bf16, fp16"}},
      {Opcode::nc_matmul,
       [&](Program& p, Last i) {
         is_transpose(DType::fp32, DType::fp32)(p, i);
         i.word("accumulate", 1);
       },
       {"nc_matmul accumulate: does not combine with is_transpose"}},
      {Opcode::nc_transpose,
       [](Program&, Last i) { i.operand("dst", psum(32, {16})); },
       {"nc_transpose dst: 32 x 16 elements, the transpose has 16 x 32"}},
      {Opcode::nc_transpose,
       [](Program&, Last i) { i.operand("data", sbuf(32, {129})).operand("dst", psum(128, {32})); },
       {"nc_transpose data: 129 elements per partition, from 1 to 128",
        "nc_transpose dst: 128 x 32 elements, the transpose has 129 x 32"}},
      {Opcode::nc_transpose,
       [](Program&, Last i) { i.operand("dst", sbuf(16, {32})); },
       {"nc_transpose dst: is in sbuf; the tensor engine writes only psum"}},
      {Opcode::nc_transpose,
       [](Program&, Last i) { i.operand("data", sbuf(32, {16}, DType::bf16)); },
       {"nc_transpose dst: type is fp32, data has bf16"}},
      {Opcode::nc_transpose,
       [](Program&, Last i) { i.operand("data", sbuf(32, {16}, DType::bf16)); },
       {},
       chip(128, 2)},
      {Opcode::nc_transpose,
       [](Program&, Last i) {
         i.operand("data", sbuf(32, {16}, DType::int8)).operand("dst", psum(16, {32}, DType::int8));
       },
       {"nc_transpose data: type is int8; legal: fp32, tf32, bf16, fp16"}},
      {Opcode::nc_transpose,
       [](Program& p, Last i) {
         p.code[0].engine = EngineKind::vector;
         i.operand("data", sbuf(33, {16})).operand("dst", psum(16, {33}));
       },
       {"nc_transpose data: 33 partitions, a block has at most 32"}},
      {Opcode::nc_transpose,
       [](Program& p, Last i) {
         p.code[0].engine = EngineKind::vector;
         i.operand("data", psum(32, {32}, DType::int32)).operand("dst", sbuf(32, {32}, DType::int32));
       },
       {}},
  });
}

TEST(Constraints, ElementwiseShapesAndMemories) {
  expect_messages({
      {Opcode::tensor_copy,
       [](Program&, Last i) { i.operand("src", sbuf(16, {21})); },
       {"tensor_copy src: 16 partitions, dst has 32", "tensor_copy src: 21 elements per partition, dst has 20"}},
      {Opcode::tensor_copy, [](Program& p, Last) { p.code[0].engine = EngineKind::scalar; }, {}},
      {Opcode::tensor_copy,
       [](Program& p, Last) { p.code[0].engine = EngineKind::scalar; },
       {"tensor_copy: needs generation 3 on the scalar engine; use activation with copy"},
       chip(128, 2)},
      {Opcode::tensor_tensor,
       [](Program&, Last i) { i.operand("data1", psum(32, {20})); },
       {"tensor_tensor data2: is in psum, and so is data1; one of them may be"}},
      {Opcode::scalar_tensor_tensor,
       [](Program&, Last i) { i.operand("data", psum(32, {20})); },
       {"scalar_tensor_tensor operand1: is in psum, and so is data; one of them may be"}},
      {Opcode::tensor_tensor_scan,
       [](Program&, Last i) { i.operand("data0", psum(32, {20})).operand("data1", psum(32, {20})); },
       {"tensor_tensor_scan data1: is in psum, and so is data0; one of them may be"}},
      {Opcode::scalar_tensor_tensor,
       [](Program&, Last i) { i.operand("operand0", sbuf(32, {2}, DType::bf16)); },
       {"scalar_tensor_tensor operand0: 2 elements per partition, expected 1",
        "scalar_tensor_tensor operand0: type is bf16; legal: fp32"}},
      {Opcode::reciprocal,
       [](Program&, Last i) { i.operand("data", sbuf(32, {19})); },
       {"reciprocal data: 19 elements per partition, dst has 20"}},
      {Opcode::memset, [](Program&, Last i) { i.operand("dst", sbuf(32, {20}, DType::bf16)); }, {}},
      {Opcode::memset,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {20}, DType::int32)); },
       {"memset value: 1.5 is no value of int32"}},
  });
}

TEST(Constraints, Operators) {
  auto op = [](std::string_view name, AluOp value) { return [=](Program&, Last i) { i.op(name, value); }; };
  auto all_int = [](AluOp value, DType type = DType::int32) {
    return [=](Program&, Last i) {
      i.operand("dst", sbuf(32, {20}, type))
          .operand("data1", sbuf(32, {20}, type))
          .operand("data2", sbuf(32, {20}, type));
      i.op("op", value);
    };
  };
  expect_messages({
      {Opcode::tensor_tensor,
       op("op", AluOp::relu),
       {"tensor_tensor op: relu takes one operand, expected an operator of two"}},
      {Opcode::tensor_tensor,
       op("op", AluOp::bit_and),
       {"tensor_tensor dst: type is fp32, bit operators work on integers",
        "tensor_tensor data1: type is fp32, bit operators work on integers",
        "tensor_tensor data2: type is fp32, bit operators work on integers"}},
      {Opcode::tensor_tensor, all_int(AluOp::bit_and), {}},
      {Opcode::tensor_tensor,
       [&](Program& p, Last i) {
         all_int(AluOp::bit_and)(p, i);
         p.code[0].engine = EngineKind::gpsimd;
       },
       {"tensor_tensor op: bit_and runs on the vector engine only"}},
      {Opcode::tensor_tensor, op("op", AluOp::power), {"tensor_tensor op: power runs on the gpsimd engine only"}},
      {Opcode::tensor_tensor, op("op", AluOp::abs_max), {"tensor_tensor op: abs_max needs generation 4"}},
      {Opcode::tensor_tensor, op("op", AluOp::abs_max), {}, chip(128, 4)},
      {Opcode::tensor_tensor,
       [](Program&, Last i) { i.word("op", 99); },
       {"tensor_tensor op: value 99 has no meaning"}},
      {Opcode::tensor_scalar,
       op("op1", AluOp::bit_or),
       {"tensor_scalar op1: bit_or does not combine with multiply: one works on bits, one on numbers",
        "tensor_scalar dst: type is fp32, bit operators work on integers",
        "tensor_scalar data: type is fp32, bit operators work on integers",
        "tensor_scalar operand0: type is fp32, bit operators work on integers"}},
      {Opcode::tensor_scalar, op("op0", AluOp::relu), {"tensor_scalar op0: relu needs generation 4"}},
      {Opcode::tensor_scalar, op("op0", AluOp::relu), {}, chip(128, 4)},
      {Opcode::tensor_scalar,
       op("op1", AluOp::square),
       {"tensor_scalar op1: square is legal as op0 of tensor_scalar and tensor_scalar_reduce only"},
       chip(128, 4)},
      {Opcode::tensor_scalar, [](Program& p, Last) { p.code[0].engine = EngineKind::scalar; }, {}},
      {Opcode::tensor_scalar,
       [](Program& p, Last) { p.code[0].engine = EngineKind::scalar; },
       {"tensor_scalar: needs generation 3 on the scalar engine"},
       chip(128, 2)},
      {Opcode::tensor_scalar,
       [](Program& p, Last i) {
         p.code[0].engine = EngineKind::scalar;
         i.op("op0", AluOp::add);
       },
       {"tensor_scalar: does add, add on the scalar engine; legal: multiply and add, multiply, add"}},
      {Opcode::tensor_scalar,
       [](Program& p, Last) { p.code[0].engine = EngineKind::gpsimd; },
       {"tensor_scalar: does multiply, add on the gpsimd engine; one must be rsqrt"}},
      {Opcode::tensor_scalar,
       [](Program& p, Last i) {
         p.code[0].engine = EngineKind::gpsimd;
         i.op("op1", AluOp::rsqrt);
       },
       {}},
      {Opcode::scalar_tensor_tensor,
       op("op0", AluOp::shift_left),
       {"scalar_tensor_tensor op0: shift_left works on bits, expected an arithmetic operator"}},
      {Opcode::tensor_tensor_scan,
       op("op1", AluOp::abs),
       {"tensor_tensor_scan op1: abs takes one operand, expected an operator of two"}},
      {Opcode::tensor_tensor_scan,
       op("op0", AluOp::bit_xor),
       {"tensor_tensor_scan op0: bit_xor works on bits, expected an arithmetic operator"}},
      {Opcode::tensor_reduce, op("op", AluOp::divide), {"tensor_reduce op: divide does not reduce"}},
      {Opcode::tensor_partition_reduce,
       op("op", AluOp::multiply),
       {"tensor_partition_reduce op: multiply is not one of add, max, bit_and, bit_or"}},
  });
}

TEST(Constraints, ReductionsAndSelections) {
  expect_messages({
      {Opcode::tensor_reduce,
       [](Program&, Last i) { i.word("axes", 0); },
       {"tensor_reduce axes: 0 dimensions reduced, data has 3"}},
      {Opcode::tensor_reduce,
       [](Program&, Last i) { i.word("axes", 4); },
       {"tensor_reduce axes: 4 dimensions reduced, data has 3"}},
      {Opcode::tensor_reduce,
       [](Program&, Last i) { i.word("axes", 1); },
       {"tensor_reduce dst: 3 elements per partition, expected 12"}},
      {Opcode::tensor_reduce, [](Program&, Last i) { i.word("axes", 3).operand("dst", sbuf(32, {})); }, {}},
      {Opcode::tensor_reduce,
       [](Program&, Last i) {
         i.operand("dst", sbuf(32, {3}, DType::int32)).operand("data", sbuf(32, {3, 4, 5}, DType::int32));
         i.op("op", AluOp::bit_or).word("negate", 1);
       },
       {"tensor_reduce negate: does not combine with bits"}},
      {Opcode::tensor_copy_predicated,
       [](Program&, Last i) { i.operand("predicate", sbuf(32, {20}, DType::int8)); },
       {"tensor_copy_predicated predicate: type is int8; legal: uint8, uint16, uint32, bool"}},
      {Opcode::tensor_copy_predicated,
       [](Program&, Last i) { i.operand("src", sbuf(32, {20}, DType::bf16)); },
       {"tensor_copy_predicated src: type is bf16, dst has fp32"}},
      {Opcode::tensor_copy_predicated,
       [](Program&, Last i) { i.operand("src", psum(32, {20})).operand("predicate", psum(32, {20}, DType::uint8)); },
       {"tensor_copy_predicated predicate: is in psum, and so is src; one of them may be"}},
      {Opcode::select_reduce,
       [](Program&, Last i) { i.operand("predicate", sbuf(32, {20}, DType::uint32)); },
       {"select_reduce predicate: type is uint32; legal: int8, uint8, int16, uint16, bool"}},
      {Opcode::select_reduce,
       [](Program&, Last i) { i.operand("on_true", sbuf(32, {20}, DType::int32)); },
       {"select_reduce on_true: type is int32; illegal: tf32, int32, uint32"}},
      {Opcode::select_reduce,
       [](Program&, Last i) { i.word("reduce_cmd", 4); },
       {"select_reduce reduce_cmd: load_reduce is not one of idle, reduce, reset_reduce"}},
      {Opcode::select_reduce,
       [](Program&, Last i) { i.operand("reduce_res", sbuf(32, {2})); },
       {"select_reduce reduce_res: 2 elements per partition, expected 1"}},
      {Opcode::range_select,
       [](Program&, Last i) { i.op("comp_op0", AluOp::ne); },
       {"range_select comp_op0: ne is not one of eq, ge, gt, le, lt"}},
      {Opcode::range_select,
       [](Program&, Last i) { i.operand("on_true", sbuf(32, {20}, DType::int8)); },
       {"range_select on_true: type is int8, expected a float"}},
      {Opcode::range_select,
       [](Program&, Last i) { i.operand("bound1", sbuf(32, {1}, DType::int32)); },
       {"range_select bound1: type is int32; legal: fp32"}},
      {Opcode::range_select, [](Program&, Last i) { i.word("range_start", (1 << 24) - 20); }, {}},
      {Opcode::range_select,
       [](Program&, Last i) { i.word("range_start", (1 << 24) - 19); },
       {"range_select range_start: indices 16777197 to 16777216, fp32 is exact below 16777216"}},
      {Opcode::affine_select,
       [](Program&, Last i) { i.op("cmp_op", AluOp::add); },
       {"affine_select cmp_op: add is not one of eq, ne, ge, gt, le, lt"}},
      {Opcode::tensor_partition_reduce,
       [](Program&, Last i) { i.operand("dst", sbuf(2, {20})); },
       {"tensor_partition_reduce dst: 2 partitions, expected 1"}},
      {Opcode::tensor_partition_reduce,
       [](Program&, Last i) { i.op("op", AluOp::bit_or); },
       {"tensor_partition_reduce dst: type is fp32, bit operators work on integers",
        "tensor_partition_reduce data: type is fp32, bit operators work on integers"}},
  });
}

TEST(Constraints, SearchesStatisticsShuffles) {
  expect_messages({
      {Opcode::max8,
       [](Program&, Last i) { i.operand("src", sbuf(32, {7})); },
       {"max8 src: 7 elements per partition, from 8 to 16384"}},
      {Opcode::max8,
       [](Program&, Last i) { i.operand("src", sbuf(32, {16385})); },
       {"max8 src: 16385 elements per partition, from 8 to 16384"}},
      {Opcode::max8,
       [](Program& p, Last) {
         p.views[1].rank = 4, p.views[1].dims = {{{100, 2}, {20, 2}, {7, 2}, {2, 2}}};
       },
       {"max8 src: 4 dimensions, at most 3"}},
      {Opcode::nc_find_index8,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {8}, DType::int32)); },
       {"nc_find_index8 dst: type is int32; legal: uint16, uint32"}},
      {Opcode::nc_find_index8,
       [](Program&, Last i) { i.operand("vals", sbuf(32, {4})); },
       {"nc_find_index8 vals: 4 elements per partition, expected 8"}},
      {Opcode::bn_stats,
       [](Program&, Last i) { i.operand("data", sbuf(32, {513})); },
       {"bn_stats data: 513 elements per partition, from 1 to 512"}},
      {Opcode::bn_stats,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {5})); },
       {"bn_stats dst: 5 elements per partition, expected 6"}},
      {Opcode::bn_aggr,
       [](Program&, Last i) { i.operand("data", sbuf(32, {10})); },
       {"bn_aggr data: 10 elements per partition, expected a multiple of 3"}},
      {Opcode::nc_stream_shuffle,
       [](Program&, Last i) { i.word("mask1", 0xff1f2000); },
       {"nc_stream_shuffle mask1: byte 1 is 32, expected 0 to 31 or 255"}},
      {Opcode::nc_stream_shuffle,
       [](Program& p, Last i) {
         for (View& v : p.views) v.partitions = 20;
         for (const char* mask : {"mask0", "mask2", "mask3", "mask4"}) i.word(mask, 0xffffffff);
         i.word("mask1", 0xff131413);  // what would go to partitions 5 and 4
       },
       {"nc_stream_shuffle mask1: byte 1 names partition 20, there are 20"}},
      {Opcode::nc_stream_shuffle,
       [](Program&, Last i) { i.operand("src", sbuf(32, {20}, DType::int32)); },
       {"nc_stream_shuffle src: type is int32, dst has fp32"}},
      {Opcode::nc_stream_shuffle,
       [](Program& p, Last) {
         for (View& v : p.views) v.partition = 16, v.partitions = 16;
       },
       {"nc_stream_shuffle dst: starts at partition 16, expected a multiple of 32",
        "nc_stream_shuffle src: starts at partition 16, expected a multiple of 32"},
       chip(64)},
  });
}

TEST(Constraints, ScalarAndGpsimd) {
  expect_messages({
      {Opcode::activation,
       [](Program&, Last i) { i.operand("scale", sbuf(16, {1})); },
       {"activation scale: 16 partitions, data has 32"}},
      {Opcode::activation, [](Program&, Last i) { i.operand("bias", sbuf(32, {1}, DType::bf16)); }, {}},
      {Opcode::activation,
       [](Program&, Last i) { i.operand("bias", sbuf(32, {1}, DType::tf32)); },
       {"activation bias: type is tf32, illegal"}},
      {Opcode::activation,
       [](Program&, Last i) { i.word("reduce_cmd", 4); },
       {"activation reduce_cmd: load_reduce is not one of idle, reset, reduce, reset_reduce"}},
      {Opcode::activation, [](Program&, Last i) { i.word("op", 200); }, {"activation op: value 200 has no meaning"}},
      {Opcode::activation, [](Program&, Last i) { i.operand("bias", View{}).f32("bias_imm", 0.5f); }, {}},
      {Opcode::activation,
       [](Program&, Last i) { i.operand("bias", View{}).f32("bias_imm", 0.5f); },
       {"activation bias_imm: 0.5 as an immediate needs generation 3; use the bias operand"},
       chip(128, 2)},
      {Opcode::activation,
       [](Program&, Last i) { i.word("op", static_cast<uint32_t>(Activation::reciprocal)); },
       {"activation bias: reciprocal takes a bias from generation 3 on"},
       chip(128, 2)},
      {Opcode::iota,
       [](Program& p, Last) {
         p.views[0].rank = 5, p.views[0].dims = {{{16, 2}, {8, 2}, {4, 2}, {2, 2}, {1, 2}}};
       },
       {"iota dst: 5 dimensions, there are 4 steps"}},
      {Opcode::nc_n_gather,
       [](Program&, Last i) { i.operand("indices", sbuf(32, {20}, DType::int32)); },
       {"nc_n_gather indices: type is int32; legal: uint32"}},
      {Opcode::nc_n_gather,
       [](Program&, Last i) { i.operand("indices", sbuf(32, {19}, DType::uint32)); },
       {"nc_n_gather indices: 19 elements per partition, dst has 20"}},
  });
}

TEST(Constraints, Dma) {
  expect_messages({
      {Opcode::dma_copy,
       [](Program&, Last i) { i.operand("src", hbm({639})); },
       {"dma_copy src: 639 elements, dst has 640"}},
      {Opcode::dma_copy,
       [](Program&, Last i) { i.operand("src", hbm({640}, DType::int64)); },
       {"dma_copy src: type is int64, a DMA converts up to 32 bits"}},
      {Opcode::dma_copy,
       [](Program&, Last i) { i.operand("src", hbm({640}, DType::int64)).operand("dst", hbm({640}, DType::int64, 8)); },
       {}},
      {Opcode::dma_copy,
       [](Program&, Last i) { i.operand("src", psum(32, {20})); },
       {"dma_copy src: is in psum; legal: sbuf, hbm"}},
      {Opcode::dma_transpose,
       [](Program&, Last i) {
         i.operand("src", hbm({20, 32}, DType::bf16));
       },
       {"dma_transpose src: type is bf16, dst has fp32"}},
      {Opcode::dma_transpose,
       [](Program&, Last i) {
         i.operand("src", hbm({20, 32}, DType::int8)).operand("dst", sbuf(32, {20}, DType::int8));
       },
       {"dma_transpose src: type is int8, the DMA engines transpose 2- and 4-byte elements"}},
      {Opcode::dma_transpose,
       [](Program&, Last i) {
         i.operand("src", hbm({32, 20}));
       },
       {"dma_transpose dst: 32 x 20 elements, the transpose has 20 x 32"}},
      {Opcode::dma_transpose, [](Program&, Last i) { i.operand("src", sbuf(20, {32})); }, {}},
  });
}

}  // namespace
}  // namespace presil::isa
