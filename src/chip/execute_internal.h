// Shared by the execute_*.cc files: an instruction with its operands resolved, scratch memory, element-wise maps.
#pragma once
#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "chip/execute.h"
#include "chip/runs.h"
#include "chip/strided.h"
#include "numerics/activation_span.h"
#include "numerics/alu.h"
#include "numerics/slab.h"

namespace presil::chip {

// Grows, never shrinks: an instruction like an earlier one allocates nothing.
class Buffer {
 public:
  std::byte* bytes(size_t count);
  // With the slack that packed rows need.
  float* floats(size_t count) {
    return reinterpret_cast<float*>(bytes((count + numerics::kRowsSlack) * sizeof(float)));
  }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t capacity_ = 0;
};

struct ExecuteScratch {
  std::array<Buffer, kMaxJoined> staging;  // copies of inputs that the output overlaps
  std::array<Buffer, 4> rows;              // whole rows of fp32
  Buffer stationary, moving, product;
  std::array<Buffer, kMaxJoined> planes;  // of slabs, converted
  alignas(64) std::array<std::array<float, kRunMax + numerics::kRowsSlack>, kMaxJoined + 1> runs;
};

struct Context {
  explicit Context(const Bound& bound, Registers& lanes, ExecuteScratch& buffers)
      : program(*bound.program),
        instruction(*bound.instruction),
        registers(lanes),
        operands(bound.operands),
        present(bound.present),
        scratch_(buffers) {}

  const isa::Program& program;
  const isa::Instruction& instruction;
  Registers& registers;
  const std::array<Strided, kMaxOperands>& operands;
  const std::array<bool, kMaxOperands>& present;
  std::string why_faulted;

  ExecuteScratch& scratch() { return scratch_; }
  bool has(int k) const { return present[static_cast<size_t>(k)]; }
  const Strided& operand(int k) const { return operands[static_cast<size_t>(k)]; }
  float f32(int k) const { return program.f32(instruction, k); }
  uint32_t word(int k) const { return program.word(instruction, k); }
  bool flag(int k) const { return word(k) != 0; }
  void fault(std::string_view why);

 private:
  ExecuteScratch& scratch_;
};

// Raw copy, element by element in order; equal element sizes. The operands do not overlap, or are the same places.
void copy_elements(Context& c, const Strided& dst, const Strided& src);
// The same through fp32.
void convert_elements(Context& c, const Strided& dst, const Strided& src);
// Replaces src by a contiguous copy in staging buffer `slot`: its first dimension, then everything else as one.
void stage(Context& c, Strided& src, size_t slot);
// The same, where writing dst could change what is read through src later; not if both are the same places and the
// instruction works element by element.
void stage_overlap(Context& c, const Strided& dst, Strided& src, size_t slot, bool element_wise);

// An element-wise instruction ready to run: operand 0 is the destination, the others are inputs.
struct Map {
  Blocks blocks;
  std::array<RunFormat, kMaxJoined> format;
  Nest nest;
  bool repeats_places = false;  // some place of dst is written twice: the last element in order counts
  // Input k (1 and up) has one value for the whole of a block, and is read as one. Cleared, it is repeated instead.
  std::array<bool, kMaxJoined> scalar{};
};
// Stages inputs as needed; operand 0 of the nest is dst, then come the inputs.
Nest prepare_nest(Context& c, const Strided& dst, std::span<const Strided> inputs);
Map prepare_map(Context& c, const Strided& dst, std::span<const Strided> inputs);

// The same loops for kernels that work on slabs, where operands lie: fp32, with columns that are contiguous or one
// value. Other operands that windows can be made of are converted some planes at a time.
struct SlabMap {
  struct Side {
    int64_t plane_step = 0, row_step = 0;  // bytes
    bool value = false;                    // one for all columns; inputs only
    bool converted = false;
    numerics::LoadWindowsFn load = nullptr;  // if converted
    numerics::StoreWindowsFn store = nullptr;
  };
  Nest outer;  // one slab per run
  size_t planes = 1, rows = 1, columns = 0;
  std::array<Side, kMaxJoined> sides;  // by operand
};
std::optional<SlabMap> slab_map(const Map& map);
// A single input is both operands of the kernel.
void run_slabs(Context& c, const SlabMap& map, numerics::SlabKernel kernel, float alpha = 0.0f);

// body(inputs, out, count), in order: out[i] from inputs[k][i], or from inputs[k][0] where map.scalar[k + 1].
template <class Body>
void run_map(Context& c, const Map& map, Body&& body) {
  auto& buffers = c.scratch().runs;
  for_each_block(map.blocks, kRunMax, [&](const std::array<Block, kMaxJoined>& blocks) {
    std::array<const float*, kMaxJoined> inputs;
    for (size_t k = 1; k < static_cast<size_t>(map.blocks.outer.operands); ++k) {
      if (map.scalar[k]) {
        map.format[k].load(blocks[k].at, buffers[k].data(), 1);
        inputs[k - 1] = buffers[k].data();
      } else {
        inputs[k - 1] = read_block(map.format[k], blocks[k], buffers[k].data());
      }
    }
    float* out = block_target(map.format[0], blocks[0], buffers[0].data());
    body(inputs, out, blocks[0].count());
    write_block(map.format[0], out, blocks[0]);
  });
}

// Rows of an operand, one per partition: all of its elements in pattern order, as fp32.
class Rows {
 public:
  explicit Rows(const Strided& s);
  void read(uint32_t p, float* out) const;  // `out` has numerics::kRowsSlack floats beyond the row
  void write(uint32_t p, const float* values) const;

