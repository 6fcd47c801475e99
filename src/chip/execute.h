// What an instruction computes: its effect on the memories, without time. An instruction reads all of its inputs before
// it writes; elements are visited partition by partition, dims row-major. Arithmetic is fp32: operands are converted on
// reading, results on writing (numerics/convert.h); copies, selections and transposes between equal types move bits,
// and bitvec operators work on them. Orders of summation: numerics/matmul.h, numerics/reduce.h. docs/model.md has the
// rest, per instruction.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "chip/memory.h"
#include "chip/strided.h"
#include "isa/executable.h"
#include "numerics/random.h"

namespace presil::chip {

struct ExecuteScratch;  // buffers that live across instructions; nothing in them carries meaning
std::shared_ptr<ExecuteScratch> make_scratch();

inline constexpr uint32_t kVectorGenerators = 4;
// `per_lane` generators for each lane, seeded from counter-based random words: generator g of lane p has stream
// p * per_lane + g.
std::vector<numerics::Xorwow> seeded_generators(uint32_t lanes, uint32_t per_lane, uint32_t seed);

// Registers of the engines' lanes, and what a program sets for all of its instructions.
struct Registers {
  explicit Registers(const spec::ChipSpec& spec);
  Registers(const spec::ChipSpec& spec, const isa::Executable& executable);  // which outlives them
  isa::Modes modes;
  std::span<const numerics::ActivationTable> activations;
  // Accumulators: the vector engine's (select_reduce, range_select, tensor_scalar_reduce, tensor_scalar_cumulative) and
  // the scalar engine's (activation, activation_reduce).
  std::vector<float> vector, scalar;
  // Random generators: the vector engine's kVectorGenerators per lane, the gpsimd engine's one.
  std::vector<numerics::Xorwow> vector_random, gpsimd_random;
};

// An instruction whose operands have been found in the memories.
inline constexpr int kMaxOperands = isa::kComputeSources + 2;
struct Bound {
  const isa::Program* program = nullptr;
  const isa::Instruction* instruction = nullptr;
  std::array<Strided, kMaxOperands> operands{};
  std::array<bool, kMaxOperands> present{};
  uint64_t execution = 0;  // a number of its own among all that the program executes, whatever the timing
};
// Of the n-th instruction that a queue executes.
constexpr uint64_t execution_number(uint32_t queue, uint64_t n) { return uint64_t{queue} << 48 | n; }

// `operand_offset_deltas`: bytes added to each operand's offset (repeats); empty for none. Returns why the machine
// faults: an operand outside its memory; empty if it does not. Bind in the order of the program, one at a time: what is
// lent to the HBM moves there when somebody writes to it.
std::string bind(const isa::Program& program, const isa::Instruction& instruction,
                 std::span<const int64_t> operand_offset_deltas, CoreMemory& memory, Bound& bound);

// Threads may execute instructions at once that touch nothing in common (places.h), each with its own scratch. Returns
// why the machine faults, empty if it does not: an index outside its table, an operand that the instruction cannot
// take. The faulting instruction may have written part of its output.
std::string execute(const Bound& bound, Registers& registers, ExecuteScratch& scratch);

// One instruction after the other.
struct ExecuteState {
  explicit ExecuteState(const spec::ChipSpec& spec) : registers(spec), scratch(make_scratch()) {}
  ExecuteState(const spec::ChipSpec& spec, const isa::Executable& executable)
      : registers(spec, executable), scratch(make_scratch()) {}
  Registers registers;
  std::string fault;  // of bind or execute
  std::shared_ptr<ExecuteScratch> scratch;
};
// Binds and executes. Does nothing once a fault is recorded. `execution`: as Bound's.
void execute(const isa::Program& program, const isa::Instruction& instruction,
             std::span<const int64_t> operand_offset_deltas, CoreMemory& memory, ExecuteState& state,
             uint64_t execution = 0);

}  // namespace presil::chip
