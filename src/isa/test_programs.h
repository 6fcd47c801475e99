// Chips and instructions for this room's tests: a chip like trn2 of any array size, and one legal instance of every
// instruction.
#pragma once
#include <vector>

#include "isa/program.h"
#include "isa/slots.h"
#include "numerics/activation.h"
#include "numerics/alu.h"
#include "spec/chip_spec.h"

namespace presil::isa::testing {

inline spec::ChipSpec chip(uint32_t array = 128, uint32_t generation = 3) {
  spec::ChipSpec s;
  s.name = "test";
  s.generation = generation;
  s.tensor.rows = s.tensor.columns = array;
  s.tensor.reads = {"sbuf"}, s.tensor.writes = {"psum"};
  s.vector.reads = s.vector.writes = s.scalar.reads = s.scalar.writes = {"sbuf", "psum"};
  s.gpsimd.reads = s.gpsimd.writes = {"sbuf"};
  s.sbuf = {.partitions = array, .bytes_per_partition = 196608};
  s.psum = {.partitions = array, .bytes_per_partition = 16384, .banks = 8};
  s.hbm.bytes = 1ull << 30;
  s.cores = s.lnc_max = generation < 3 ? 1 : 2;
  return s;
}

inline View view(Memory memory, DType dtype, uint16_t partitions, std::vector<uint32_t> counts, int64_t offset = 0) {
  View v;
  v.memory = memory;
  v.dtype = dtype;
  v.partitions = partitions;
  v.offset = offset;
  v.rank = static_cast<uint8_t>(counts.size());
  int32_t step = 1;
  for (size_t d = counts.size(); d-- > 0;) {
    v.dims[d] = {step, counts[d]};
    step *= static_cast<int32_t>(counts[d]);
  }
  return v;
}
inline View sbuf(uint16_t partitions, std::vector<uint32_t> counts, DType dtype = DType::fp32, int64_t offset = 0) {
  return view(Memory::sbuf, dtype, partitions, std::move(counts), offset);
}
inline View psum(uint16_t partitions, std::vector<uint32_t> counts, DType dtype = DType::fp32, int64_t offset = 0) {
  return view(Memory::psum, dtype, partitions, std::move(counts), offset);
}
inline View hbm(std::vector<uint32_t> counts, DType dtype = DType::fp32, int64_t offset = 0) {
  return view(Memory::hbm, dtype, 1, std::move(counts), offset);
}

// Sets operands and attributes of the last instruction by name.
struct Last {
  Program& program;
  Last operand(std::string_view name, const View& v) const {
    const Instruction& i = program.code.back();
    program.views[i.operand_begin + static_cast<uint32_t>(operand_index(i.opcode, name))] = v;
    return *this;
  }
  Last word(std::string_view name, uint32_t value) const {
    const Instruction& i = program.code.back();
    program.attributes[i.attribute_begin + static_cast<uint32_t>(attribute_index(i.opcode, name))] = value;
    return *this;
  }
  Last op(std::string_view name, AluOp value) const { return word(name, static_cast<uint32_t>(value)); }
  Last f32(std::string_view name, float value) const { return word(name, std::bit_cast<uint32_t>(value)); }
};
inline Last append(Program& p, Opcode opcode, EngineKind engine) {
  p.append(opcode, engine);
  return {p};
}

inline EngineKind first_engine(Opcode opcode) {
  for (int e = 0; e < kEngineKindCount; ++e) {
    if (row(opcode).engines & (1u << e)) return static_cast<EngineKind>(e);
  }
  return EngineKind::sync;
}

// One instruction that breaks no rule on a chip of any array size from 32 on.
inline Program legal(Opcode opcode) {
  Program p;
  Last i = append(p, opcode, first_engine(opcode));
  switch (opcode) {
    case Opcode::nc_matmul:
      i.operand("dst", psum(16, {100})).operand("stationary", sbuf(32, {16})).operand("moving", sbuf(32, {100}));
      break;
    case Opcode::nc_transpose:
      i.operand("dst", psum(16, {32})).operand("data", sbuf(32, {16}));
      break;
    case Opcode::tensor_copy:
      i.operand("dst", sbuf(32, {4, 5})).operand("src", psum(32, {20}, DType::bf16));
      break;
    case Opcode::tensor_tensor:
      i.operand("dst", sbuf(32, {20})).operand("data1", sbuf(32, {20})).operand("data2", psum(32, {20}));
      break;
    case Opcode::tensor_scalar:
      i.operand("dst", sbuf(32, {20})).operand("data", sbuf(32, {20})).operand("operand0", sbuf(32, {1}));
      i.op("op0", AluOp::multiply).op("op1", AluOp::add).f32("imm1", 0.5f);
      break;
    case Opcode::scalar_tensor_tensor:
      i.operand("dst", sbuf(32, {20})).operand("data", sbuf(32, {20})).operand("operand1", psum(32, {20}));
      i.op("op0", AluOp::multiply).op("op1", AluOp::add).f32("imm0", 2);
      break;
    case Opcode::tensor_reduce:
      i.operand("dst", sbuf(32, {3})).operand("data", sbuf(32, {3, 4, 5})).word("axes", 2);
      break;
    case Opcode::tensor_copy_predicated:
      i.operand("dst", sbuf(32, {20})).operand("src", sbuf(32, {20}));
      i.operand("predicate", sbuf(32, {20}, DType::uint8));
      break;
    case Opcode::select_reduce:
      i.operand("dst", sbuf(32, {20})).operand("predicate", sbuf(32, {20}, DType::uint8));
      i.operand("on_true", sbuf(32, {20})).operand("reduce_res", sbuf(32, {1}));
      i.word("reduce_cmd", static_cast<uint32_t>(ReduceCommand::reset_reduce));
      break;
    case Opcode::range_select:
      i.operand("dst", sbuf(32, {20})).operand("on_true", sbuf(32, {20}));
      i.operand("bound0", sbuf(32, {1})).operand("bound1", sbuf(32, {1}));
      break;
    case Opcode::reciprocal:
      i.operand("dst", sbuf(32, {20})).operand("data", sbuf(32, {20}));
      break;
    case Opcode::memset:
      i.operand("dst", sbuf(32, {20})).f32("value", 1.5f);
      break;
    case Opcode::max8:
      i.operand("dst", sbuf(32, {8})).operand("src", sbuf(32, {20}));
      break;
    case Opcode::nc_find_index8:
      i.operand("dst", sbuf(32, {8}, DType::uint32)).operand("data", sbuf(32, {20})).operand("vals", sbuf(32, {8}));
      break;
    case Opcode::bn_stats:
      i.operand("dst", sbuf(32, {6})).operand("data", sbuf(32, {512}));
      break;
    case Opcode::bn_aggr:
      i.operand("dst", sbuf(32, {2})).operand("data", sbuf(32, {12}));
      break;
    case Opcode::nc_stream_shuffle:
      i.operand("dst", sbuf(32, {20})).operand("src", sbuf(32, {20}));
      break;
    case Opcode::tensor_tensor_scan:
      i.operand("dst", sbuf(32, {20})).operand("data0", sbuf(32, {20})).operand("data1", sbuf(32, {20}));
      break;
    case Opcode::activation:
      i.operand("dst", sbuf(32, {20})).operand("data", psum(32, {20})).operand("bias", sbuf(32, {1}));
      i.word("op", static_cast<uint32_t>(Activation::exp)).operand("reduce_res", sbuf(32, {1}));
      break;
    case Opcode::iota:
      i.operand("dst", sbuf(32, {4, 5}, DType::int32)).word("step0", 5).word("step1", 1);
      break;
    case Opcode::affine_select:
      i.operand("dst", sbuf(32, {20})).operand("on_true", sbuf(32, {20})).word("channel_multiplier", 1);
      break;
    case Opcode::nc_n_gather:
      i.operand("dst", sbuf(32, {20})).operand("data", sbuf(32, {50}));
      i.operand("indices", sbuf(32, {20}, DType::uint32));
      break;
    case Opcode::tensor_partition_reduce:
      i.operand("dst", sbuf(1, {20})).operand("data", sbuf(32, {20}));
      break;
    case Opcode::dma_copy:
      i.operand("dst", sbuf(32, {20})).operand("src", hbm({32, 20}, DType::bf16));
      break;
    case Opcode::dma_transpose:
      i.operand("dst", sbuf(32, {20})).operand("src", hbm({20, 32}));
      break;
    case Opcode::tensor_scalar_reduce:
      i.operand("dst", sbuf(32, {20})).operand("data", sbuf(32, {20})).operand("operand0", sbuf(32, {1}));
      i.op("op0", AluOp::multiply).operand("reduce_res", sbuf(32, {1}));
      break;
    case Opcode::tensor_scalar_cumulative:
      i.operand("dst", sbuf(32, {20})).operand("src", sbuf(32, {20})).op("op0", AluOp::multiply).f32("imm0", 0.5f);
      break;
    case Opcode::nc_match_replace8:
      i.operand("dst", sbuf(32, {20})).operand("data", sbuf(32, {20})).operand("vals", sbuf(32, {8}));
      i.operand("dst_idx", sbuf(32, {8}, DType::uint32));
      break;
    case Opcode::activation_reduce:
      i.operand("dst", sbuf(32, {20})).operand("data", psum(32, {20})).operand("reduce_res", sbuf(32, {1}));
      break;
    case Opcode::rng:
      i.operand("dst", sbuf(32, {20}, DType::uint16));
      break;
    case Opcode::set_rng_seed:
      i.operand("src_seeds", sbuf(1, {1}, DType::uint32));
      break;
    case Opcode::rand_set_state:
      p.code.back().engine = EngineKind::gpsimd;
      i.operand("src_seeds", sbuf(32, {6}, DType::uint32));
      break;
    case Opcode::rand_get_state:
      p.code.back().engine = EngineKind::gpsimd;
      i.operand("dst", sbuf(32, {6}, DType::uint32));
      break;
    case Opcode::dropout:
      i.operand("dst", sbuf(32, {20})).operand("data", sbuf(32, {20})).f32("prob_imm", 0.5f);
      break;
    case Opcode::local_gather:
      i.operand("dst", sbuf(32, {32})).operand("src_buffer", sbuf(32, {50}));
      i.operand("index", sbuf(32, {2}, DType::uint16));
      break;
    case Opcode::sequence_bounds:
      i.operand("dst", sbuf(1, {2, 20}, DType::int32)).operand("segment_ids", sbuf(1, {20}, DType::int32));
      break;
    case Opcode::nonzero_with_count:
      i.operand("dst", sbuf(32, {21}, DType::int32)).operand("src", sbuf(32, {20}));
      break;
    case Opcode::topk:
      i.operand("val_dst", sbuf(32, {5}, DType::bf16)).operand("idx_dst", sbuf(32, {5}, DType::uint32));
      i.operand("src", sbuf(32, {3}, DType::bf16)).word("n", 42);
      break;
    case Opcode::register_load:
      i.operand("src", sbuf(1, {1}, DType::int32)).word("dst", 0);
      break;
    case Opcode::register_store:
      i.operand("dst", sbuf(1, {1}, DType::int32)).word("src", 0);
      break;
    case Opcode::register_move:
      i.word("dst", 0);
      break;
    case Opcode::register_alu:
      i.word("dst", 0).word("a", 0);
      break;
    case Opcode::loop:
      i.word("counter", 0);
      break;
    case Opcode::nc_matmul_mx:
      i.operand("dst", psum(16, {100})).operand("stationary", sbuf(32, {16}, DType::fp8_e4m3fn_x4));
      i.operand("moving", sbuf(32, {100}, DType::fp4_e2m1fn_x4));
      i.operand("stationary_scale", sbuf(4, {16}, DType::fp8_e8m0))
          .operand("moving_scale", sbuf(4, {100}, DType::uint8));
      break;
    case Opcode::nc_matmul_sparse:
      i.operand("dst", psum(16, {100})).operand("stationary", sbuf(32, {16}, DType::bf16));
      i.operand("moving", sbuf(32, {4, 100}, DType::bf16)).operand("tags", sbuf(32, {4}, DType::uint16));
      break;
    case Opcode::quantize_mx:
      i.operand("dst", sbuf(32, {5}, DType::fp8_e5m2_x4)).operand("src", sbuf(32, {20}, DType::bf16));
      i.operand("dst_scale", sbuf(4, {5}, DType::fp8_e8m0));
      break;
    case Opcode::exponential:
      i.operand("dst", sbuf(32, {20})).operand("src", sbuf(32, {20})).operand("max_value", sbuf(32, {1}));
      i.operand("reduce_res", sbuf(32, {1})).word("reduce_cmd", static_cast<uint32_t>(ReduceCommand::reset_reduce));
      break;
    case Opcode::rand2:
      i.operand("dst", sbuf(32, {20})).operand("min", sbuf(32, {1}));
      break;
    case Opcode::activate2:
      i.operand("dst", sbuf(32, {20})).operand("data", psum(32, {20})).operand("operand0", sbuf(32, {1}));
      i.op("op0", AluOp::multiply).op("op1", AluOp::add).f32("imm1", 0.5f).operand("reduce_res", sbuf(32, {1}));
      i.word("op", static_cast<uint32_t>(Activation::exp));
      break;
    case Opcode::dma_compute:
      i.operand("dst", sbuf(32, {20})).operand("src0", sbuf(32, {20})).operand("src1", hbm({32, 20}, DType::bf16));
      break;
    case Opcode::sendrecv:
      i.operand("dst", sbuf(32, {20})).operand("src", sbuf(32, {20}, DType::fp32, 128));
      break;
    case Opcode::core_barrier:
      i.operand("data", hbm({32, 20}));
      break;
    case Opcode::wait:
    case Opcode::branch:
    case Opcode::loop_end:
    case Opcode::halt:
      break;
  }
  return p;
}

}  // namespace presil::isa::testing
