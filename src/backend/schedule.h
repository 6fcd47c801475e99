// Order: when an engine would wait, a later instruction that is ready goes first. The order of a TileProgram is the
// order of each engine's queue, and kernels write it one piece of work after the other; an in-order queue then makes
// the first instruction of the next piece wait for the last one of this.
//
// The scheduler runs a coarse model of the core (costs from timing, one DMA server) with a window of instructions in
// program order. An instruction may overtake only if the memory of the tiles that it begins is free from here to its
// own place, so that the rest can always go on in program order.
#pragma once
#include <vector>

#include "backend/graph.h"
#include "backend/liveness.h"
#include "base/time.h"
#include "spec/chip_spec.h"

namespace presil::backend {

// What one instruction costs, whatever its place.
struct Work {
  Time occupancy = 0, latency = 0, prepare = 0;
  Time transfer = 0;  // of the DMA server
  int table = 0;      // activation table; 0 needs none
};
std::vector<Work> work_of(const tile::TileProgram& program, const spec::ChipSpec& spec);

// What no schedule can go below: the work of the engine that has most, without its last instruction, or of all
// transfers.
Time least_elapsed(const tile::TileProgram& program, const std::vector<Work>& work);

// Positions of `program`'s instructions in the order of their start, and the time of the last completion.
struct Schedule {
  std::vector<uint32_t> order;
  Time elapsed = 0;
};

struct ScheduleOptions {
  uint32_t window = 1;         // instructions that may overtake one another on their engine; 1: none
  int64_t sbuf_percent = 100;  // that tiles which begin early may fill
};
Schedule schedule(const tile::TileProgram& program, const Graph& graph, const std::vector<LiveRange>& ranges,
                  const std::vector<Work>& work, const spec::ChipSpec& spec, const ScheduleOptions& options);

// The same instructions in another order.
tile::TileProgram reordered(const tile::TileProgram& program, const std::vector<uint32_t>& order);

}  // namespace presil::backend
