// Is every constraint of the instructions of generation 4, of sums by DMA, and of newer operators stated exactly?
#include "isa/rule_cases.h"

namespace presil::isa {
namespace {

using namespace testing;

uint32_t command(ReduceCommand c) { return static_cast<uint32_t>(c); }
const spec::ChipSpec kNew = chip(128, 4);

TEST(Constraints, Exponential) {
  expect_messages({
      {Opcode::exponential, [](Program&, Last) {}, {"exponential: needs generation 4, test is generation 3"}},
      {Opcode::exponential,
       [](Program&, Last i) { i.operand("src", sbuf(32, {19})); },
       {"exponential src: 19 elements per partition, dst has 20"},
       kNew},
      {Opcode::exponential,
       [](Program&, Last i) { i.operand("src", sbuf(32, {20}, DType::tf32)); },
       {"exponential src: type is tf32; legal: fp8_e4m3, fp8_e5m2, fp16, bf16, fp32, int8, int16, int32, uint8, "
        "uint16, "
        "uint32"},
       kNew},
      {Opcode::exponential,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {20}, DType::uint32)); },
       {"exponential dst: type is uint32; legal: fp8_e4m3, fp8_e5m2, fp16, bf16, fp32, tf32, int8, int16, int32, "
        "uint8, "
        "uint16"},
       kNew},
      {Opcode::exponential,
       [](Program&, Last i) { i.operand("max_value", sbuf(32, {1}, DType::bf16)); },
       {"exponential max_value: type is bf16; legal: fp32"},
       kNew},
      {Opcode::exponential,
       [](Program&, Last i) { i.operand("reduce_res", sbuf(32, {1}, DType::int32)); },
       {"exponential reduce_res: type is int32; legal: fp8_e4m3, fp8_e5m2, fp16, bf16, fp32, tf32"},
       kNew},
      {Opcode::exponential,
       [](Program&, Last i) { i.word("reduce_cmd", command(ReduceCommand::reset)); },
       {"exponential reduce_cmd: reset is not one of idle, reset_reduce, reduce, load_reduce"},
       kNew},
      {Opcode::exponential,
       [](Program&, Last i) { i.operand("initial", sbuf(32, {1})); },
       {"exponential initial: reduce_cmd is reset_reduce, only load_reduce takes it"},
       kNew},
      {Opcode::exponential,
       [](Program&, Last i) { i.f32("initial_imm", 2); },
       {"exponential initial_imm: 2, only load_reduce takes it"},
       kNew},
      {Opcode::exponential,
       [](Program&, Last i) { i.f32("initial_imm", 2).word("reduce_cmd", command(ReduceCommand::load_reduce)); },
       {},
       kNew},
  });
}

TEST(Constraints, Rand2) {
  expect_messages({
      {Opcode::rand2, [](Program&, Last) {}, {"rand2: needs generation 4, test is generation 3"}},
      {Opcode::rand2,
       [](Program&, Last i) { i.operand("min", View{}).f32("min_imm", 1); },
       {"rand2 max_imm: 1, expected more than min_imm's 1"},
       kNew},
      {Opcode::rand2,
       [](Program&, Last i) { i.operand("min", sbuf(32, {2})); },
       {"rand2 min: 2 elements per partition, expected 1"},
       kNew},
      {Opcode::rand2,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {20}, DType::fp8_e4m3fn)); },
       {"rand2 dst: type is fp8_e4m3fn; legal: fp8_e4m3, fp8_e5m2, fp16, bf16, fp32, tf32, int8, int16, int32, uint8, "
        "uint16, uint32"},
       kNew},
  });
}

