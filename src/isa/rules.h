// The machine's rules: what an instruction may name and how large it may be on a given chip, and whether an Executable
// holds together. Limits come from the spec. Sources: fact sheet sections 2.2, 2.3, 2.5, 3.6, 9.
#pragma once
#include <string>
#include <vector>

#include "isa/executable.h"
#include "spec/chip_spec.h"

namespace presil::isa {

inline constexpr uint32_t kNoIndex = UINT32_MAX;

// One broken rule: where, what was found, what is allowed.
struct Finding {
  uint32_t queue = kNoIndex;        // of the Executable
  uint32_t instruction = kNoIndex;  // of its Program
  std::string subject;              // "nc_matmul moving", "tensor 'x'"
  std::string message;              // "513 elements per partition, the tensor engine streams at most 512"
  // "queue 2, instruction 14: nc_matmul moving: 513 elements ..."
  std::string text() const;
};

const spec::EngineSpec& engine_spec(const spec::ChipSpec& spec, EngineKind kind);

// Whether a program can be walked at all: ranges inside their pools, repeats that nest, deltas that name something.
std::vector<Finding> check_structure(const Program& program);

// All rules that `instruction` (an element of program.code, whose structure is sound) breaks, in every iteration of the
// repeats around it. Views on tiles or tensors (base != kAbsolute) are checked for all but their place.
std::vector<Finding> check_instruction(const Program& program, const Instruction& instruction,
                                       const spec::ChipSpec& spec);

// Custom functions that the instruction names and whose tables are not among the first `tables`; `subject` and
// `message` of each finding only.
std::vector<Finding> check_tables(const Program& program, const Instruction& instruction, size_t tables);

// All rules that `executable` breaks: structure, instructions, queues, semaphores, provenance, HBM map. A wait that can
// never end breaks a rule for who makes a program; for who runs one it is a deadlock, which the run explains.
enum class Waits : uint8_t { can_end, may_deadlock };
std::vector<Finding> verify(const Executable& executable, const spec::ChipSpec& spec, Waits waits = Waits::can_end);

}  // namespace presil::isa
