// Builder: appends tensors, tiles and instructions to a TileProgram. Thin: one method per instruction, each appends one
// row of the instruction table with the current provenance and returns its index. Out-of-bounds views are our own bugs
// and CHECK; everything that depends on a chip is left to verify().
//
//   Builder b("gemm.kernel");
//   uint32_t x = b.tensor("x", DType::fp32, {128, 512}, isa::TensorRole::input);
//   uint32_t t = b.sbuf(128, 512 * 4, "x");
//   b.begin_layer("copy", "elementwise", 0, 2 * 128 * 512 * 4);
//   b.set_source("load x");
//   b.dma(b.tile_view(t, DType::fp32, 0, 128, 0, {{1, 512}}), b.whole(x));
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tile/instructions.h"
#include "tile/tile_program.h"

namespace presil::tile {

// Free-axis (or HBM) dimensions, outermost first; steps in elements.
struct Pattern {
  std::array<Dim, isa::kMaxRank> dims{};
  uint8_t rank = 0;
  Pattern() = default;
  Pattern(std::initializer_list<Dim> list) : Pattern(std::span<const Dim>(list.begin(), list.size())) {}
  Pattern(std::span<const Dim> list);
};

// `partitions` partitions from `partition` of a tile, elements from `byte_offset` of each; CHECKs that all lie inside.
View tile_view(const TileProgram& program, uint32_t tile, DType dtype, uint32_t partition, uint32_t partitions,
               int64_t byte_offset, const Pattern& pattern);
// Elements of a tensor from `element_offset`, in its own dtype; CHECKs that all lie inside.
View hbm_view(const TileProgram& program, uint32_t tensor, int64_t element_offset, const Pattern& pattern);
// Row-major view of the whole tensor; leading dims are merged beyond kMaxRank.
View whole(const TileProgram& program, uint32_t tensor);

// A register of the program, as the sequencers keep them: 32 bits, two's complement.
struct Register {
  uint32_t number = isa::kNoRegister;
};
// What a register may be compared or combined with: another one, or a constant.
struct Number {
  uint32_t reg = isa::kNoRegister;
  int32_t value = 0;
  Number(int32_t v) : value(v) {}
  Number(Register r) : reg(r.number) {}
};

class Builder {
 public:
  explicit Builder(std::string model = {}, std::string precision = "fp32");

  TileProgram program;  // may be read at any time
  TileProgram take() { return std::move(program); }

  // Data may be empty (compiled without); otherwise its size must be the tensor's.
  uint32_t tensor(std::string name, DType dtype, std::vector<int64_t> shape, isa::TensorRole role,
                  std::vector<std::byte> data = {});

  // Tiles. `fixed_*` only when the kernel insists on a place.
  struct Place {
    std::optional<uint16_t> partition;
    std::optional<uint32_t> offset;
  };
  uint32_t sbuf(uint32_t partitions, uint32_t bytes_per_partition, std::string name, Place place = {});
  uint32_t psum(uint32_t partitions, uint32_t bytes_per_partition, std::string name, Place place = {});

  View tile_view(uint32_t tile, DType dtype, uint32_t partition, uint32_t partitions, int64_t byte_offset,
                 const Pattern& pattern) const {
    return tile::tile_view(program, tile, dtype, partition, partitions, byte_offset, pattern);
  }
  // The whole tile, dense.
  View tile_view(uint32_t tile, DType dtype) const;
  View hbm_view(uint32_t tensor, int64_t element_offset, const Pattern& pattern) const {
    return tile::hbm_view(program, tensor, element_offset, pattern);
  }
  View whole(uint32_t tensor) const { return tile::whole(program, tensor); }

  // Provenance of the instructions that follow. Equal sources share one row.
  uint32_t begin_layer(std::string name, std::string kind, uint64_t macs = 0, uint64_t bytes = 0);
  // Back to a layer begun earlier: layers that run in bands take turns.
  void resume_layer(uint32_t layer);
  void set_source(std::string_view tile_op, std::string_view graph_node = {});

  // A row of the table with its operands and attributes in order; what the calls below do by name.
  uint32_t append(isa::Opcode opcode, Engine engine, std::span<const View> operands,
                  std::span<const uint32_t> attributes);

  // Instruction `after` starts only when `before` has completed.
  void order(uint32_t before, uint32_t after);

  // Registers. Every sequencer that needs one computes it for itself. `element`: one number in SBUF or HBM.
  Register make_register(Number value = 0);
  void assign(Register to, Number value);
  Register load_register(const View& element);
  void load_register(Register to, const View& element);
  void store_register(const View& element, Register from, Engine engine = EngineKind::sync);
  Register compute(AluOp op, Register a, Number b);
  void compute(Register to, AluOp op, Register a, Number b);
  // The view, `step_bytes` further for each unit of the register. All of it has to stay inside its tile or tensor
  // whenever it is used; a view may move by several registers.
  View moving(const View& view, Register by, int64_t step_bytes);

  // For from, from + step, ... below `until`. The register counts; the body may not change it.
  Register begin_loop(Number from, Number until, int32_t step = 1);
  // Ends the loop where the register is 0. First in the loop, or last; registers only may be computed before.
  void leave_unless(Register condition);
  void end_loop();
  void begin_if(AluOp op, Register a, Number b);
  void begin_else();
  void end_if();
  template <class Body>  // body(counter)
  void loop(Number from, Number until, int32_t step, Body body) {
    const Register counter = begin_loop(from, until, step);
    body(counter);
    end_loop();
  }
  // As long as the register is not 0; the body computes it anew.
  template <class Body>
  void while_loop(Register condition, Body body) {
    begin_loop(0, INT32_MAX);
    leave_unless(condition);
    body();
    end_loop();
  }

