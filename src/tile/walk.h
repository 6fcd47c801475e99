// The way that a TileProgram takes through its loops and choices, as plainly as possible: what the registers of its
// sequencers mean, one instruction after the other.
#pragma once
#include <span>
#include <vector>

#include "isa/control.h"
#include "isa/slots.h"
#include "tile/tile_program.h"

namespace presil::tile {

// By operand: how much further than its view says it lies, in bytes.
inline std::vector<int64_t> moved_by(const isa::Program& p, const isa::Instruction& i,
                                     std::span<const uint32_t> registers) {
  std::vector<int64_t> offsets(i.operand_count);
  for (const isa::Delta& d : p.deltas_of(i)) {
    if (d.of_register && d.target == isa::Delta::Target::operand)
      offsets[d.index] += d.step * static_cast<int32_t>(registers[d.level]);
  }
  return offsets;
}

// The place in the code behind control instruction `n`, whose registers it reads and writes. Not for loads and stores.
inline uint32_t control_step(const isa::Program& p, uint32_t n, std::vector<uint32_t>& registers) {
  namespace slots = isa::slots;
  const isa::Instruction& i = p.code[n];
  auto w = [&](int slot) { return p.word(i, slot); };
  auto value = [&](uint32_t reg, uint32_t imm) { return reg == isa::kNoRegister ? imm : registers[reg]; };
  auto below = [](uint32_t a, uint32_t b) { return static_cast<int32_t>(a) < static_cast<int32_t>(b); };
  switch (i.opcode) {
    case isa::Opcode::register_move:
      registers[w(slots::register_move::dst)] = value(w(slots::register_move::src), w(slots::register_move::imm));
      return n + 1;
    case isa::Opcode::register_alu: {
      namespace s = slots::register_alu;
      registers[w(s::dst)] =
          *isa::register_apply(static_cast<AluOp>(w(s::op)), registers[w(s::a)], value(w(s::b), w(s::imm)));
      return n + 1;
    }
    case isa::Opcode::branch: {
      namespace s = slots::branch;
      const auto op = static_cast<AluOp>(w(s::op));
      const bool taken =
          op == AluOp::bypass || *isa::register_apply(op, registers[w(s::a)], value(w(s::b), w(s::imm))) != 0;
      return taken ? w(s::to) : n + 1;
    }
    case isa::Opcode::loop: {
      namespace s = slots::loop;
      registers[w(s::counter)] = value(w(s::from), w(s::from_imm));
      return below(registers[w(s::counter)], value(w(s::until), w(s::until_imm))) ? n + 1 : w(s::to);
    }
    case isa::Opcode::loop_end: {
      namespace s = slots::loop;
      const isa::Instruction& head = p.code[w(slots::loop_end::to)];
      uint32_t& counter = registers[p.word(head, s::counter)];
      const bool last = static_cast<int32_t>(counter) > INT32_MAX - static_cast<int32_t>(p.word(head, s::step));
      counter += p.word(head, s::step);
      const uint32_t until = value(p.word(head, s::until), p.word(head, s::until_imm));
      return !last && below(counter, until) ? w(slots::loop_end::to) + 1 : n + 1;
    }
    default:
      return n + 1;
  }
}

// load(view) gives the register's new value, store(view, value) takes it; visit(instruction, operands) is called for
// every instruction with operands other than those two, with views where they lie now; it says whether to go on.
template <class Load, class Store, class Visit>
void walk(const isa::Program& p, uint32_t registers_used, Load load, Store store, Visit visit) {
  std::vector<uint32_t> registers(registers_used);
  for (uint32_t n = 0; n < p.code.size();) {
    const isa::Instruction& i = p.code[n];
    const bool memory = i.opcode == isa::Opcode::register_load || i.opcode == isa::Opcode::register_store;
    if (isa::is_control(i.opcode) && !memory) {
      n = control_step(p, n, registers);
      continue;
    }
    std::vector<isa::View> views(p.operands(i).begin(), p.operands(i).end());
    const std::vector<int64_t> offsets = moved_by(p, i, registers);
    for (size_t k = 0; k < views.size(); ++k) views[k].offset += offsets[k];
    if (i.opcode == isa::Opcode::register_load)
      registers[p.word(i, isa::slots::register_load::dst)] = load(views[0]);
    else if (i.opcode == isa::Opcode::register_store)
      store(views[0], registers[p.word(i, isa::slots::register_store::src)]);
    else if (!visit(n, std::span<const isa::View>(views)))
      return;
    ++n;
  }
}

// A register's value for an element of `bytes`: integers are extended by their sign, other types give their bits.
inline uint32_t register_value(DType dtype, std::span<const uint8_t> bytes) {
  uint32_t word = 0;
  for (size_t b = 0; b < bytes.size(); ++b) word |= uint32_t{bytes[b]} << (8 * b);
  if (dtype == DType::int8) return static_cast<uint32_t>(int32_t{static_cast<int8_t>(word)});
  if (dtype == DType::int16) return static_cast<uint32_t>(int32_t{static_cast<int16_t>(word)});
  return word;
}

}  // namespace presil::tile
