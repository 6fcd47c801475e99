#include "isa/opcode.h"

#include <array>
#include <bit>
#include <initializer_list>
#include <string>

#include "base/check.h"
#include "numerics/activation.h"
#include "numerics/alu.h"

namespace presil::isa {
namespace {

// A short list inside a constexpr table.
template <class T, size_t Capacity>
struct List {
  std::array<T, Capacity> items{};
  size_t count = 0;
  constexpr List(std::initializer_list<T> values) {
    for (const T& value : values) items[count++] = value;
  }
  constexpr std::span<const T> span() const { return {items.data(), count}; }
};

struct Definition {
  Opcode opcode;
  std::string_view name;
  EngineSet engines;
  uint32_t first_generation;
  List<OperandRow, kComputeSources + 2> operands;
  List<AttributeRow, 10> attributes;
  std::string_view summary;
};

constexpr MemorySet S = memory_bit(Memory::sbuf), P = memory_bit(Memory::psum), H = memory_bit(Memory::hbm);
constexpr EngineSet kTensor = engine_bit(EngineKind::tensor), kVector = engine_bit(EngineKind::vector),
                    kScalar = engine_bit(EngineKind::scalar), kGpsimd = engine_bit(EngineKind::gpsimd),
                    kAny = (1u << kEngineKindCount) - 1;

constexpr OperandRow reads(std::string_view name, MemorySet m) { return {name, Access::read, m}; }
constexpr OperandRow writes(std::string_view name, MemorySet m) { return {name, Access::write, m}; }
constexpr OperandRow updates(std::string_view name, MemorySet m) { return {name, Access::read_write, m}; }
constexpr OperandRow optional(OperandRow row) {
  row.optional = true;
  return row;
}

constexpr AttributeRow f32(std::string_view name, float initial = 0) {
  return {name, AttributeKind::f32, std::bit_cast<uint32_t>(initial)};
}
constexpr AttributeRow i32(std::string_view name, int32_t initial = 0) {
  return {name, AttributeKind::i32, static_cast<uint32_t>(initial)};
}
constexpr AttributeRow bits(std::string_view name, uint32_t initial) { return {name, AttributeKind::bits, initial}; }
constexpr AttributeRow flag(std::string_view name) { return {name, AttributeKind::flag}; }
constexpr AttributeRow alu(std::string_view name, AluOp initial = AluOp::bypass) {
  return {name, AttributeKind::alu_op, static_cast<uint32_t>(initial)};
}
constexpr AttributeRow function(std::string_view name) {
  return {name, AttributeKind::activation, static_cast<uint32_t>(Activation::copy)};
}
constexpr AttributeRow mode(std::string_view name) { return {name, AttributeKind::matmul_mode}; }
constexpr AttributeRow dge(std::string_view name) { return {name, AttributeKind::dge_mode}; }
constexpr AttributeRow oob(std::string_view name) { return {name, AttributeKind::oob_mode}; }
constexpr AttributeRow command(std::string_view name, ReduceCommand initial = ReduceCommand::idle) {
  return {name, AttributeKind::reduce_command, static_cast<uint32_t>(initial)};
}

constexpr AttributeRow reg(std::string_view name) { return {name, AttributeKind::sequencer_register, kNoRegister}; }
constexpr AttributeRow target(std::string_view name) { return {name, AttributeKind::target}; }

// One paragraph per instruction.
// clang-format off
constexpr std::array<Definition, kOpcodeCount> kTable = {{
    {Opcode::nc_matmul, "nc_matmul", kTensor, 2,
     {writes("dst", P), reads("stationary", S), reads("moving", S)},
     {flag("accumulate"), flag("is_transpose"), mode("perf_mode"), flag("is_stationary_onezero"),
      flag("is_moving_onezero"), i32("tile_row"), i32("tile_column"), i32("tile_rows"), i32("tile_columns")},
     "dst[m,n] (+)= sum over k of stationary[k,m] * moving[k,n]; accumulate adds to dst, is_transpose moves bits"},
    {Opcode::nc_transpose, "nc_transpose", kTensor | kVector, 2,
     {writes("dst", S | P), reads("data", S | P)},
     {},
     "dst[f,p] = data[p,f]; tensor engine from SBUF to PSUM, vector engine up to 32 x 32"},
    {Opcode::tensor_copy, "tensor_copy", kVector | kScalar | kGpsimd, 2,
     {writes("dst", S | P), reads("src", S | P)},
     {},
     "dst = src; bit-exact between equal types, otherwise converted through fp32"},
    {Opcode::tensor_tensor, "tensor_tensor", kVector | kGpsimd, 2,
     {writes("dst", S | P), reads("data1", S | P), reads("data2", S | P)},
     {alu("op", AluOp::add)},
     "dst = op(data1, data2)"},
    {Opcode::tensor_scalar, "tensor_scalar", kVector | kScalar | kGpsimd, 2,
     {writes("dst", S | P), reads("data", S | P), optional(reads("operand0", S | P)),
      optional(reads("operand1", S | P))},
     {alu("op0"), f32("imm0"), flag("reverse0"), alu("op1"), f32("imm1"), flag("reverse1")},
     "dst = op1(op0(data, s0), s1); s is one value per partition, or the immediate; reverse swaps an op's inputs"},
    {Opcode::scalar_tensor_tensor, "scalar_tensor_tensor", kVector, 2,
     {writes("dst", S | P), reads("data", S | P), optional(reads("operand0", S | P)), reads("operand1", S | P)},
     {alu("op0"), f32("imm0"), flag("reverse0"), alu("op1"), flag("reverse1")},
     "dst = op1(op0(data, s0), operand1); s0 is one value per partition, or the immediate"},
    {Opcode::tensor_reduce, "tensor_reduce", kVector, 2,
     {writes("dst", S | P), reads("data", S | P)},
     {alu("op", AluOp::add), i32("axes", 1), flag("negate")},
     "dst = op over the last `axes` free dimensions of data, times -1 if negate"},
    {Opcode::tensor_copy_predicated, "tensor_copy_predicated", kVector, 2,
     {updates("dst", S | P), optional(reads("src", S | P)), reads("predicate", S | P)},
     {f32("imm"), flag("reverse_pred")},
     "where predicate is nonzero (zero, if reverse_pred) dst = src or imm; elsewhere dst keeps its value"},
    {Opcode::select_reduce, "select_reduce", kVector, 2,
     {writes("dst", S | P), reads("predicate", S | P), reads("on_true", S | P), optional(reads("on_false", S | P)),
      optional(writes("reduce_res", S | P))},
     {f32("imm"), command("reduce_cmd"), flag("reverse_pred")},
     "dst = predicate ? on_true : on_false or imm; reduce_res = the running maximum per partition"},
    {Opcode::range_select, "range_select", kVector, 3,
     {writes("dst", S | P), reads("on_true", S | P), reads("bound0", S | P), reads("bound1", S | P),
      optional(writes("reduce_res", S | P))},
     {alu("comp_op0", AluOp::ge), alu("comp_op1", AluOp::lt), i32("range_start"), command("reduce_cmd")},
     "j = range_start + free index; dst = comp_op0(j, bound0) and comp_op1(j, bound1) ? on_true : lowest fp32"},
    {Opcode::reciprocal, "reciprocal", kVector, 2,
     {writes("dst", S | P), reads("data", S | P)},
     {},
     "dst = 1 / data in fp32"},
    {Opcode::memset, "memset", kVector | kGpsimd, 2,
     {writes("dst", S | P)},
     {f32("value")},
     "dst = value, converted to dst's type"},
    {Opcode::max8, "max8", kVector, 2,
     {writes("dst", S | P), reads("src", S | P)},
     {},
     "dst = the 8 largest values of each partition, descending"},
    {Opcode::nc_find_index8, "nc_find_index8", kVector, 2,
     {writes("dst", S | P), reads("data", S | P), reads("vals", S | P)},
     {},
     "dst[p,i] = index of vals[p,i] in data[p]; equal values take successive places; all ones if absent"},
    {Opcode::bn_stats, "bn_stats", kVector, 2,
     {writes("dst", S | P), reads("data", S | P)},
     {},
     "dst = count, mean, variance * count of the even elements, then of the odd ones"},
    {Opcode::bn_aggr, "bn_aggr", kVector, 2,
     {writes("dst", S | P), reads("data", S | P)},
     {},
     "dst = mean, variance over all (count, mean, variance * count) triples of data"},
    {Opcode::nc_stream_shuffle, "nc_stream_shuffle", kVector, 2,
     {writes("dst", S | P), reads("src", S | P)},
     {bits("mask0", 0x03020100), bits("mask1", 0x07060504), bits("mask2", 0x0b0a0908), bits("mask3", 0x0f0e0d0c),
      bits("mask4", 0x13121110), bits("mask5", 0x17161514), bits("mask6", 0x1b1a1918), bits("mask7", 0x1f1e1d1c)},
     "per 32 partitions dst[i] = src[mask[i]], mask byte 255 keeps dst[i]; 32 mask bytes, lowest first"},
    {Opcode::tensor_tensor_scan, "tensor_tensor_scan", kVector, 2,
     {writes("dst", S | P), reads("data0", S | P), reads("data1", S | P), optional(reads("initial", S | P))},
     {alu("op0", AluOp::multiply), alu("op1", AluOp::add), f32("imm"), flag("reverse0"), flag("reverse1")},
     "r = op1(op0(data0[i], r), data1[i]), dst[i] = r; r starts as initial or imm"},
    {Opcode::activation, "activation", kScalar, 2,
     {writes("dst", S | P), reads("data", S | P), optional(reads("scale", S | P)), optional(reads("bias", S | P)),
      optional(writes("reduce_res", S | P))},
     {function("op"), f32("scale_imm", 1), f32("bias_imm"), command("reduce_cmd"), f32("alpha")},
     "dst = op(data * scale + bias), scale and bias per partition or immediate; reduce_res = accumulated row sums"},
    {Opcode::iota, "iota", kGpsimd, 2,
     {writes("dst", S)},
     {i32("offset"), i32("channel_multiplier"), i32("step0"), i32("step1"), i32("step2"), i32("step3")},
     "dst[p,i...] = offset + p * channel_multiplier + sum of i_k * step_k, in int32"},
    {Opcode::affine_select, "affine_select", kGpsimd, 2,
     {writes("dst", S), reads("on_true", S)},
     {alu("cmp_op", AluOp::ge), f32("value"), i32("offset"), i32("channel_multiplier"), i32("step0"), i32("step1"),
      i32("step2"), i32("step3")},
     "dst = cmp_op(offset + p * channel_multiplier + sum of i_k * step_k, 0) ? on_true : value"},
    {Opcode::nc_n_gather, "nc_n_gather", kGpsimd, 2,
     {writes("dst", S), reads("data", S), reads("indices", S)},
     {},
     "dst[p,i] = data[p, indices[p,i]]"},
    {Opcode::tensor_partition_reduce, "tensor_partition_reduce", kGpsimd, 2,
     {writes("dst", S), reads("data", S)},
     {alu("op", AluOp::add), flag("average")},
     "dst[0,i] = op over all partitions p of data[p,i]; average divides a sum by their number"},
    {Opcode::dma_copy, "dma_copy", kAny, 2,
     {writes("dst", S | H), reads("src", S | H), optional(reads("index", S))},
     {flag("scatter"), oob("oob_mode"), dge("dge_mode"), i32("priority")},
     "dst = src by the DMA engines, converted if types differ; with index dst[k] = src[index[k]], rows of a table; "
     "scatter: dst[index[k]] = src[k]"},
    {Opcode::dma_transpose, "dma_transpose", kAny, 2,
     {writes("dst", S), reads("src", S | H), optional(reads("index", S))},
     {oob("oob_mode"), dge("dge_mode"), i32("priority")},
     "dst[p,f] = src[f,p] by the DMA engines; with index dst[p,f] = src[index[f],p]"},
    {Opcode::wait, "wait", kAny, 2, {}, {}, "holds its queue until every semaphore awaited has reached its value"},
    {Opcode::tensor_scalar_reduce, "tensor_scalar_reduce", kVector, 2,
     {writes("dst", S | P), reads("data", S | P), optional(reads("operand0", S | P)),
      optional(reads("initial", S | P)), optional(writes("reduce_res", S | P))},
     {alu("op0"), f32("imm0"), flag("reverse0"), alu("reduce_op", AluOp::add),
      command("reduce_cmd", ReduceCommand::reset_reduce), f32("initial_imm"), flag("negate")},
     "dst = op0(data, s0); reduce_res = reduce_op over the row and what the accumulator held, times -1 if negate"},
    {Opcode::tensor_scalar_cumulative, "tensor_scalar_cumulative", kVector, 2,
     {writes("dst", S | P), reads("src", S | P), optional(reads("operand0", S | P)),
      optional(reads("initial", S | P))},
     {alu("op0"), f32("imm0"), flag("reverse0"), alu("op1", AluOp::add),
      command("reduce_cmd", ReduceCommand::reset_reduce), f32("initial_imm")},
     "r = op1(op0(src[i], s0), r), dst[i] = r; r starts as op1's identity, as initial, or as the accumulator left it"},
    {Opcode::nc_match_replace8, "nc_match_replace8", kVector, 2,
     {writes("dst", S | P), reads("data", S | P), reads("vals", S | P), optional(writes("dst_idx", S | P))},
     {f32("imm")},
     "dst = data, one occurrence of each of vals 7 to 0 replaced by imm; dst_idx = their places, all ones if absent"},
    {Opcode::activation_reduce, "activation_reduce", kScalar, 2,
     {writes("dst", S | P), reads("data", S | P), optional(reads("scale", S | P)), optional(reads("bias", S | P)),
      writes("reduce_res", S | P)},
     {function("op"), f32("scale_imm", 1), f32("bias_imm"), f32("alpha")},
     "activation whose accumulators are reset first and read afterwards: reduce_res = row sums"},
    {Opcode::rng, "rng", kVector | kGpsimd, 2,
     {writes("dst", S | P)},
     {},
     "dst = random bits of the engine's generators, one word per element, of which the low bits are kept"},
    {Opcode::set_rng_seed, "set_rng_seed", kVector, 2,
     {reads("src_seeds", S | P)},
     {},
     "the vector engine's generators start anew from one 32-bit seed"},
    {Opcode::rand_set_state, "rand_set_state", kVector | kGpsimd, 3,
     {reads("src_seeds", S)},
     {},
     "the generators of each lane take their states, six words each, from its partition"},
    {Opcode::rand_get_state, "rand_get_state", kVector | kGpsimd, 3,
     {writes("dst", S | P)},
     {},
     "dst = the states of each lane's generators, six words each"},
    {Opcode::dropout, "dropout", kVector, 2,
     {writes("dst", S | P), reads("data", S | P), optional(reads("prob", S | P))},
     {f32("prob_imm")},
     "dst = data, or zero with the probability prob, one per partition or immediate"},
    {Opcode::local_gather, "local_gather", kGpsimd, 2,
     {writes("dst", S), reads("src_buffer", S), reads("index", S)},
     {i32("num_elem_per_idx", 1), i32("num_valid_indices")},
     "per 16 partitions: dst[p,k*e..] = src_buffer[p,index[k]*e..] for the indices of all 16, partitions first"},
    {Opcode::sequence_bounds, "sequence_bounds", kGpsimd, 2,
     {writes("dst", S), reads("segment_ids", S)},
     {},
     "dst[0,0,i], dst[0,1,i] = first place and end of the run of equal ids around i; n, -1 where the id is 0"},
    {Opcode::nonzero_with_count, "nonzero_with_count", kGpsimd, 3,
     {writes("dst", S), reads("src", S)},
     {i32("index_offset"), i32("padding_val", -1)},
     "partitions 0, 16, ...: dst = places of src's nonzeros plus index_offset, padding, and last their number"},
    {Opcode::topk, "topk", kGpsimd, 2,
     {writes("val_dst", S), writes("idx_dst", S), reads("src", S)},
     {i32("n", 8)},
     "per 16 partitions: the largest of src's first n elements, partitions first, ascending, and their places"},
    {Opcode::register_move, "register_move", kAny, 2, {},
     {reg("dst"), reg("src"), i32("imm")},
     "dst = src, or the immediate where there is no src"},
    {Opcode::register_alu, "register_alu", kAny, 2, {},
     {reg("dst"), alu("op", AluOp::add), reg("a"), reg("b"), i32("imm")},
     "dst = op(a, b), or op(a, imm) where there is no b, in 32-bit two's complement; comparisons give 1 or 0"},
    {Opcode::register_load, "register_load", kAny, 2,
     {reads("src", S | H)},
     {reg("dst")},
     "dst = the one element of src: integers are extended by their sign, other types give their bits"},
    {Opcode::register_store, "register_store", kAny, 2,
     {writes("dst", S | H)},
     {reg("src")},
     "the one element of dst = the low bits of src"},
    {Opcode::branch, "branch", kAny, 2, {},
     {alu("op"), reg("a"), reg("b"), i32("imm"), target("to")},
     "goes on at `to` if op(a, b), or op(a, imm), is not zero; always, if op is bypass"},
    {Opcode::loop, "loop", kAny, 2, {},
     {reg("counter"), reg("from"), i32("from_imm"), reg("until"), i32("until_imm"), i32("step", 1), target("to")},
     "counter = from; goes on at `to`, behind its loop_end, unless counter < until"},
    {Opcode::loop_end, "loop_end", kAny, 2, {},
     {target("to")},
     "`to` is a loop, whose counter grows by its step; goes on behind it as long as counter < until"},
    {Opcode::halt, "halt", kAny, 2, {}, {}, "the machine faults: what cannot go on ends here"},
    {Opcode::nc_matmul_mx, "nc_matmul_mx", kTensor, 4,
     {writes("dst", P), reads("stationary", S), reads("moving", S), reads("stationary_scale", S),
      reads("moving_scale", S)},
     {flag("accumulate"), i32("tile_row"), i32("tile_rows")},
     "dst[m,n] (+)= sum over p, q < 4 of scaled stationary[p,m][q] * scaled moving[p,n][q]; a scale per 8 p and 4 q"},
    {Opcode::nc_matmul_sparse, "nc_matmul_sparse", kTensor, 3,
     {writes("dst", P), reads("stationary", S), reads("moving", S), reads("tags", S)},
     {flag("accumulate"), i32("kept", 4), i32("of", 16)},
     "dst[m,n] (+)= sum over p of stationary[p,m] * the one of moving's `of` candidates that p's tag for m names"},
    {Opcode::quantize_mx, "quantize_mx", kVector, 4,
     {writes("dst", S), reads("src", S), writes("dst_scale", S)},
     {flag("tight_scale")},
     "per 8 partitions and 4 elements: dst_scale = a power of two by the largest, dst[p,f] = src[p,4f..] / it, packed"},
    {Opcode::exponential, "exponential", kVector, 4,
     {writes("dst", S | P), reads("src", S | P), optional(reads("max_value", S | P)),
      optional(reads("initial", S | P)), optional(writes("reduce_res", S | P))},
     {f32("max_imm"), command("reduce_cmd"), f32("initial_imm")},
     "dst = exp(src - max), max per partition or immediate; reduce_res = the accumulated sum of the row"},
    {Opcode::rand2, "rand2", kVector, 4,
     {writes("dst", S | P), optional(reads("min", S | P)), optional(reads("max", S | P))},
     {f32("min_imm"), f32("max_imm", 1)},
     "dst = uniform random numbers from min to max, each per partition or immediate"},
    {Opcode::activate2, "activate2", kScalar, 4,
     {writes("dst", S | P), reads("data", S | P), optional(reads("operand0", S | P)),
      optional(reads("operand1", S | P)), optional(reads("relu_param", S | P)), optional(writes("reduce_res", S | P))},
     {function("op"), alu("op0"), f32("imm0"), flag("reverse0"), alu("op1"), f32("imm1"), flag("reverse1"),
      f32("alpha"), alu("reduce_op", AluOp::add), command("reduce_cmd")},
     "dst = op(op1(op0(data, s0), s1)), s per partition or immediate; reduce_res = accumulated reduce_op of the row"},
    {Opcode::dma_compute, "dma_compute", kAny, 2,
     {writes("dst", S | H), reads("src0", S | H),
      optional(reads("src1", S | H)), optional(reads("src2", S | H)), optional(reads("src3", S | H)),
      optional(reads("src4", S | H)), optional(reads("src5", S | H)), optional(reads("src6", S | H)),
      optional(reads("src7", S | H)), optional(reads("src8", S | H)), optional(reads("src9", S | H)),
      optional(reads("src10", S | H)), optional(reads("src11", S | H)), optional(reads("src12", S | H)),
      optional(reads("src13", S | H)), optional(reads("src14", S | H)), optional(reads("src15", S | H)),
      optional(reads("index", S))},
     {alu("op", AluOp::add), oob("oob_mode"), i32("priority")},
     "dst = src0 + src1 + ... by the DMA engines, in fp32; with index dst, which is src0, is updated; its side in HBM "
     "is a table"},
    {Opcode::sendrecv, "sendrecv", kAny, 3,
     {writes("dst", S), reads("src", S)},
     {i32("send_to_rank"), i32("recv_from_rank"), i32("pipe_id"), flag("gpsimd_dma")},
     "dst = src of the pair's other core, whose dst = src, by the DMA engines of both; ends when both have ended"},
    {Opcode::core_barrier, "core_barrier", kAny, 3,
     {updates("data", H)},
     {},
     "holds its queue until the pair's other core is at its core_barrier of the same engine; data is what they share"},
}};
// clang-format on

constexpr auto kRows = [] {
  std::array<InstructionRow, kOpcodeCount> rows{};
  for (size_t i = 0; i < rows.size(); ++i) {
    const Definition& d = kTable[i];
    rows[i] = {d.opcode, d.name, d.engines, d.first_generation, d.operands.span(), d.attributes.span(), d.summary};
  }
  return rows;
}();

// row() indexes by opcode.
static_assert([] {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<size_t>(kRows[i].opcode) != i) return false;
  }
  return true;
}());

