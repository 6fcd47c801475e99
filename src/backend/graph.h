// The dependences between the instructions of a TileProgram: what any order with the same meaning must respect.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tile/tile_program.h"

namespace presil::backend {

struct Edge {
  uint32_t from = 0;
  bool result = true;  // `to` needs what `from` completes; else (on one engine) it only has to start later
};

struct Graph {
  std::vector<uint32_t> begin;  // by instruction, and the end of the last
  std::vector<Edge> edges;      // grouped by the instruction that depends

  std::span<const Edge> before(uint32_t i) const { return {edges.data() + begin[i], edges.data() + begin[i + 1]}; }
};

// RAW, WAR and WAW on tiles and tensors, order edges, and the engines' accumulator registers, which the table does not
// show: instructions that may touch them keep their order.
Graph dependence_graph(const tile::TileProgram& program);

}  // namespace presil::backend
