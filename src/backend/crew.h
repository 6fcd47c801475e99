// Who runs what of a program with loops: each sequencer has its own registers and takes its own way through the
// program, so that it runs every loop and choice that it has work in or behind, and computes for itself the registers
// that it needs for them.
#pragma once
#include <vector>

#include "backend/synchronize.h"
#include "tile/structure.h"

namespace presil::backend {

struct Crew {
  std::vector<Sequencer> sequencers;
  std::vector<uint32_t> done;            // by sequencer: instruction from which on it has nothing to do
  std::vector<std::vector<bool>> needs;  // by sequencer, by register

  bool alive(uint32_t lane, uint32_t instruction) const { return instruction < done[lane]; }
  bool executes(uint32_t lane, const tile::TileProgram& program, uint32_t instruction) const;
};

Crew crew_of(const tile::TileProgram& program, const std::vector<tile::Region>& regions);

}  // namespace presil::backend
