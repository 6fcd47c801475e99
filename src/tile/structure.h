// The loops and choices of a TileProgram as a tree. They nest:
//   loop ... loop_end                         with branches behind its loop_end, first in its body or last
//   branch to ELSE ... branch bypass to END   the then side, skipped where the branch is taken;
//   ELSE: ... END:                            the else side. Without one: branch to END ... END:
#pragma once
#include <vector>

#include "isa/rules.h"
#include "tile/tile_program.h"

namespace presil::tile {

struct Region {
  enum class Kind : uint8_t { straight, loop, choice };
  Kind kind = Kind::straight;
  uint32_t first = 0, last = 0;  // instructions [first, last), those of control included
  // Loops: where their work begins and ends, between branches that leave. Choices: where the then side begins and the
  // else side ends.
  uint32_t body_first = 0, body_last = 0;
  uint32_t middle = 0;  // choices: the branch that skips the else side; `last` where there is none
  std::vector<Region> body, otherwise;
};

bool is_structure(isa::Opcode o);  // loop, loop_end, branch, halt
bool has_structure(const TileProgram& program);

// Registers that an instruction reads, its operands' deltas included, and the one that it writes.
struct RegisterUse {
  std::vector<uint32_t> reads;
  uint32_t written = isa::kNoRegister;
};
RegisterUse register_use(const isa::Program& code, const isa::Instruction& instruction);

// Adds what is wrong with registers, loops and choices.
void check_control(const TileProgram& program, std::vector<isa::Finding>& findings);

// Findings: what does not nest. The tree is whole only without any.
std::vector<Region> structure(const isa::Program& code, std::vector<isa::Finding>* findings);

}  // namespace presil::tile
