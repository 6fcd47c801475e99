#include "tile/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "isa/slots.h"

namespace presil::tile {
namespace {

using isa::Memory;
using isa::Opcode;

uint32_t word(float v) { return std::bit_cast<uint32_t>(v); }
uint32_t word(int32_t v) { return std::bit_cast<uint32_t>(v); }
template <class E>
uint32_t word_of(E e) {
  return static_cast<uint32_t>(e);
}

uint64_t tensor_elements(const isa::HbmTensor& tensor) {
  uint64_t n = 1;
  for (int64_t d : tensor.shape) n *= static_cast<uint64_t>(d);
  return n;
}

// Who triggers a transfer when the kernel does not say; see DmaOptions.
EngineKind default_trigger(const View& dst, const View& src) {
  return src.memory == Memory::hbm && dst.memory == Memory::sbuf && src.dtype == dst.dtype ? EngineKind::sync
                                                                                           : EngineKind::gpsimd;
}

}  // namespace

Pattern::Pattern(std::span<const Dim> list) : rank(static_cast<uint8_t>(list.size())) {
  CHECK(list.size() <= isa::kMaxRank, fmt::format("a view has at most {} dims, not {}", isa::kMaxRank, list.size()));
  std::copy(list.begin(), list.end(), dims.begin());
}

View tile_view(const TileProgram& program, uint32_t tile, DType dtype, uint32_t partition, uint32_t partitions,
               int64_t byte_offset, const Pattern& pattern) {
  CHECK(tile < program.tiles.size(), fmt::format("tile {} of {}", tile, program.tiles.size()));
  const Tile& t = program.tiles[tile];
  CHECK(partitions > 0 && partition + partitions <= t.partitions,
        fmt::format("partitions {}+{} of tile '{}' with {}", partition, partitions, t.name, t.partitions));
  View v{.memory = t.memory, .dtype = dtype, .rank = pattern.rank};
  v.partition = static_cast<uint16_t>(partition), v.partitions = static_cast<uint16_t>(partitions);
  v.base = tile, v.offset = byte_offset, v.dims = pattern.dims;
  isa::ByteRange range = isa::byte_range(v);
  CHECK(range.begin >= 0 && range.end <= t.bytes,
        fmt::format("bytes {}..{} of tile '{}' with {} per partition", range.begin, range.end, t.name, t.bytes));
  return v;
}

View hbm_view(const TileProgram& program, uint32_t tensor, int64_t element_offset, const Pattern& pattern) {
  CHECK(tensor < program.tensors.size(), fmt::format("tensor {} of {}", tensor, program.tensors.size()));
  const isa::HbmTensor& t = program.tensors[tensor];
  View v{.memory = Memory::hbm, .dtype = t.dtype, .rank = pattern.rank};
  v.base = tensor, v.dims = pattern.dims;
  v.offset = element_offset * static_cast<int64_t>(dtype_bytes(t.dtype));
  isa::ByteRange range = isa::byte_range(v);
  CHECK(range.begin >= 0 && range.end <= static_cast<int64_t>(t.bytes),
        fmt::format("bytes {}..{} of tensor '{}' with {}", range.begin, range.end, t.name, t.bytes));
  return v;
}

View whole(const TileProgram& program, uint32_t tensor) {
  CHECK(tensor < program.tensors.size(), fmt::format("tensor {} of {}", tensor, program.tensors.size()));
  const std::vector<int64_t>& shape = program.tensors[tensor].shape;
  Pattern p;
  p.rank = static_cast<uint8_t>(std::min<size_t>(shape.size(), isa::kMaxRank));
  int64_t step = 1;
  size_t axis = shape.size();
  for (int k = p.rank - 1; k >= 0; --k) {
    int64_t count = shape[--axis];
    if (k == 0) {
      while (axis > 0) count *= shape[--axis];
    }
    p.dims[static_cast<size_t>(k)] = {static_cast<int32_t>(step), static_cast<uint32_t>(count)};
    step *= count;
  }
  return hbm_view(program, tensor, 0, p);
}

Builder::Builder(std::string model, std::string precision) {
  program.model = std::move(model);
  program.precision = std::move(precision);
}

uint32_t Builder::tensor(std::string name, DType dtype, std::vector<int64_t> shape, isa::TensorRole role,
                         std::vector<std::byte> data) {
  isa::HbmTensor t{.name = std::move(name), .dtype = dtype, .shape = std::move(shape), .role = role};
  t.bytes = tensor_elements(t) * dtype_bytes(dtype);
  CHECK(data.empty() || data.size() == t.bytes,
        fmt::format("tensor '{}' holds {} bytes, data has {}", t.name, t.bytes, data.size()));
  t.data = std::move(data);
  program.tensors.push_back(std::move(t));
  return static_cast<uint32_t>(program.tensors.size() - 1);
}

uint32_t Builder::make_tile(Memory memory, uint32_t partitions, uint32_t bytes, std::string name, const Place& place) {
  CHECK(partitions > 0 && partitions <= UINT16_MAX && bytes > 0,
        fmt::format("tile '{}': {} partitions x {} bytes", name, partitions, bytes));
  program.tiles.push_back({.memory = memory,
                           .partitions = static_cast<uint16_t>(partitions),
                           .bytes = bytes,
                           .fixed_partition = place.partition,
                           .fixed_offset = place.offset,
                           .name = std::move(name)});
  return static_cast<uint32_t>(program.tiles.size() - 1);
}
uint32_t Builder::sbuf(uint32_t partitions, uint32_t bytes_per_partition, std::string name, Place place) {
  return make_tile(Memory::sbuf, partitions, bytes_per_partition, std::move(name), place);
}
uint32_t Builder::psum(uint32_t partitions, uint32_t bytes_per_partition, std::string name, Place place) {
  return make_tile(Memory::psum, partitions, bytes_per_partition, std::move(name), place);
}

View Builder::tile_view(uint32_t tile, DType dtype) const {
  CHECK(tile < program.tiles.size(), fmt::format("tile {} of {}", tile, program.tiles.size()));
  const Tile& t = program.tiles[tile];
  return tile_view(tile, dtype, 0, t.partitions, 0, {{1, static_cast<uint32_t>(t.bytes / dtype_bytes(dtype))}});
}

uint32_t Builder::begin_layer(std::string name, std::string kind, uint64_t macs, uint64_t bytes) {
  layer_ = static_cast<uint32_t>(program.layers.size());
  source_ = isa::kNoSource;
  program.layers.push_back({.name = std::move(name), .kind = std::move(kind), .macs = macs, .bytes = bytes});
  return layer_;
}

void Builder::resume_layer(uint32_t layer) {
  CHECK(layer < program.layers.size(), "a layer that was begun");
  layer_ = layer;
  source_ = isa::kNoSource;
}

void Builder::set_source(std::string_view tile_op, std::string_view graph_node) {
  auto [row, fresh] = source_rows_.try_emplace({layer_, std::string(tile_op), std::string(graph_node)},
                                               static_cast<uint32_t>(program.sources.size()));
  if (fresh) {
    program.sources.push_back(
        {.layer = layer_, .tile_op = std::string(tile_op), .graph_node = std::string(graph_node)});
  }
  source_ = row->second;
}

void Builder::order(uint32_t before, uint32_t after) {
  CHECK(before < after && after < program.code.code.size(), fmt::format("order {} before {}", before, after));
  program.order.push_back({before, after});
}

uint32_t Builder::append(Opcode opcode, Engine engine, std::span<const View> operands,
                         std::span<const uint32_t> attributes) {
  isa::Instruction& i = program.code.append(opcode, engine.kind);
  CHECK(operands.size() == i.operand_count && attributes.size() == i.attribute_count,
        fmt::format("{} has {} operands and {} attributes", isa::row(opcode).name, i.operand_count, i.attribute_count));
  std::copy(operands.begin(), operands.end(), program.code.views.begin() + i.operand_begin);
  place_moving(i);
  std::copy(attributes.begin(), attributes.end(), program.code.attributes.begin() + i.attribute_begin);
  i.engine_index = engine.index;
  i.source = source_;
  if (isa::is_dma(opcode)) i.dma_queue = kAnyQueue;
  return static_cast<uint32_t>(program.code.code.size() - 1);
}

uint32_t Builder::emit_dma(Opcode opcode, const View& dst, const View& src, const DmaOptions& options) {
  CHECK(dst.elements() == src.elements(),
        fmt::format("a transfer moves {} elements into {}", src.elements(), dst.elements()));
  const Engine engine = options.engine.value_or(Engine(default_trigger(dst, src)));
  const uint32_t mode = word_of(options.dge_mode), oob = word_of(isa::OobMode::error);
  return on_queue(opcode == Opcode::dma_copy
                      ? emit(opcode, engine, {dst, src, View{}}, {0, oob, mode, options.priority})
                      : emit(opcode, engine, {dst, src, View{}}, {oob, mode, options.priority}),
                  options.queue);
}

uint32_t Builder::on_queue(uint32_t instruction, uint8_t queue) {
  program.code.code[instruction].dma_queue = queue;
  return instruction;
}

uint32_t Builder::matmul(const Matmul& a) {
  return emit(Opcode::nc_matmul, a.engine, {a.dst, a.stationary, a.moving},
              {a.accumulate, a.is_transpose, word_of(a.perf_mode), a.is_stationary_onezero, a.is_moving_onezero,
               word(a.tile.row), word(a.tile.column), word(a.tile.rows), word(a.tile.columns)});
}
uint32_t Builder::matmul_mx(const MatmulMx& a) {
  return emit(Opcode::nc_matmul_mx, a.engine, {a.dst, a.stationary, a.moving, a.stationary_scale, a.moving_scale},
              {a.accumulate, word(a.tile.row), word(a.tile.rows)});
}
uint32_t Builder::matmul_sparse(const MatmulSparse& a) {
  return emit(Opcode::nc_matmul_sparse, a.engine, {a.dst, a.stationary, a.moving, a.tags},
              {a.accumulate, word(a.kept), word(a.of)});
}
uint32_t Builder::quantize_mx(const QuantizeMx& a) {
  return emit(Opcode::quantize_mx, a.engine, {a.dst, a.src, a.dst_scale}, {a.tight_scale});
}
uint32_t Builder::transpose(const Transpose& a) { return emit(Opcode::nc_transpose, a.engine, {a.dst, a.data}, {}); }
uint32_t Builder::tensor_copy(const TensorCopy& a) { return emit(Opcode::tensor_copy, a.engine, {a.dst, a.src}, {}); }
uint32_t Builder::tensor_tensor(const TensorTensor& a) {
  return emit(Opcode::tensor_tensor, a.engine, {a.dst, a.data1, a.data2}, {word_of(a.op)});
}
uint32_t Builder::tensor_scalar(const TensorScalar& a) {
  return emit(Opcode::tensor_scalar, a.engine, {a.dst, a.data, a.operand0.view, a.operand1.view},
              {word_of(a.op0), word(a.operand0.value), a.reverse0, word_of(a.op1), word(a.operand1.value), a.reverse1});
}
uint32_t Builder::scalar_tensor_tensor(const ScalarTensorTensor& a) {
  return emit(Opcode::scalar_tensor_tensor, a.engine, {a.dst, a.data, a.operand0.view, a.operand1},
              {word_of(a.op0), word(a.operand0.value), a.reverse0, word_of(a.op1), a.reverse1});
}
uint32_t Builder::tensor_reduce(const TensorReduce& a) {
  return emit(Opcode::tensor_reduce, a.engine, {a.dst, a.data}, {word_of(a.op), word(a.axes), a.negate});
}
uint32_t Builder::tensor_copy_predicated(const TensorCopyPredicated& a) {
  return emit(Opcode::tensor_copy_predicated, a.engine, {a.dst, a.src.view, a.predicate},
              {word(a.src.value), a.reverse_pred});
}
uint32_t Builder::select_reduce(const SelectReduce& a) {
  return emit(Opcode::select_reduce, a.engine, {a.dst, a.predicate, a.on_true, a.on_false.view, a.reduce_res},
              {word(a.on_false.value), word_of(a.reduce_cmd), a.reverse_pred});
}
uint32_t Builder::range_select(const RangeSelect& a) {
  return emit(Opcode::range_select, a.engine, {a.dst, a.on_true, a.bound0, a.bound1, a.reduce_res},
              {word_of(a.comp_op0), word_of(a.comp_op1), word(a.range_start), word_of(a.reduce_cmd)});
}
uint32_t Builder::reciprocal(const Reciprocal& a) { return emit(Opcode::reciprocal, a.engine, {a.dst, a.data}, {}); }
uint32_t Builder::memset(const Memset& a) { return emit(Opcode::memset, a.engine, {a.dst}, {word(a.value)}); }
uint32_t Builder::max8(const Max8& a) { return emit(Opcode::max8, a.engine, {a.dst, a.src}, {}); }
uint32_t Builder::find_index8(const FindIndex8& a) {
  return emit(Opcode::nc_find_index8, a.engine, {a.dst, a.data, a.vals}, {});
}
uint32_t Builder::bn_stats(const BnStats& a) { return emit(Opcode::bn_stats, a.engine, {a.dst, a.data}, {}); }
uint32_t Builder::bn_aggr(const BnAggr& a) { return emit(Opcode::bn_aggr, a.engine, {a.dst, a.data}, {}); }
uint32_t Builder::stream_shuffle(const StreamShuffle& a) {
  std::array<uint32_t, 8> m{};
  for (size_t k = 0; k < a.mask.size(); ++k) m[k / 4] |= static_cast<uint32_t>(a.mask[k]) << (8 * (k % 4));
  return emit(Opcode::nc_stream_shuffle, a.engine, {a.dst, a.src}, {m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7]});
}
uint32_t Builder::tensor_tensor_scan(const TensorTensorScan& a) {
  return emit(Opcode::tensor_tensor_scan, a.engine, {a.dst, a.data0, a.data1, a.initial.view},
              {word_of(a.op0), word_of(a.op1), word(a.initial.value), a.reverse0, a.reverse1});
}
uint32_t Builder::activation(const ActivationArgs& a) {
  return emit(Opcode::activation, a.engine, {a.dst, a.data, a.scale.view, a.bias.view, a.reduce_res},
              {word_of(a.op), word(a.scale.value), word(a.bias.value), word_of(a.reduce_cmd), word(a.alpha)});
}
uint32_t Builder::iota(const Iota& a) {
  return emit(Opcode::iota, a.engine, {a.dst},
              {word(a.offset), word(a.channel_multiplier), word(a.steps[0]), word(a.steps[1]), word(a.steps[2]),
               word(a.steps[3])});
}
uint32_t Builder::affine_select(const AffineSelect& a) {
  return emit(Opcode::affine_select, a.engine, {a.dst, a.on_true},
              {word_of(a.cmp_op), word(a.value), word(a.offset), word(a.channel_multiplier), word(a.steps[0]),
               word(a.steps[1]), word(a.steps[2]), word(a.steps[3])});
}
uint32_t Builder::gather(const Gather& a) {
  return emit(Opcode::nc_n_gather, a.engine, {a.dst, a.data, a.indices}, {});
}
uint32_t Builder::partition_reduce(const PartitionReduce& a) {
  return emit(Opcode::tensor_partition_reduce, a.engine, {a.dst, a.data}, {word_of(a.op), a.average});
}
uint32_t Builder::tensor_scalar_reduce(const TensorScalarReduce& a) {
  return emit(Opcode::tensor_scalar_reduce, a.engine, {a.dst, a.data, a.operand0.view, a.initial.view, a.reduce_res},
              {word_of(a.op0), word(a.operand0.value), a.reverse0, word_of(a.reduce_op), word_of(a.reduce_cmd),
               word(a.initial.value), a.negate});
}
uint32_t Builder::tensor_scalar_cumulative(const TensorScalarCumulative& a) {
  return emit(Opcode::tensor_scalar_cumulative, a.engine, {a.dst, a.src, a.operand0.view, a.initial.view},
              {word_of(a.op0), word(a.operand0.value), a.reverse0, word_of(a.op1), word_of(a.reduce_cmd),
               word(a.initial.value)});
}
uint32_t Builder::match_replace8(const MatchReplace8& a) {
  return emit(Opcode::nc_match_replace8, a.engine, {a.dst, a.data, a.vals, a.dst_idx}, {word(a.imm)});
}
uint32_t Builder::activation_reduce(const ActivationReduce& a) {
  return emit(Opcode::activation_reduce, a.engine, {a.dst, a.data, a.scale.view, a.bias.view, a.reduce_res},
              {word_of(a.op), word(a.scale.value), word(a.bias.value), word(a.alpha)});
}
uint32_t Builder::rng(const Rng& a) { return emit(Opcode::rng, a.engine, {a.dst}, {}); }
uint32_t Builder::set_rng_seed(const RngSeed& a) { return emit(Opcode::set_rng_seed, a.engine, {a.src_seeds}, {}); }
uint32_t Builder::rand_set_state(const RandSetState& a) {
  return emit(Opcode::rand_set_state, a.engine, {a.src_seeds}, {});
}
uint32_t Builder::rand_get_state(const RandGetState& a) { return emit(Opcode::rand_get_state, a.engine, {a.dst}, {}); }
uint32_t Builder::dropout(const Dropout& a) {
  return emit(Opcode::dropout, a.engine, {a.dst, a.data, a.prob.view}, {word(a.prob.value)});
}
uint32_t Builder::local_gather(const LocalGather& a) {
  return emit(Opcode::local_gather, a.engine, {a.dst, a.src_buffer, a.index},
              {word(a.num_elem_per_idx), word(a.num_valid_indices)});
}
uint32_t Builder::sequence_bounds(const SequenceBounds& a) {
  return emit(Opcode::sequence_bounds, a.engine, {a.dst, a.segment_ids}, {});
}
uint32_t Builder::nonzero(const Nonzero& a) {
  return emit(Opcode::nonzero_with_count, a.engine, {a.dst, a.src}, {word(a.index_offset), word(a.padding_val)});
}
uint32_t Builder::topk(const TopK& a) {
  return emit(Opcode::topk, a.engine, {a.val_dst, a.idx_dst, a.src}, {word(a.n)});
}
uint32_t Builder::exponential(const Exponential& a) {
  return emit(Opcode::exponential, a.engine, {a.dst, a.src, a.max_value.view, a.initial.view, a.reduce_res},
              {word(a.max_value.value), word_of(a.reduce_cmd), word(a.initial.value)});
}
uint32_t Builder::rand2(const Rand2& a) {
  return emit(Opcode::rand2, a.engine, {a.dst, a.min.view, a.max.view}, {word(a.min.value), word(a.max.value)});
}
uint32_t Builder::activate2(const Activate2& a) {
  return emit(
      Opcode::activate2, a.engine, {a.dst, a.data, a.operand0.view, a.operand1.view, a.relu_param.view, a.reduce_res},
      {word_of(a.op), word_of(a.op0), word(a.operand0.value), a.reverse0, word_of(a.op1), word(a.operand1.value),
       a.reverse1, word(a.relu_param.value), word_of(a.reduce_op), word_of(a.reduce_cmd)});
}
uint32_t Builder::sum(const View& dst, std::span<const View> sources, const View& index, const DmaOptions& options,
                      isa::OobMode oob_mode) {
  CHECK(!sources.empty() && sources.size() <= isa::kComputeSources, "a sum has 1 to 16 sources");
  std::array<View, isa::kComputeSources + 2> operands{dst};
  std::copy(sources.begin(), sources.end(), operands.begin() + isa::slots::dma_compute::src0);
  operands[isa::slots::dma_compute::index] = index;
  const std::array attributes{word_of(AluOp::add), word_of(oob_mode), options.priority};
  return on_queue(
      append(Opcode::dma_compute, options.engine.value_or(Engine(EngineKind::gpsimd)), operands, attributes),
      options.queue);
}
uint32_t Builder::dma_sum(const View& dst, std::span<const View> sources, const DmaOptions& options) {
  return sum(dst, sources, {}, options, isa::OobMode::error);
}
uint32_t Builder::dma(const View& dst, const View& src, const DmaOptions& options) {
  return emit_dma(Opcode::dma_copy, dst, src, options);
}
uint32_t Builder::dma_transpose(const View& dst, const View& src, const DmaOptions& options) {
  return emit_dma(Opcode::dma_transpose, dst, src, options);
}
uint32_t Builder::dma_gather(const View& dst, const View& table, const View& index, const IndirectOptions& o) {
  return on_queue(emit(Opcode::dma_copy, EngineKind::gpsimd, {dst, table, index},
                       {0, word_of(o.oob_mode), word_of(isa::DgeMode::unknown), o.priority}),
                  o.queue);
}
uint32_t Builder::dma_scatter(const View& table, const View& src, const View& index, const IndirectOptions& o) {
  return on_queue(emit(Opcode::dma_copy, EngineKind::gpsimd, {table, src, index},
                       {1, word_of(o.oob_mode), word_of(isa::DgeMode::unknown), o.priority}),
                  o.queue);
}
uint32_t Builder::dma_gather_transpose(const View& dst, const View& table, const View& index,
                                       const IndirectOptions& o) {
  return on_queue(emit(Opcode::dma_transpose, EngineKind::gpsimd, {dst, table, index},
                       {word_of(o.oob_mode), word_of(isa::DgeMode::unknown), o.priority}),
                  o.queue);
}
uint32_t Builder::dma_gather_sum(const View& dst, const View& src, const View& index, const IndirectOptions& o) {
  const std::array sources{dst, src};
  return sum(dst, sources, index, {.queue = o.queue, .priority = o.priority}, o.oob_mode);
}
uint32_t Builder::sendrecv(const View& dst, const View& src, uint32_t other, const ExchangeOptions& o) {
  return on_queue(emit(Opcode::sendrecv, o.engine, {dst, src}, {other, other, word(o.pipe), 0}), o.queue);
}
uint32_t Builder::core_barrier(const View& shared, Engine engine) {
  return emit(Opcode::core_barrier, engine, {shared}, {});
}

}  // namespace presil::tile
