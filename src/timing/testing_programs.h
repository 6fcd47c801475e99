// Views and one-instruction programs for the tests of this room.
#pragma once
#include <initializer_list>

#include "isa/program.h"
#include "spec/chip_file.h"

namespace presil::timing {

using isa::Dim;
using isa::Memory;
using isa::Opcode;
using isa::View;

inline View view(Memory memory, DType dtype, uint16_t partitions, std::initializer_list<Dim> dims) {
  View v{.memory = memory, .dtype = dtype, .partitions = partitions};
  for (const Dim& d : dims) v.dims[v.rank++] = d;
  return v;
}
inline View sbuf(DType dtype, uint16_t partitions, uint32_t n, int32_t step = 1) {
  return view(Memory::sbuf, dtype, partitions, {{step, n}});
}
inline View psum(DType dtype, uint16_t partitions, uint32_t n, int32_t step = 1) {
  return view(Memory::psum, dtype, partitions, {{step, n}});
}
// rows x columns of a row-major matrix with `pitch` elements per row.
inline View hbm(DType dtype, uint32_t rows, uint32_t columns, int32_t pitch) {
  return view(Memory::hbm, dtype, 1, {{pitch, rows}, {1, columns}});
}

struct One {
  isa::Program program;
  One(Opcode opcode, isa::EngineKind engine, std::initializer_list<View> operands,
      std::initializer_list<std::pair<int, uint32_t>> attributes = {}) {
    const isa::Instruction& i = program.append(opcode, engine);
    std::copy(operands.begin(), operands.end(), program.views.begin() + i.operand_begin);
    for (const auto& [slot, value] : attributes)
      program.attributes[i.attribute_begin + static_cast<uint32_t>(slot)] = value;
  }
  const isa::Instruction& instruction() const { return program.code[0]; }
};

}  // namespace presil::timing