template <class Rows>
int index_of(const Rows& rows, Opcode opcode, std::string_view name) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].name == name) return static_cast<int>(i);
  }
  CHECK(false, std::string(row(opcode).name) + " has no '" + std::string(name) + "'");
}

constexpr std::string_view kMatmulModeNames[kMatmulModeCount] = {"none", "double_row"};
constexpr std::string_view kDgeModeNames[kDgeModeCount] = {"unknown", "swdge", "hwdge", "none"};
constexpr std::string_view kOobModeNames[kOobModeCount] = {"error", "skip"};
constexpr std::string_view kEngineNames[kEngineKindCount] = {"tensor", "vector", "scalar", "gpsimd", "sync"};

}  // namespace

std::string_view matmul_mode_name(MatmulMode m) { return kMatmulModeNames[static_cast<size_t>(m)]; }
std::string_view dge_mode_name(DgeMode m) { return kDgeModeNames[static_cast<size_t>(m)]; }
std::string_view oob_mode_name(OobMode m) { return kOobModeNames[static_cast<size_t>(m)]; }
std::string_view engine_name(EngineKind e) { return kEngineNames[static_cast<size_t>(e)]; }

std::optional<EngineKind> engine_from_name(std::string_view name) {
  for (int i = 0; i < kEngineKindCount; ++i) {
    if (kEngineNames[i] == name) return static_cast<EngineKind>(i);
  }
  return std::nullopt;
}

const InstructionRow& row(Opcode opcode) { return kRows[static_cast<size_t>(opcode)]; }
std::span<const InstructionRow> all_rows() { return kRows; }

std::optional<Opcode> opcode_from_name(std::string_view name) {
  for (const InstructionRow& r : kRows) {
    if (r.name == name) return r.opcode;
  }
  return std::nullopt;
}

int operand_index(Opcode opcode, std::string_view name) { return index_of(row(opcode).operands, opcode, name); }
int attribute_index(Opcode opcode, std::string_view name) { return index_of(row(opcode).attributes, opcode, name); }

}  // namespace presil::isa
