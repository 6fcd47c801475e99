#include "chip/places.h"

#include "isa/slots.h"
#include "numerics/alu.h"

namespace presil::chip {
namespace {

// Changes the accumulators of its engine, or writes what they hold.
bool uses_accumulators(const Bound& bound) {
  namespace s = isa::slots;
  const auto either = [&](int command, int result) {
    const auto word = bound.program->word(*bound.instruction, command);
    return word != static_cast<uint32_t>(ReduceCommand::idle) || bound.present[static_cast<size_t>(result)];
  };
  switch (bound.instruction->opcode) {
    case isa::Opcode::activation:
      return either(s::activation::reduce_cmd, s::activation::reduce_res);
    case isa::Opcode::select_reduce:
      return either(s::select_reduce::reduce_cmd, s::select_reduce::reduce_res);
    case isa::Opcode::range_select:
      return either(s::range_select::reduce_cmd, s::range_select::reduce_res);
    default:
      return false;
  }
}

}  // namespace

Boxes boxes_of(const Bound& bound) {
  Boxes out;
  for (size_t k = 0; k < kMaxOperands; ++k) {
    if (!bound.present[k]) continue;
    const Strided& s = bound.operands[k];
    const isa::Access access = isa::access_of(*bound.program, *bound.instruction, static_cast<int>(k));
    out.add({s.memory, access != isa::Access::read, s.partition_begin, s.partition_end, s.byte_begin, s.byte_end});
  }
  if (uses_accumulators(bound)) out.add({isa::Memory::none, true});
  return out;
}

}  // namespace presil::chip
