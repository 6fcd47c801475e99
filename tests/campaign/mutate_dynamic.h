// Places and plantings of the faults that need loops, indices or a pair (mutate.h).
#pragma once
#include <algorithm>
#include <iterator>
#include <vector>

#include "tests/campaign/mutate.h"

namespace presil::campaign {

// What of instruction n could be wrong in that way: operands, attributes, deltas.
std::vector<uint32_t> dynamic_items(Fault fault, const isa::Program& program, uint32_t n);
// False if there is nothing else to choose.
bool plant_dynamic(isa::Program& program, Fault fault, isa::Instruction& instruction, uint32_t item, Prng& random);

// By an element, by its own extent, or to another operand's place.
void move_operand(const isa::Program& program, isa::View& view, Prng& random);

// Those of an instruction's deltas for which keep(delta).
template <class Keep>
void keep_deltas(isa::Program& p, isa::Instruction& i, Keep keep) {
  std::vector<isa::Delta> kept;
  std::ranges::copy_if(p.deltas_of(i), std::back_inserter(kept), keep);
  i.delta_begin = static_cast<uint32_t>(p.deltas.size()), i.delta_count = static_cast<uint8_t>(kept.size());
  p.deltas.insert(p.deltas.end(), kept.begin(), kept.end());
}

}  // namespace presil::campaign
