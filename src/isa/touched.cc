#include "isa/touched.h"

namespace presil::isa {

std::vector<View> touched(const Program& program, const Instruction& instruction, int k) {
  View view = program.operand(instruction, k);
  if (!view.present()) return {};
  if (!is_mx_scale(instruction.opcode, k)) return {view};
  std::vector<View> parts;
  const uint32_t quadrants = program.operand(instruction, 1).partitions / kMxQuadrant;
  view.partitions = kMxScales;
  for (uint32_t q = 0; q < quadrants; ++q, view.partition += kMxQuadrant) parts.push_back(view);
  return parts;
}

}  // namespace presil::isa
