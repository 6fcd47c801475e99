// What an instruction computes: its effect on the memories, without time. An instruction reads all of its inputs before
// it writes; elements are visited partition by partition, dims row-major. Arithmetic is fp32: operands are converted on
// reading, results on writing (numerics/convert.h); copies, selections and transposes between equal types move bits,
// and bitvec operators work on them. Orders of summation: numerics/matmul.h, numerics/reduce.h. docs/model.md has the
// rest, per instruction.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "chip/memory.h"
#include "isa/program.h"

namespace presil::chip {

class Team;
struct ExecuteScratch;  // buffers that live across instructions; nothing in them carries meaning

struct ExecuteState {
  explicit ExecuteState(const spec::ChipSpec& spec);
  ~ExecuteState();
  ExecuteState(ExecuteState&&) noexcept;

  // Accumulator registers, one per lane: the vector engine's (select_reduce, range_select) and the scalar engine's
  // (activation).
  std::vector<float> vector_accumulators, scalar_accumulators;

  // Why the machine faulted, empty if it did not: an access outside a memory, an index outside its table, an operand
  // that the instruction cannot take. The faulting instruction may have written part of its output.
  std::string fault;

  std::unique_ptr<ExecuteScratch> scratch;
  Team* team = nullptr;  // threads that take parts of large instructions; no result depends on it
};

// `operand_offset_deltas`: bytes added to each operand's offset (repeats); empty for none. Does nothing once a fault is
// recorded.
void execute(const isa::Program& program, const isa::Instruction& instruction,
             std::span<const int64_t> operand_offset_deltas, CoreMemory& memory, ExecuteState& state);

}  // namespace presil::chip
