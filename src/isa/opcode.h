// The instruction table: one row per instruction. Encoder, printer, parser, operand checks and docs/reference/isa.md
// are derived from it; to add an instruction, see CONTRIBUTING.md.
// Semantics and constraints follow the NKI ISA documentation (fact sheet, section 9).
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "isa/view.h"

namespace presil::isa {

// Engine kinds of a core. A spec says how many of each a core has and which memories each reads and writes.
enum class EngineKind : uint8_t { tensor, vector, scalar, gpsimd, sync };
inline constexpr int kEngineKindCount = 5;
std::string_view engine_name(EngineKind e);
std::optional<EngineKind> engine_from_name(std::string_view name);

// clang-format off
enum class Opcode : uint8_t {
  // tensor
  nc_matmul,
  nc_transpose,
  // vector (some also scalar or gpsimd)
  tensor_copy,
  tensor_tensor,
  tensor_scalar,
  scalar_tensor_tensor,
  tensor_reduce,
  tensor_copy_predicated,
  select_reduce,
  range_select,
  reciprocal,
  memset,
  max8,
  nc_find_index8,
  bn_stats,
  bn_aggr,
  nc_stream_shuffle,
  tensor_tensor_scan,
  // scalar
  activation,
  // gpsimd
  iota,
  affine_select,
  nc_n_gather,
  tensor_partition_reduce,
  // any sequencer
  dma_copy,
  dma_transpose,
  wait,
  // vector: accumulators and searches
  tensor_scalar_reduce,
  tensor_scalar_cumulative,
  nc_match_replace8,
  // scalar
  activation_reduce,
  // vector and gpsimd: random numbers
  rng,
  set_rng_seed,
  rand_set_state,
  rand_get_state,
  dropout,
  // gpsimd, in groups of partitions that share a processor
  local_gather,
  sequence_bounds,
  nonzero_with_count,
  topk,
  // any sequencer: its registers and its order
  register_move,
  register_alu,
  register_load,
  register_store,
  branch,
  loop,
  loop_end,
  halt,
  // tensor: operands of the MX formats and with structured sparsity; vector: what quantizes for the former
  nc_matmul_mx,
  nc_matmul_sparse,
  quantize_mx,
  // vector, from generation 4 on
  exponential,
  rand2,
  // scalar, from generation 4 on
  activate2,
  // any sequencer
  dma_compute,
  // any sequencer, with the other core of a pair (exchange.h)
  sendrecv,
  core_barrier,
};
// clang-format on
inline constexpr int kOpcodeCount = static_cast<int>(Opcode::core_barrier) + 1;
// Whether the DMA engines do the work; operand 0 is the destination, operand 1 the source.
constexpr bool is_dma(Opcode o) {
  return o == Opcode::dma_copy || o == Opcode::dma_transpose || o == Opcode::dma_compute;
}
// What the two cores of a pair do together; carried out by transfers and semaphores (exchange.h).
constexpr bool is_exchange(Opcode o) { return o == Opcode::sendrecv || o == Opcode::core_barrier; }
inline constexpr int kComputeSources = 16;  // of a dma_compute, at most

// Products of the tensor engine: operand 0 is the destination in PSUM, 1 stationary, 2 moving; attribute 0 accumulates.
constexpr bool is_matmul(Opcode o) {
  return o == Opcode::nc_matmul || o == Opcode::nc_matmul_mx || o == Opcode::nc_matmul_sparse;
}
// Whether operand k holds the scales of MX data, of which only some partitions count (touched.h).
constexpr bool is_mx_scale(Opcode o, int k) {
  return (o == Opcode::nc_matmul_mx && k >= 3) || (o == Opcode::quantize_mx && k == 2);
}

using MemorySet = uint8_t;  // bit per Memory
constexpr MemorySet memory_bit(Memory m) { return static_cast<MemorySet>(1u << static_cast<int>(m)); }
using EngineSet = uint8_t;  // bit per EngineKind
constexpr EngineSet engine_bit(EngineKind e) { return static_cast<EngineSet>(1u << static_cast<int>(e)); }

enum class Access : uint8_t { read, write, read_write };

struct OperandRow {
  std::string_view name;
  Access access;
  MemorySet memories;
  bool optional = false;
};

// Attributes are 32-bit words; the kind says how to print, parse and check one.
// sequencer_register: a number, or kNoRegister. target: place in the queue's code.
enum class AttributeKind : uint8_t {
  f32,
  i32,
  bits,
  flag,
  alu_op,
  activation,
  reduce_command,
  sequencer_register,
  target,
  matmul_mode,
  dge_mode,
  oob_mode,
};
inline constexpr uint32_t kNoRegister = UINT32_MAX;
// How an nc_matmul uses the array. double_row: two fp8 numbers per row, k = (partition, half of the free elements).
enum class MatmulMode : uint8_t { none, double_row };
inline constexpr int kMatmulModeCount = 2;
std::string_view matmul_mode_name(MatmulMode m);
// Who makes a transfer's descriptors: whoever is not said, software on gpsimd, the hardware block that the scalar and
// the sync engine command, or the host before the program runs.
enum class DgeMode : uint8_t { unknown, swdge, hwdge, none };
inline constexpr int kDgeModeCount = 4;
std::string_view dge_mode_name(DgeMode m);
// What happens where an index names no row of its table: a fault, or that row is not moved.
enum class OobMode : uint8_t { error, skip };
inline constexpr int kOobModeCount = 2;
std::string_view oob_mode_name(OobMode m);
inline constexpr uint32_t kServiceClasses = 4;  // of transfers, 0 the first in rank (generation 4 on)

struct AttributeRow {
  std::string_view name;
  AttributeKind kind;
  uint32_t initial = 0;  // value when a text or a builder leaves it out
};

struct InstructionRow {
  Opcode opcode;
  std::string_view name;
  EngineSet engines;
  uint32_t first_generation;  // 2, 3, 4
  std::span<const OperandRow> operands;
  std::span<const AttributeRow> attributes;
  std::string_view summary;  // one line: what it computes
};

const InstructionRow& row(Opcode opcode);
std::span<const InstructionRow> all_rows();
std::optional<Opcode> opcode_from_name(std::string_view name);

// Positions in a row, by name; CHECKs that the name exists. Use the constants below in hot code.
int operand_index(Opcode opcode, std::string_view name);
int attribute_index(Opcode opcode, std::string_view name);

}  // namespace presil::isa
