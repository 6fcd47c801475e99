// When tiles do not fit in SBUF together: the one whose next use is furthest away goes to HBM and comes back before
// that use, as a tile of its own. What was only loaded from tensors that nobody writes is loaded again instead.
#pragma once
#include <variant>

#include "spec/chip_spec.h"
#include "tile/tile_program.h"

namespace presil::backend {

struct SpillCounts {
  uint32_t saved = 0;     // tiles stored to HBM
  uint32_t restored = 0;  // tiles brought back from there
  uint32_t reloaded = 0;  // tiles loaded again from their tensors
};

// One instruction whose SBUF operands exceed the budget together.
struct Oversize {
  uint32_t instruction = 0;
  uint64_t bytes_needed = 0, bytes_available = 0;  // per partition
};

// A program with the same meaning whose live tiles never take more than `budget_bytes` per partition (counting a tile
// of up to a quarter or half of the partitions as that part). With `isolate`, no tile stays from one instruction to the
// next: the last resort, which leaves no gaps.
struct Spilled {
  tile::TileProgram program;
  SpillCounts counts;
};
std::variant<Spilled, Oversize> spill(const tile::TileProgram& program, const spec::ChipSpec& spec,
                                      uint64_t budget_bytes, bool isolate = false);

}  // namespace presil::backend