  uint32_t matmul(const Matmul& a);
  uint32_t matmul_mx(const MatmulMx& a);
  uint32_t matmul_sparse(const MatmulSparse& a);
  uint32_t quantize_mx(const QuantizeMx& a);
  uint32_t transpose(const Transpose& a);
  uint32_t tensor_copy(const TensorCopy& a);
  uint32_t tensor_tensor(const TensorTensor& a);
  uint32_t tensor_scalar(const TensorScalar& a);
  uint32_t scalar_tensor_tensor(const ScalarTensorTensor& a);
  uint32_t tensor_reduce(const TensorReduce& a);
  uint32_t tensor_copy_predicated(const TensorCopyPredicated& a);
  uint32_t select_reduce(const SelectReduce& a);
  uint32_t range_select(const RangeSelect& a);
  uint32_t reciprocal(const Reciprocal& a);
  uint32_t memset(const Memset& a);
  uint32_t max8(const Max8& a);
  uint32_t find_index8(const FindIndex8& a);
  uint32_t bn_stats(const BnStats& a);
  uint32_t bn_aggr(const BnAggr& a);
  uint32_t stream_shuffle(const StreamShuffle& a);
  uint32_t tensor_tensor_scan(const TensorTensorScan& a);
  uint32_t activation(const ActivationArgs& a);
  uint32_t iota(const Iota& a);
  uint32_t affine_select(const AffineSelect& a);
  uint32_t gather(const Gather& a);
  uint32_t partition_reduce(const PartitionReduce& a);
  uint32_t tensor_scalar_reduce(const TensorScalarReduce& a);
  uint32_t tensor_scalar_cumulative(const TensorScalarCumulative& a);
  uint32_t match_replace8(const MatchReplace8& a);
  uint32_t activation_reduce(const ActivationReduce& a);
  uint32_t rng(const Rng& a);
  uint32_t set_rng_seed(const RngSeed& a);
  uint32_t rand_set_state(const RandSetState& a);
  uint32_t rand_get_state(const RandGetState& a);
  uint32_t dropout(const Dropout& a);
  uint32_t local_gather(const LocalGather& a);
  uint32_t sequence_bounds(const SequenceBounds& a);
  uint32_t nonzero(const Nonzero& a);
  uint32_t topk(const TopK& a);
  uint32_t exponential(const Exponential& a);
  uint32_t rand2(const Rand2& a);
  uint32_t activate2(const Activate2& a);
  uint32_t dma(const View& dst, const View& src, const DmaOptions& options = {});
  uint32_t dma_transpose(const View& dst, const View& src, const DmaOptions& options = {});
  // dst[k] = table[index[k]]; table[index[k]] = src[k]; dst[p,f] = table[index[f],p].
  uint32_t dma_gather(const View& dst, const View& table, const View& index, const IndirectOptions& options = {});
  uint32_t dma_scatter(const View& table, const View& src, const View& index, const IndirectOptions& options = {});
  uint32_t dma_gather_transpose(const View& dst, const View& table, const View& index,
                                const IndirectOptions& options = {});
  // dst[k] += src[index[k]], or, where dst is in HBM, dst[index[k]] += src[k].
  uint32_t dma_gather_sum(const View& dst, const View& src, const View& index, const IndirectOptions& options = {});
  // dst = the sum of up to isa::kComputeSources sources.
  uint32_t dma_sum(const View& dst, std::span<const View> sources, const DmaOptions& options = {});

  // Of a program for one core of a pair (backend/lower_pair.h). sendrecv: sends src to the other core, which is number
  // `other`, and receives into dst what that one sends. core_barrier: the other core is there too; `shared` is a
  // tensor of both, on which its work before is complete then.
  uint32_t sendrecv(const View& dst, const View& src, uint32_t other, const ExchangeOptions& options = {});
  uint32_t core_barrier(const View& shared, Engine engine = isa::EngineKind::sync);

 private:
  uint32_t make_tile(isa::Memory memory, uint32_t partitions, uint32_t bytes, std::string name, const Place& place);
  uint32_t emit(isa::Opcode opcode, Engine engine, std::initializer_list<View> operands,
                std::initializer_list<uint32_t> attributes) {
    return append(opcode, engine, {operands.begin(), operands.size()}, {attributes.begin(), attributes.size()});
  }
  uint32_t emit_dma(isa::Opcode opcode, const View& dst, const View& src, const DmaOptions& options);
  uint32_t on_queue(uint32_t instruction, uint8_t queue);
  uint32_t sum(const View& dst, std::span<const View> sources, const View& index, const DmaOptions& options,
               isa::OobMode oob_mode);
  uint32_t emit_control(isa::Opcode opcode, std::initializer_list<uint32_t> attributes);
  void place_moving(isa::Instruction& i);

  // A view that moves names, until it becomes an operand, an entry here in place of its tile or tensor.
  struct Moving {
    uint32_t base = 0;
    std::vector<std::pair<uint32_t, int64_t>> steps;  // register, bytes
  };
  struct Open {
    uint32_t begin = 0;                 // the loop, or the branch of a choice
    std::vector<uint32_t> leaves = {};  // branches that leave it; of a choice, the one that skips `else`
  };
  std::vector<Moving> moving_;
  std::vector<Open> open_;

  uint32_t layer_ = 0;
  uint32_t source_ = isa::kNoSource;
  std::map<std::tuple<uint32_t, std::string, std::string>, uint32_t> source_rows_;
};

}  // namespace presil::tile