TEST(Constraints, Activate2) {
  expect_messages({
      {Opcode::activate2, [](Program&, Last) {}, {"activate2: needs generation 4, test is generation 3"}},
      {Opcode::activate2,
       [](Program&, Last i) { i.op("op0", AluOp::add); },
       {"activate2: does add, add; legal: multiply and add, multiply and subtract, multiply, add, subtract, bypass"},
       kNew},
      {Opcode::activate2, [](Program&, Last i) { i.op("op1", AluOp::subtract).word("reverse1", 1); }, {}, kNew},
      {Opcode::activate2,
       [](Program&, Last i) { i.op("op1", AluOp::bypass).word("reverse1", 1); },
       {"activate2 reverse1: op1 is bypass"},
       kNew},
      {Opcode::activate2,
       [](Program&, Last i) { i.op("op0", AluOp::bypass).op("op1", AluOp::bypass).word("reverse0", 1); },
       {"activate2 reverse0: op0 is bypass"},
       kNew},
      {Opcode::activate2,
       [](Program&, Last i) { i.operand("operand1", sbuf(32, {1}, DType::bf16)); },
       {"activate2 operand1: type is bf16, operand0 has fp32"},
       kNew},
      {Opcode::activate2,
       [](Program&, Last i) { i.operand("relu_param", sbuf(32, {2})); },
       {"activate2 relu_param: 2 elements per partition, expected 1"},
       kNew},
      {Opcode::activate2,
       [](Program&, Last i) { i.op("reduce_op", AluOp::multiply); },
       {"activate2 reduce_op: multiply is not one of add, max, min, abs_max, abs_min"},
       kNew},
      {Opcode::activate2,
       [](Program&, Last i) { i.word("reduce_cmd", command(ReduceCommand::load_reduce)); },
       {"activate2 reduce_cmd: load_reduce is not one of idle, reset, reduce, reset_reduce"},
       kNew},
  });
}

TEST(Constraints, DmaCompute) {
  expect_messages({
      {Opcode::dma_compute,
       [](Program&, Last i) {
         i.operand("src1", hbm({32, 19}));
       },
       {"dma_compute src1: 608 elements, dst has 640"}},
      {Opcode::dma_compute,
       [](Program&, Last i) {
         i.operand("src3", hbm({32, 20}));
       },
       {"dma_compute src3: follows a source that is missing"}},
      {Opcode::dma_compute,
       [](Program&, Last i) { i.op("op", AluOp::max); },
       {"dma_compute op: max is not one of add"}},
      {Opcode::dma_compute,
       [](Program&, Last i) {
         i.operand("src1", hbm({32, 20}, DType::int64));
       },
       {"dma_compute src1: type is int64, a DMA converts up to 32 bits"}},
      {Opcode::dma_compute,
       [](Program&, Last i) { i.operand("src1", psum(32, {20})); },
       {"dma_compute src1: is in psum; legal: sbuf, hbm"}},
      {Opcode::dma_compute,
       [](Program&, Last i) { i.operand("src0", sbuf(32, {20}, DType::fp4_e2m1fn_x4)); },
       {"dma_compute src0: type is fp4_e2m1fn_x4, expected one number per element"},
       kNew},
  });
}

TEST(Constraints, NewerOperatorsAndEngines) {
  const auto on_scalar = [](AluOp op0, AluOp op1) {
    return [=](Program& p, Last i) {
      p.code.back().engine = EngineKind::scalar;
      i.op("op0", op0).op("op1", op1);
    };
  };
  expect_messages({
      {Opcode::tensor_scalar,
       on_scalar(AluOp::subtract, AluOp::bypass),
       {"tensor_scalar: does subtract, bypass on the scalar engine; legal: multiply and add, multiply, add"}},
      {Opcode::tensor_scalar, on_scalar(AluOp::subtract, AluOp::max), {}, kNew},
      {Opcode::tensor_scalar,
       [](Program&, Last i) { i.op("op1", AluOp::square); },
       {"tensor_scalar op1: square is legal as op0 of tensor_scalar and tensor_scalar_reduce only"},
       kNew},
      {Opcode::tensor_scalar_reduce, [](Program&, Last i) { i.op("op0", AluOp::relu); }, {}, kNew},
      {Opcode::tensor_scalar_reduce,
       [](Program&, Last i) { i.op("op0", AluOp::relu); },
       {"tensor_scalar_reduce op0: relu needs generation 4"}},
      {Opcode::tensor_scalar_cumulative,
       [](Program&, Last i) { i.op("op0", AluOp::square); },
       {"tensor_scalar_cumulative op0: square is legal as op0 of tensor_scalar and tensor_scalar_reduce only"},
       kNew},
      {Opcode::scalar_tensor_tensor,
       [](Program&, Last i) { i.op("op0", AluOp::relu); },
       {"scalar_tensor_tensor op0: relu is legal as op0 of tensor_scalar and tensor_scalar_reduce only"},
       kNew},
      {Opcode::select_reduce,
       [](Program&, Last i) { i.operand("reduce_res", sbuf(32, {1}, DType::int32)); },
       {"select_reduce reduce_res: type is int32, expected a float"}},
      {Opcode::range_select,
       [](Program&, Last i) { i.operand("reduce_res", sbuf(32, {1}, DType::uint8)); },
       {"range_select reduce_res: type is uint8, expected a float"}},
      {Opcode::tensor_partition_reduce, [](Program&, Last i) { i.word("average", 1); }, {}},
      {Opcode::tensor_partition_reduce,
       [](Program&, Last i) { i.word("average", 1).op("op", AluOp::max); },
       {"tensor_partition_reduce average: op is max, an average is of a sum"}},
      {Opcode::memset,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {20}, DType::fp8_e5m2_x4)); },
       {"memset value: 1.5 in elements of four numbers, only 0 is legal"},
       kNew},
      {Opcode::memset,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {20}, DType::fp8_e5m2_x4)).f32("value", 0); },
       {},
       kNew},
  });
}

