#include "isa/program.h"

#include <limits>

#include "isa/slots.h"

namespace presil::isa {

Instruction& Program::append(Opcode opcode, EngineKind engine) {
  const InstructionRow& r = row(opcode);
  Instruction i;
  i.opcode = opcode;
  i.engine = engine;
  i.operand_count = static_cast<uint8_t>(r.operands.size());
  i.attribute_count = static_cast<uint8_t>(r.attributes.size());
  i.operand_begin = static_cast<uint32_t>(views.size());
  i.attribute_begin = static_cast<uint32_t>(attributes.size());
  i.wait_begin = static_cast<uint32_t>(waits.size());
  i.delta_begin = static_cast<uint32_t>(deltas.size());
  views.resize(views.size() + r.operands.size());
  for (const AttributeRow& attribute : r.attributes) attributes.push_back(attribute.initial);
  return code.emplace_back(i);
}

Access access_of(const Program& program, const Instruction& i, int k) {
  if (i.opcode == Opcode::nc_matmul && k == slots::nc_matmul::dst) {
    return program.word(i, slots::nc_matmul::accumulate) != 0 ? Access::read_write : Access::write;
  }
  if (i.opcode == Opcode::nc_stream_shuffle && k == slots::nc_stream_shuffle::dst) {
    for (uint32_t word : program.attrs(i)) {
      for (int shift = 0; shift < 32; shift += 8) {
        if (((word >> shift) & 255) == 255) return Access::read_write;
      }
    }
  }
  return row(i.opcode).operands[static_cast<size_t>(k)].access;
}

uint64_t executed_count(const Program& program) {
  struct Level {
    uint32_t last;
    uint64_t times;  // product of the counts down to here
  };
  std::vector<Level> open{{UINT32_MAX, 1}};
  uint64_t total = 0;
  size_t next = 0;
  for (uint32_t i = 0; i < program.code.size(); ++i) {
    while (open.size() > 1 && open.back().last <= i) open.pop_back();
    for (; next < program.repeats.size() && program.repeats[next].first == i; ++next) {
      const Repeat& repeat = program.repeats[next];
      uint64_t times = 0;
      if (__builtin_mul_overflow(open.back().times, uint64_t{repeat.count}, &times)) times = UINT64_MAX;
      open.push_back({repeat.last, times});
    }
    if (__builtin_add_overflow(total, open.back().times, &total)) return UINT64_MAX;
  }
  return total;
}

}  // namespace presil::isa
