// What the checks of one instruction share; private to this room.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "isa/rules.h"

namespace presil::isa {

struct InstructionCheck {
  const Program& program;
  const Instruction& instruction;
  const spec::ChipSpec& spec;
  std::span<const Repeat> around;  // repeats that contain the instruction, outermost first
  std::vector<Finding>& findings;

  const View& operand(int k) const { return program.operand(instruction, k); }
  bool present(int k) const { return operand(k).present(); }
  uint64_t elements(int k) const { return operand(k).elements_per_partition(); }
  uint32_t word(int k) const { return program.word(instruction, k); }
  bool is_dma() const { return isa::is_dma(instruction.opcode); }
  // Whether its operands are those of DMA engines.
  bool moved_by_dma() const { return is_dma() || is_exchange(instruction.opcode); }

  void fail(std::string_view part, std::string message) const;  // part: name of an operand or attribute, or empty
  void fail_operand(int k, std::string message) const;
  void fail_attribute(int k, std::string message) const;
};

// Least and largest offset that operand `index` (or value that wait `index`) takes over all iterations.
struct SweptRange {
  int64_t low = 0, high = 0;
};
SweptRange swept(const InstructionCheck& c, Delta::Target target, int index, int64_t start);

// Whether a register says more about it: then only the run knows.
bool moved_by_register(const InstructionCheck& c, Delta::Target target, int index);

// Memory, pattern and place of operand k. False if it is missing or no pattern, so that shapes mean nothing.
bool check_operand(const InstructionCheck& c, int k);

// The constraints of the instruction's own opcode; operands that must be there are, attributes are in range.
void check_constraints(const InstructionCheck& c);

// check_instruction with the repeats around it already known.
void check_instruction(const InstructionCheck& c);

}  // namespace presil::isa