TEST(Constraints, Exchanges) {
  const auto pairs = chip(), alone = with([](spec::ChipSpec& s) { s.lnc_max = 1; });
  const auto gpsimd = [](Program& p, uint32_t elements) {
    p.code[0].engine = EngineKind::gpsimd;
    Last{p}.word("gpsimd_dma", 1);
    Last{p}.operand("dst", sbuf(32, {elements})).operand("src", sbuf(32, {elements}, DType::fp32, 4096));
  };
  const auto quiet = [](Program&, Last) {};
  expect_messages({
      {Opcode::sendrecv, quiet, {}, pairs},
      {Opcode::core_barrier, quiet, {}, pairs},
      {Opcode::sendrecv, quiet, {"sendrecv: needs the other core of a pair, test has none"}, alone},
      {Opcode::core_barrier, quiet, {"core_barrier: needs the other core of a pair, test has none"}, alone},
      {Opcode::core_barrier,
       quiet,
       {"core_barrier: needs generation 3, test is generation 2",
        "core_barrier: needs the other core of a pair, test has none"},
       chip(128, 2)},
      {Opcode::core_barrier,
       [](Program&, Last i) { i.operand("data", sbuf(32, {20})); },
       {"core_barrier data: is in sbuf; legal: hbm"},
       pairs},
      {Opcode::sendrecv,
       [](Program&, Last i) {
         i.operand("src", hbm({32, 20}));
       },
       {"sendrecv src: is in hbm; legal: sbuf", "sendrecv src: 1 x 640 elements, dst has 32 x 20"},
       pairs},
      {Opcode::sendrecv,
       [](Program& p, Last i) {
         View v = p.operand(p.code[0], slots::sendrecv::src);
         v.peer = 1;
         i.operand("src", v);
       },
       {"sendrecv src: is in the other core's sbuf, where only a DMA reaches"},
       pairs},
      {Opcode::sendrecv,
       [](Program&, Last i) { i.operand("src", sbuf(32, {20}, DType::bf16)); },
       {"sendrecv src: type is bf16, dst's is fp32"},
       pairs},
      {Opcode::sendrecv,
       [](Program&, Last i) { i.operand("src", sbuf(31, {21})); },
       {"sendrecv src: 31 x 21 elements, dst has 32 x 20"},
       pairs},
      {Opcode::sendrecv,
       [](Program&, Last i) { i.word("send_to_rank", 2); },
       {"sendrecv send_to_rank: 2, a pair has cores 0 and 1",
        "sendrecv recv_from_rank: 0, but sends to 2: the other core is one and the same"},
       pairs},
      {Opcode::sendrecv,
       [](Program& p, Last) { p.code[0].dma_queue = 99; },
       {"sendrecv: DMA queue 99, there are 16"},
       pairs},
      {Opcode::sendrecv, [&](Program& p, Last) { gpsimd(p, 256); }, {}, pairs},
      {Opcode::sendrecv,
       [&](Program& p, Last) { gpsimd(p, 257); },
       {"sendrecv src: 257 elements per partition, gpsimd's DMA engines move at most 256"},
       pairs},
      {Opcode::sendrecv,
       [](Program&, Last i) { i.word("gpsimd_dma", 1); },
       {"sendrecv gpsimd_dma: on the tensor engine, gpsimd has these DMA engines"},
       pairs},
  });
}

}  // namespace
}  // namespace presil::isa
