// Operands and attributes of every instruction as plain structs for designated initializers, one per opcode:
//   b.tensor_scalar({.dst = y, .data = x, .op0 = AluOp::multiply, .operand0 = 0.5f});
// Fields are named as in the instruction table (isa/opcode.h), which documents shapes and legal types.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "isa/opcode.h"
#include "isa/view.h"
#include "numerics/activation.h"
#include "numerics/alu.h"

namespace presil::tile {

using isa::Dim;
using isa::EngineKind;
using isa::View;

// Which engine runs an instruction: a kind, and an index where a core has several of that kind.
struct Engine {
  EngineKind kind;
  uint8_t index = 0;
  Engine(EngineKind k, uint8_t i = 0) : kind(k), index(i) {}
};

// A scalar operand: one fp32 constant, or a [P,1] view with one value per partition.
struct Scalar {
  float value = 0;
  View view{};
  Scalar(float v = 0) : value(v) {}
  Scalar(const View& v) : view(v) {}
};

inline constexpr uint8_t kAnyQueue = UINT8_MAX;  // the backend chooses the DMA queue

// A part of the tensor engine's array; no rows mean all of it.
struct ArrayTile {
  int32_t row = 0, column = 0, rows = 0, columns = 0;
};

struct Matmul {
  View dst, stationary, moving;
  bool accumulate = false, is_transpose = false;
  isa::MatmulMode perf_mode = isa::MatmulMode::none;
  bool is_stationary_onezero = false, is_moving_onezero = false;
  ArrayTile tile{};
  Engine engine = EngineKind::tensor;
};
struct MatmulMx {
  View dst, stationary, moving, stationary_scale, moving_scale;
  bool accumulate = false;
  ArrayTile tile{};  // rows only
  Engine engine = EngineKind::tensor;
};
struct MatmulSparse {
  View dst, stationary, moving, tags;
  bool accumulate = false;
  int32_t kept = 4, of = 16;
  Engine engine = EngineKind::tensor;
};
struct QuantizeMx {
  View dst, src, dst_scale;
  bool tight_scale = false;
  Engine engine = EngineKind::vector;
};
struct Transpose {
  View dst, data;
  Engine engine = EngineKind::tensor;
};
struct TensorCopy {
  View dst, src;
  Engine engine = EngineKind::vector;
};
struct TensorTensor {
  View dst, data1, data2;
  AluOp op = AluOp::add;
  Engine engine = EngineKind::vector;
};
struct TensorScalar {
  View dst, data;
  AluOp op0 = AluOp::bypass;
  Scalar operand0;
  bool reverse0 = false;
  AluOp op1 = AluOp::bypass;
  Scalar operand1;
  bool reverse1 = false;
  Engine engine = EngineKind::vector;
};
struct ScalarTensorTensor {
  View dst, data;
  AluOp op0 = AluOp::bypass;
  Scalar operand0;
  bool reverse0 = false;
  AluOp op1 = AluOp::bypass;
  View operand1;
  bool reverse1 = false;
  Engine engine = EngineKind::vector;
};
struct TensorReduce {
  View dst, data;
  AluOp op = AluOp::add;
  int axes = 1;
  bool negate = false;
  Engine engine = EngineKind::vector;
};
// Where predicate holds: dst = src (a view, or the constant); elsewhere dst is kept.
struct TensorCopyPredicated {
  View dst;
  Scalar src;
  View predicate;
  bool reverse_pred = false;
  Engine engine = EngineKind::vector;
};
struct SelectReduce {
  View dst, predicate, on_true;
  Scalar on_false;
  View reduce_res{};
  ReduceCommand reduce_cmd = ReduceCommand::idle;
  bool reverse_pred = false;
  Engine engine = EngineKind::vector;
};
struct RangeSelect {
  View dst, on_true, bound0, bound1, reduce_res{};
  AluOp comp_op0 = AluOp::ge, comp_op1 = AluOp::lt;
  int32_t range_start = 0;
  ReduceCommand reduce_cmd = ReduceCommand::idle;
  Engine engine = EngineKind::vector;
};
struct TensorScalarReduce {
  View dst, data;
  AluOp op0 = AluOp::bypass;
  Scalar operand0;
  bool reverse0 = false;
  AluOp reduce_op = AluOp::add;
  View reduce_res{};
  ReduceCommand reduce_cmd = ReduceCommand::reset_reduce;
  Scalar initial;
  bool negate = false;
  Engine engine = EngineKind::vector;
};
struct TensorScalarCumulative {
  View dst, src;
  AluOp op0 = AluOp::bypass;
  Scalar operand0;
  bool reverse0 = false;
  AluOp op1 = AluOp::add;
  ReduceCommand reduce_cmd = ReduceCommand::reset_reduce;
  Scalar initial;
  Engine engine = EngineKind::vector;
};
struct MatchReplace8 {
  View dst, data, vals;
  float imm = 0;
  View dst_idx{};
  Engine engine = EngineKind::vector;
};
struct ActivationReduce {
  View dst, data;
  Activation op = Activation::copy;
  Scalar scale = 1.0f, bias;
  View reduce_res;
  float alpha = 0;
  Engine engine = EngineKind::scalar;
};
struct Rng {
  View dst;
  Engine engine = EngineKind::vector;
};
struct RngSeed {
  View src_seeds;
  Engine engine = EngineKind::vector;
};
struct RandSetState {
  View src_seeds;
  Engine engine = EngineKind::gpsimd;
};
struct RandGetState {
  View dst;
  Engine engine = EngineKind::gpsimd;
};
struct Dropout {
  View dst, data;
  Scalar prob;
  Engine engine = EngineKind::vector;
};
struct LocalGather {
  View dst, src_buffer, index;
  int32_t num_elem_per_idx = 1, num_valid_indices = 0;  // 0: all
  Engine engine = EngineKind::gpsimd;
};
struct SequenceBounds {
  View dst, segment_ids;
  Engine engine = EngineKind::gpsimd;
};
struct Nonzero {
  View dst, src;
  int32_t index_offset = 0, padding_val = -1;
  Engine engine = EngineKind::gpsimd;
};
struct TopK {
  View val_dst, idx_dst, src;
  int32_t n = 8;
  Engine engine = EngineKind::gpsimd;
};
struct Exponential {
  View dst, src;
  Scalar max_value, initial;
  View reduce_res{};
  ReduceCommand reduce_cmd = ReduceCommand::idle;
  Engine engine = EngineKind::vector;
};
struct Rand2 {
  View dst;
  Scalar min, max = 1.0f;
  Engine engine = EngineKind::vector;
};
struct Activate2 {
  View dst, data;
  Activation op = Activation::copy;
  AluOp op0 = AluOp::bypass;
  Scalar operand0;
  bool reverse0 = false;
  AluOp op1 = AluOp::bypass;
  Scalar operand1;
  bool reverse1 = false;
  Scalar relu_param;
  AluOp reduce_op = AluOp::add;
  View reduce_res{};
  ReduceCommand reduce_cmd = ReduceCommand::idle;
  Engine engine = EngineKind::scalar;
};
struct Reciprocal {
  View dst, data;
  Engine engine = EngineKind::vector;
};
struct Memset {
  View dst;
  float value = 0;
  Engine engine = EngineKind::vector;
};
struct Max8 {
  View dst, src;
  Engine engine = EngineKind::vector;
};
struct FindIndex8 {
  View dst, data, vals;
  Engine engine = EngineKind::vector;
};
struct BnStats {
  View dst, data;
  Engine engine = EngineKind::vector;
};
struct BnAggr {
  View dst, data;
  Engine engine = EngineKind::vector;
};
struct StreamShuffle {
  View dst, src;
  std::array<uint8_t, 32> mask{};
  Engine engine = EngineKind::vector;
};
struct TensorTensorScan {
  View dst, data0, data1;
  Scalar initial;
  AluOp op0 = AluOp::bypass, op1 = AluOp::bypass;
  bool reverse0 = false, reverse1 = false;
  Engine engine = EngineKind::vector;
};
struct ActivationArgs {
  View dst, data;
  Activation op = Activation::copy;
  Scalar scale = 1.0f;
  Scalar bias = 0.0f;
  View reduce_res{};
  ReduceCommand reduce_cmd = ReduceCommand::idle;
  float alpha = 0;
  Engine engine = EngineKind::scalar;
};
struct Iota {
  View dst;
  int32_t offset = 0, channel_multiplier = 0;
  std::array<int32_t, 4> steps{};
  Engine engine = EngineKind::gpsimd;
};
struct AffineSelect {
  View dst, on_true;
  AluOp cmp_op = AluOp::ge;
  float value = 0;
  int32_t offset = 0, channel_multiplier = 0;
  std::array<int32_t, 4> steps{};
  Engine engine = EngineKind::gpsimd;
};
struct Gather {
  View dst, data, indices;
  Engine engine = EngineKind::gpsimd;
};
struct PartitionReduce {
  View dst, data;
  AluOp op = AluOp::add;
  Engine engine = EngineKind::gpsimd;
  bool average = false;
};

// Who triggers a transfer and on which queue. Left out: loads by sync; stores, casts and moves between SBUF tiles by
// gpsimd, so that loads never queue up behind results that are not ready.
struct DmaOptions {
  std::optional<Engine> engine;
  uint8_t queue = kAnyQueue;
  isa::DgeMode dge_mode = isa::DgeMode::unknown;
  uint32_t priority = 0;
};

// sendrecv: the k-th of a pipe on one core of a pair meets the k-th of that pipe on the other.
struct ExchangeOptions {
  int32_t pipe = 0;
  Engine engine = isa::EngineKind::sync;
  uint8_t queue = kAnyQueue;
};

// Rows of a table in HBM, whose first dim counts them. `index` names one for each row of the other operand. Only gpsimd
// triggers these.
struct IndirectOptions {
  isa::OobMode oob_mode = isa::OobMode::error;
  uint8_t queue = kAnyQueue;
  uint32_t priority = 0;
};

}  // namespace presil::tile
