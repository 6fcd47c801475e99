#include "chip/sequencer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "chip/outcome.h"
#include "isa/slots.h"

namespace presil::chip {
namespace {

namespace slots = isa::slots;
using isa::Opcode;

}  // namespace

Sequencers::Sequencers(const isa::Executable& executable, const Loaded& loaded, const SequencerOptions& options)
    : exe_(executable), loaded_(loaded), options_(options), unknown_(executable.queues.size()) {}

Sequencers::Value Sequencers::value(uint32_t q, const Cursor& c, uint32_t reg, uint32_t imm) const {
  if (reg == isa::kNoRegister) return {imm, true};
  return {c.reg(reg), (unknown_[q] >> reg & 1) == 0};
}

void Sequencers::set(uint32_t q, Cursor& c, uint32_t reg, Value v) {
  c.reg(reg) = v.known ? v.number : 0;
  const uint64_t bit = uint64_t{1} << reg;
  unknown_[q] = v.known ? unknown_[q] & ~bit : unknown_[q] | bit;
}

const std::string* Sequencers::node(uint32_t q, uint32_t pc) const {
  const uint32_t source = exe_.queues[q].code[pc].source;
  return source < exe_.sources.size() ? &exe_.sources[source].graph_node : nullptr;
}

std::optional<uint32_t> Sequencers::assumed(uint32_t q, uint32_t pc) const {
  const std::string* name = node(q, pc);
  if (name == nullptr || options_.assume == nullptr) return std::nullopt;
  auto found = options_.assume->find(*name);
  return found == options_.assume->end() ? std::nullopt : std::optional(found->second);
}

Sequencers::Stop Sequencers::unknown(uint32_t q, uint32_t pc) const {
  const std::string* name = node(q, pc);
  return {Stop::Kind::unknown, name != nullptr && !name->empty() ? *name : "an unnamed node"};
}

Sequencers::Stop Sequencers::step(uint32_t q, Cursor& c) {
  const isa::Program& p = exe_.queues[q];
  const isa::Instruction& i = at(q, c);
  auto w = [&](int slot) { return p.word(i, slot); };
  switch (i.opcode) {
    case Opcode::branch:
      return branch(q, c);
    case Opcode::loop:
      return loop(q, c);
    case Opcode::loop_end:
      return loop_end(q, c);
    case Opcode::halt:
      return {Stop::Kind::fault, fmt::format("{} stops the machine", instruction_text(exe_, q, c.pc))};
    case Opcode::register_move:
      set(q, c, w(slots::register_move::dst), value(q, c, w(slots::register_move::src), w(slots::register_move::imm)));
      break;
    case Opcode::register_alu: {
      namespace s = slots::register_alu;
      const Value a = value(q, c, w(s::a), 0), b = value(q, c, w(s::b), w(s::imm));
      const auto result = *isa::register_apply(static_cast<AluOp>(w(s::op)), a.number, b.number);
      set(q, c, w(s::dst), {result, a.known && b.known});
      break;
    }
    case Opcode::register_load:
    case Opcode::register_store: {
      std::array<int64_t, 1> offsets{};
      operand_offsets(p, i, c, offsets);
      if (i.opcode == Opcode::register_load) {
        std::optional<uint32_t> v;
        if (options_.memory != nullptr) v = options_.memory->load(q, c.pc, offsets);
        set(q, c, w(slots::register_load::dst), {v.value_or(0), v.has_value()});
      } else if (options_.memory != nullptr) {
        const Value v = value(q, c, w(slots::register_store::src), 0);
        options_.memory->store(q, c.pc, offsets, v.known ? std::optional(v.number) : std::nullopt);
      }
      break;
    }
    default:
      break;
  }
  advance(loaded_.queues[q].repeats, c);
  return {};
}

Sequencers::Stop Sequencers::addresses(uint32_t q, const Cursor& c) const {
  const isa::Program& p = exe_.queues[q];
  for (const isa::Delta& d : p.deltas_of(at(q, c))) {
    if (d.of_register && (unknown_[q] >> d.level & 1) != 0) return unknown(q, c.pc);
  }
  return {};
}

Sequencers::Stop Sequencers::jump_back(uint32_t q, Cursor& c, uint32_t target) {
  if (++jumps_ > options_.jumps_max)
    return {Stop::Kind::endless, fmt::format("{} jumps back for the {}th time of all: more than the limit of {}",
                                             instruction_text(exe_, q, c.pc), jumps_, options_.jumps_max)};
  jump(loaded_.queues[q].repeats, c, target);
  return {};
}

// A condition that leaves the loop of its own node says whether another iteration follows; any other one is the
// assumption itself.
std::optional<uint32_t> Sequencers::assumed_condition(uint32_t q, const Cursor& c) const {
  const std::optional<uint32_t> given = assumed(q, c.pc);
  if (!given) return given;
  for (uint32_t pc = c.pc; pc-- > 0;) {
    const isa::Instruction& i = exe_.queues[q].code[pc];
    if (i.opcode != Opcode::loop || word(q, pc, slots::loop::to) <= c.pc) continue;
    if (i.source != at(q, c).source) return given;
    const Value from = value(q, c, word(q, pc, slots::loop::from), word(q, pc, slots::loop::from_imm));
    const uint32_t ended = c.pc == pc + 1 ? 0 : 1;  // the condition comes first in an iteration, or behind its work
    const uint32_t done =
        (c.reg(word(q, pc, slots::loop::counter)) - from.number) / word(q, pc, slots::loop::step) + ended;
    return done < *given ? 1 : 0;
  }
  return given;
}

Sequencers::Stop Sequencers::branch(uint32_t q, Cursor& c) {
  namespace s = slots::branch;
  const auto op = static_cast<AluOp>(word(q, c.pc, s::op));
  bool taken = op == AluOp::bypass;
  if (!taken) {
    const uint32_t reg = word(q, c.pc, s::a);
    Value a = value(q, c, reg, 0);
    const Value b = value(q, c, word(q, c.pc, s::b), word(q, c.pc, s::imm));
    if (!a.known) {
      const std::optional<uint32_t> given = assumed_condition(q, c);
      if (given) a = {*given, true}, set(q, c, reg, a);
    }
    if (!a.known || !b.known) return unknown(q, c.pc);
    taken = *isa::register_apply(op, a.number, b.number) != 0;
  }
  if (!taken) {
    advance(loaded_.queues[q].repeats, c);
    return {};
  }
  const uint32_t target = word(q, c.pc, s::to);
  if (target <= c.pc) return jump_back(q, c, target);
  jump(loaded_.queues[q].repeats, c, target);
  return {};
}

Sequencers::Stop Sequencers::loop(uint32_t q, Cursor& c) {
  namespace s = slots::loop;
  const uint32_t until_register = word(q, c.pc, s::until);
  const Value from = value(q, c, word(q, c.pc, s::from), word(q, c.pc, s::from_imm));
  Value until = value(q, c, until_register, word(q, c.pc, s::until_imm));
  if (from.known && !until.known) {
    if (const std::optional<uint32_t> trips = assumed(q, c.pc)) {
      until = {from.number + *trips * word(q, c.pc, s::step), true};
      set(q, c, until_register, until);
    }
  }
  if (!from.known || !until.known) return unknown(q, c.pc);
  set(q, c, word(q, c.pc, s::counter), from);
  if (static_cast<int32_t>(from.number) < static_cast<int32_t>(until.number))
    advance(loaded_.queues[q].repeats, c);
  else
    jump(loaded_.queues[q].repeats, c, word(q, c.pc, s::to));
  return {};
}

Sequencers::Stop Sequencers::loop_end(uint32_t q, Cursor& c) {
  namespace s = slots::loop;
  const uint32_t head = word(q, c.pc, slots::loop_end::to), counter = word(q, head, s::counter);
  const Value before = value(q, c, counter, 0),
              until = value(q, c, word(q, head, s::until), word(q, head, s::until_imm));
  if (!before.known || !until.known) return unknown(q, c.pc);
  // Beyond 32 bits a counter would begin again below its bound.
  const int64_t next = int64_t{static_cast<int32_t>(before.number)} + static_cast<int32_t>(word(q, head, s::step));
  set(q, c, counter, {static_cast<uint32_t>(next), true});
  if (next < static_cast<int32_t>(until.number)) return jump_back(q, c, head + 1);
  advance(loaded_.queues[q].repeats, c);
  return {};
}

}  // namespace presil::chip
