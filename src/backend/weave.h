// Another order to begin with: layers follow one another unit by unit.
//
// A network's layers come one after the other, and each of them leaves engines idle: a normalization the tensor engine,
// a product the vector engine. But most layers work row by row, and rows of the next one need not wait for the last
// rows of this. Where no PSUM tile lives a layer's instructions can be parted; weave() lets the units of a few
// neighbouring layers take turns as their dependences permit, so that no engine has much more waiting for it than the
// others.
#pragma once
#include <cstdint>
#include <vector>

#include "backend/graph.h"
#include "backend/schedule.h"
#include "base/time.h"
#include "spec/chip_spec.h"

namespace presil::backend {

// Positions of the program's instructions in the new order, which respects `graph`, and how long the model takes for
// it, and for one layer after the other.
struct Woven {
  std::vector<uint32_t> order;
  Time elapsed = 0, alone = 0;
};
Woven weave(const tile::TileProgram& program, const Graph& graph, const std::vector<Work>& work,
            const spec::ChipSpec& spec);

}  // namespace presil::backend
