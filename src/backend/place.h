// Addresses for tiles. Each spot goes to the tile that needs it next and has been free for longest, which puts the
// greatest distance between the last reader of a byte and its next writer: loads run ahead of the computation by as
// much as memory allows. When that scatters memory too much, the large tiles are packed first, tightly.
#pragma once
#include <optional>
#include <vector>

#include "backend/liveness.h"
#include "spec/chip_spec.h"
#include "tile/tile_program.h"

namespace presil::backend {

struct Place {
  uint32_t partition = 0, offset = 0;
  std::vector<uint32_t> previous;  // tiles that held some of these bytes before
};

// A tile that found no room at its first instruction.
struct Misfit {
  uint32_t tile = 0, instruction = 0;
};

struct Placement {
  std::vector<Place> places;  // by tile
  std::optional<Misfit> misfit;
};

// Both keep the places of the other memory's tiles in `placement` untouched.
void place_sbuf(const tile::TileProgram& program, const std::vector<LiveRange>& ranges, const spec::ChipSpec& spec,
                Placement& placement);
// A PSUM tile has a bank for itself: a bank is the unit of accumulation.
void place_psum(const tile::TileProgram& program, const std::vector<LiveRange>& ranges, const spec::ChipSpec& spec,
                Placement& placement);

}  // namespace presil::backend
