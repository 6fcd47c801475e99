// Registers, moving views, loops and choices.
#include <fmt/format.h>

#include "isa/slots.h"
#include "tile/builder.h"

namespace presil::tile {
namespace {

using isa::Opcode;
namespace slots = isa::slots;

constexpr uint32_t kMovingBase = 1u << 31;  // View::base from here on: a moving view

// The comparison that holds where `op` does not.
AluOp opposite(AluOp op) {
  switch (op) {
    case AluOp::eq:
      return AluOp::ne;
    case AluOp::ne:
      return AluOp::eq;
    case AluOp::lt:
      return AluOp::ge;
    case AluOp::ge:
      return AluOp::lt;
    case AluOp::gt:
      return AluOp::le;
    case AluOp::le:
      return AluOp::gt;
    default:
      CHECK(false, fmt::format("{} compares nothing", alu_op_name(op)));
  }
}

uint32_t bits(int32_t v) { return static_cast<uint32_t>(v); }

}  // namespace

uint32_t Builder::emit_control(Opcode opcode, std::initializer_list<uint32_t> attributes) {
  return emit(opcode, EngineKind::sync, {}, attributes);
}

Register Builder::make_register(Number value) {
  CHECK(program.registers < UINT16_MAX, "a program has fewer than 65535 registers");
  const Register r{program.registers++};
  assign(r, value);
  return r;
}
void Builder::assign(Register to, Number value) {
  emit_control(Opcode::register_move, {to.number, value.reg, bits(value.value)});
}
Register Builder::load_register(const View& element) {
  const Register r{program.registers++};
  load_register(r, element);
  return r;
}
void Builder::load_register(Register to, const View& element) {
  emit(Opcode::register_load, EngineKind::sync, {element}, {to.number});
}
void Builder::store_register(const View& element, Register from, Engine engine) {
  emit(Opcode::register_store, engine, {element}, {from.number});
}
Register Builder::compute(AluOp op, Register a, Number b) {
  const Register r{program.registers++};
  compute(r, op, a, b);
  return r;
}
void Builder::compute(Register to, AluOp op, Register a, Number b) {
  emit_control(Opcode::register_alu, {to.number, static_cast<uint32_t>(op), a.number, b.reg, bits(b.value)});
}

View Builder::moving(const View& view, Register by, int64_t step_bytes) {
  CHECK(by.number < program.registers, "a register of this program");
  Moving m{view.base, {}};
  if (view.base != isa::kAbsolute && view.base >= kMovingBase) m = moving_.at(view.base - kMovingBase);
  m.steps.emplace_back(by.number, step_bytes);
  View v = view;
  v.base = kMovingBase + static_cast<uint32_t>(moving_.size());
  moving_.push_back(std::move(m));
  return v;
}

void Builder::place_moving(isa::Instruction& i) {
  i.delta_begin = static_cast<uint32_t>(program.code.deltas.size());
  for (uint8_t k = 0; k < i.operand_count; ++k) {
    View& v = program.code.views[i.operand_begin + k];
    if (!v.present() || v.base < kMovingBase) continue;
    const Moving& m = moving_.at(v.base - kMovingBase);
    v.base = m.base;
    for (const auto& [reg, step] : m.steps) {
      isa::Delta d(isa::Delta::Target::operand, k, static_cast<uint16_t>(reg), step);
      d.of_register = true;
      program.code.deltas.push_back(d);
      ++i.delta_count;
    }
  }
}

Register Builder::begin_loop(Number from, Number until, int32_t step) {
  CHECK(step > 0, fmt::format("a loop steps by at least 1, not {}", step));
  const Register counter{program.registers++};
  open_.push_back({emit_control(
      Opcode::loop, {counter.number, from.reg, bits(from.value), until.reg, bits(until.value), bits(step), 0})});
  return counter;
}

void Builder::leave_unless(Register condition) {
  CHECK(!open_.empty() && program.code.code[open_.back().begin].opcode == Opcode::loop, "a loop is open");
  open_.back().leaves.push_back(
      emit_control(Opcode::branch, {static_cast<uint32_t>(AluOp::eq), condition.number, isa::kNoRegister, 0, 0}));
}

void Builder::end_loop() {
  CHECK(!open_.empty() && program.code.code[open_.back().begin].opcode == Opcode::loop, "a loop is open");
  const Open open = std::move(open_.back());
  open_.pop_back();
  emit_control(Opcode::loop_end, {open.begin});
  const auto behind = static_cast<uint32_t>(program.code.code.size());
  auto set = [&](uint32_t i, int slot) {
    program.code.attributes[program.code.code[i].attribute_begin + static_cast<uint32_t>(slot)] = behind;
  };
  set(open.begin, slots::loop::to);
  for (uint32_t leave : open.leaves) set(leave, slots::branch::to);
}

void Builder::begin_if(AluOp op, Register a, Number b) {
  open_.push_back(
      {emit_control(Opcode::branch, {static_cast<uint32_t>(opposite(op)), a.number, b.reg, bits(b.value), 0})});
}

void Builder::begin_else() {
  CHECK(!open_.empty() && open_.back().leaves.empty(), "a choice is open, and has no else yet");
  open_.back().leaves.push_back(
      emit_control(Opcode::branch, {static_cast<uint32_t>(AluOp::bypass), isa::kNoRegister, isa::kNoRegister, 0, 0}));
}

void Builder::end_if() {
  CHECK(!open_.empty() && program.code.code[open_.back().begin].opcode == Opcode::branch, "a choice is open");
  Open open = std::move(open_.back());
  open_.pop_back();
  isa::Program& code = program.code;
  if (!open.leaves.empty() && open.leaves[0] + 1 == code.code.size()) {  // nothing else
    code.attributes.resize(code.code.back().attribute_begin);
    code.code.pop_back();
    open.leaves.clear();
  }
  auto set = [&](uint32_t branch, size_t to) {
    code.attributes[code.code[branch].attribute_begin + slots::branch::to] = static_cast<uint32_t>(to);
  };
  set(open.begin, open.leaves.empty() ? code.code.size() : open.leaves[0] + 1);
  if (!open.leaves.empty()) set(open.leaves[0], code.code.size());
}

}  // namespace presil::tile