 private:
  Blocks of_partition(uint32_t p) const;

  RunFormat format_;
  Blocks blocks_;
  int64_t pitch_;
};

// Operand of one element per partition.
float read_value(const Strided& s, uint32_t p);
void write_value(const Strided& s, uint32_t p, float value);
// Elements of one partition.
uint64_t row_elements(const Strided& s);
// One partition of s, without its partition dimension.
Strided row_of(const Strided& s, uint32_t p);

// As execute(), without regard to modes; and with (execute_modes.cc).
std::string execute_plain(const Bound& bound, Registers& registers, ExecuteScratch& scratch);
std::string execute_in_modes(const Bound& bound, Registers& registers, ExecuteScratch& scratch);

// A function of the scalar engine, its own or a table of the program: out[i] = f(fma(in[i], scale, bias)).
struct Function {
  numerics::ActivationKernel kernel = nullptr;
  const numerics::ActivationTable* table = nullptr;
  void operator()(const float* in, float* out, size_t count, const numerics::ActivationArguments& arguments) const {
    table != nullptr ? numerics::table_span(*table, in, out, count, arguments) : kernel(in, out, count, arguments);
  }
};
// Faults if the program has no such table.
Function function_of(Context& c, Activation f);

// One function per instruction or family; the operands are resolved and inside their memories.
void execute_matmul(Context& c);
void execute_matmul_mx(Context& c);
void execute_matmul_sparse(Context& c);
void execute_quantize_mx(Context& c);
void execute_nc_transpose(Context& c);
void execute_copy(Context& c);
void execute_dma_copy(Context& c);
void execute_dma_transpose(Context& c);
void execute_indirect_copy(Context& c);  // those of the DMA engines with an index (execute_indirect.cc)
void execute_indirect_transpose(Context& c);
void execute_indirect_sum(Context& c);
void execute_memset(Context& c);
void execute_shuffle(Context& c);
void execute_gather(Context& c);
void execute_iota(Context& c);
void execute_tensor_tensor(Context& c);
void execute_tensor_scalar(Context& c);
void execute_scalar_tensor_tensor(Context& c);
void execute_reciprocal(Context& c);
void execute_activation(Context& c);
void execute_copy_predicated(Context& c);
void execute_select_reduce(Context& c);
void execute_range_select(Context& c);
void execute_affine_select(Context& c);
void execute_tensor_reduce(Context& c);
void execute_partition_reduce(Context& c);
void execute_scan(Context& c);
void execute_max8(Context& c);
void execute_find_index8(Context& c);
void execute_bn_stats(Context& c);
void execute_bn_aggr(Context& c);
void execute_tensor_scalar_reduce(Context& c);
void execute_tensor_scalar_cumulative(Context& c);
void execute_rng(Context& c);
void execute_set_rng_seed(Context& c);
void execute_rand_state(Context& c);  // rand_set_state, rand_get_state
void execute_dropout(Context& c);
void execute_rand2(Context& c);
void execute_exponential(Context& c);
void execute_activate2(Context& c);
void execute_dma_compute(Context& c);
void execute_match_replace8(Context& c);
void execute_local_gather(Context& c);
void execute_sequence_bounds(Context& c);
void execute_nonzero(Context& c);
void execute_topk(Context& c);

// Operators on raw bits, and on exact integers (execute_integer.cc). Data of two inputs, or one input and a value.
bool is_exact_integer(const Context& c, std::span<const Strided> operands);
void execute_integer_tensor_tensor(Context& c);
void execute_bits_tensor_tensor(Context& c);
void execute_bits_tensor_scalar(Context& c);

}  // namespace presil::chip
