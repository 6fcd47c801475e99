// Random TilePrograms of every instruction, legal by construction for a given chip: shapes from 1 to the limits, every
// element type, strided, transposed, reversed and repeated patterns, operands in place, accumulation, all engines that
// may. Swarm style: each program prefers some instructions and lacks others. Nothing is read before it is written.
#pragma once
#include "base/prng.h"
#include "spec/chip_spec.h"
#include "system/run.h"
#include "tile/tile_program.h"

namespace presil::campaign {

struct ProgramOptions {
  int steps = 24;  // instructions asked for; initial values of their operands come on top
  int live_tiles_max = 8;
  uint32_t row_max = 48;          // elements per partition, of most operands
  uint64_t control_percent = 0;   // of the steps that are loops, choices and work on registers
  uint64_t transfer_percent = 0;  // of the other steps that are transfers, by index where the machine has them
};

struct RandomTileProgram {
  tile::TileProgram program;
  std::vector<std::vector<std::byte>> data;  // of its input tensors, in their order
  std::vector<system::Input> inputs() const;
};

RandomTileProgram random_tile_program(uint64_t seed, const spec::ChipSpec& spec, const ProgramOptions& options = {});

// Changes one field of one instruction: a type, a size, a place, an engine, an attribute. The result may be illegal,
// legal with another meaning, or legal without one.
void damage(tile::TileProgram& program, uint64_t seed);

}  // namespace presil::campaign
