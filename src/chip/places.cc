#include "chip/places.h"

namespace presil::chip {

static_assert(kBoxesMax > kMaxOperands);

Boxes boxes_of(const Bound& bound) {
  Boxes out;
  for (size_t k = 0; k < kMaxOperands; ++k) {
    if (!bound.present[k]) continue;
    const Strided& s = bound.operands[k];
    const isa::Access access = isa::access_of(*bound.program, *bound.instruction, static_cast<int>(k));
    out.add(
        {s.memory, access != isa::Access::read, s.partition_begin, s.partition_end, s.byte_begin, s.byte_end, s.core});
  }
  if (isa::uses_registers(*bound.program, *bound.instruction)) out.add({.writes = true, .core = bound.program->core});
  return out;
}

}  // namespace presil::chip
