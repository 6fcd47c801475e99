#include "tests/campaign/mutate_dynamic.h"

#include <algorithm>

#include "isa/control.h"
#include "isa/slots.h"

namespace presil::campaign {
namespace {

using isa::AttributeKind;
using isa::Delta;
using isa::Instruction;
using isa::Opcode;
using isa::Program;
using isa::View;
namespace slots = isa::slots;
using Items = std::vector<uint32_t>;

constexpr AluOp kOperators[] = {AluOp::add, AluOp::subtract, AluOp::multiply, AluOp::max,    AluOp::min,
                                AluOp::eq,  AluOp::ne,       AluOp::ge,       AluOp::gt,     AluOp::le,
                                AluOp::lt,  AluOp::bit_and,  AluOp::bit_or,   AluOp::bit_xor};

bool no_register(const Program& p, const Instruction& i, int slot) { return p.word(i, slot) == isa::kNoRegister; }

Items if_true(bool condition, int item) { return condition ? Items{static_cast<uint32_t>(item)} : Items{}; }

Items bounds_of(const Program& p, const Instruction& i) {
  if (i.opcode != Opcode::loop) return {};
  Items out{slots::loop::step};
  if (no_register(p, i, slots::loop::from)) out.push_back(slots::loop::from_imm);
  if (no_register(p, i, slots::loop::until)) out.push_back(slots::loop::until_imm);
  return out;
}

Items constants_of(const Program& p, const Instruction& i) {
  switch (i.opcode) {
    case Opcode::register_move:
      return if_true(no_register(p, i, slots::register_move::src), slots::register_move::imm);
    case Opcode::register_alu:
      return if_true(no_register(p, i, slots::register_alu::b), slots::register_alu::imm);
    case Opcode::branch:
      return if_true(no_register(p, i, slots::branch::b), slots::branch::imm);
    default:
      return {};
  }
}

Items registers_of(const Program& p, const Instruction& i) {
  Items out;
  const auto& attributes = isa::row(i.opcode).attributes;
  for (uint32_t k = 0; k < attributes.size(); ++k) {
    const bool is_register = attributes[k].kind == AttributeKind::sequencer_register;
    if (is_register && !no_register(p, i, static_cast<int>(k))) out.push_back(k);
  }
  return out;
}

Items deltas_by_register(const Program& p, const Instruction& i, Delta::Target target) {
  Items out;
  for (uint32_t k = 0; k < i.delta_count; ++k) {
    const Delta& d = p.deltas[i.delta_begin + k];
    if (d.of_register && d.target == target) out.push_back(k);
  }
  return out;
}

bool drops_cleanly(Opcode o) {
  return isa::is_control(o) && o != Opcode::loop && o != Opcode::loop_end && o != Opcode::halt;
}

// The operand with indices: of a transfer or of a gather on gpsimd; -1 without one.
int index_operand(const Program& p, const Instruction& i) {
  if (i.opcode == Opcode::nc_n_gather) return slots::nc_n_gather::indices;
  if (i.opcode == Opcode::local_gather) return slots::local_gather::index;
  return isa::index_of(p, i);
}

bool share_bytes(const View& a, const View& b) {
  const isa::ByteRange x = isa::byte_range(a), y = isa::byte_range(b);
  return a.memory == b.memory && x.begin < y.end && y.begin < x.end && a.partition < b.partition + b.partitions &&
         b.partition < a.partition + a.partitions;
}

// An iota whose numbers may be somebody's indices. Transfers may be triggered by other queues, so any of the same
// place in this queue counts, and so does one that makes integers for a column.
Items makes_indices(const Program& p, const Instruction& i) {
  if (i.opcode != Opcode::iota) return {};
  const View& dst = p.operand(i, 0);
  const bool column = dst.elements_per_partition() == 1 && (dst.dtype == DType::int32 || dst.dtype == DType::uint32);
  const bool used = column || std::ranges::any_of(p.code, [&](const Instruction& other) {
                      const int k = index_operand(p, other);
                      return k >= 0 && share_bytes(p.operand(other, k), dst);
                    });
  return used ? Items{slots::iota::offset, slots::iota::channel_multiplier} : Items{};
}

int table_of(const Program& p, const Instruction& i) {
  for (int k = 0; k < i.operand_count; ++k) {
    if (p.operand(i, k).present() && isa::is_table(p, i, k)) return k;
  }
  return -1;
}

Items peer_operands(const Program& p, const Instruction& i) {
  Items out;
  for (uint32_t k = 0; isa::is_dma(i.opcode) && k < i.operand_count; ++k) {
    if (p.operand(i, static_cast<int>(k)).memory == isa::Memory::sbuf) out.push_back(k);
  }
  return out;
}

uint32_t other_number(uint32_t number, uint32_t count, Prng& random) {
  const auto pick = static_cast<uint32_t>(random.below(count - 1));
  return pick >= number ? pick + 1 : pick;
}

uint32_t registers_used(const Program& p) {
  uint32_t used = 0;
  for (const Instruction& i : p.code) {
    for (uint32_t k : registers_of(p, i)) used = std::max(used, p.word(i, static_cast<int>(k)) + 1);
  }
  for (const Delta& d : p.deltas) used = d.of_register ? std::max<uint32_t>(used, d.level + 1) : used;
  return used;
}

bool other_register(const Program& p, uint32_t& number, Prng& random) {
  const uint32_t used = registers_used(p);
  if (used < 2) return false;
  number = other_number(number, used, random);
  return true;
}

bool other_operator(uint32_t& word, Prng& random) {
  AluOp op{};
  do op = kOperators[random.below(std::size(kOperators))];
  while (static_cast<uint32_t>(op) == word);
  word = static_cast<uint32_t>(op);
  return true;
}

uint32_t near(uint32_t value, Prng& random) {
  const auto far = static_cast<uint32_t>(random.below(2) ? 1 : 1 + random.below(3));
  return random.below(2) ? value + far : value - far;
}

// Waits and what it raises stay.
void drop(Program& p, Instruction& i) {
  keep_deltas(p, i, [](const Delta& d) { return d.target == Delta::Target::wait; });
  i.opcode = Opcode::wait;
  i.operand_count = i.attribute_count = 0;
}

void other_step(Delta& d, int64_t element, Prng& random) {
  switch (random.below(4)) {
    case 0:
      d.step = 0;
      return;
    case 1:
      d.step = -d.step;
      return;
    case 2:
      d.step *= 2;
      return;
    default:
      d.step += random.below(2) ? element : -element;
  }
}

bool other_register_for_wait(Program& p, Instruction& i, uint32_t item, Prng& random) {
  if (random.below(2)) {
    uint32_t level = p.deltas[i.delta_begin + item].level;
    if (!other_register(p, level, random)) return false;
    p.deltas[i.delta_begin + item].level = static_cast<uint16_t>(level);
    return true;
  }
  const Delta gone = p.deltas[i.delta_begin + item];
  keep_deltas(p, i, [&](const Delta& d) { return d != gone; });
  return true;
}

bool other_table(View& table, Prng& random) {
  isa::Dim& rows = table.dims[0];
  switch (random.below(3)) {
    case 0:
      rows.count = random.below(2) ? rows.count + 1 : std::max(1u, rows.count / 2);
      return true;
    case 1:
      rows.step += random.below(2) ? 1 : -1;
      return true;
    default:
      table.offset += (random.below(2) ? 1 : -1) * rows.step * static_cast<int64_t>(dtype_bytes(table.dtype));
      return true;
  }
}

bool other_index_mode(Program& p, Instruction& i, Prng& random) {
  if (random.below(3) == 0) {
    p.views[i.operand_begin + static_cast<uint32_t>(isa::index_of(p, i))] = View{};
    return true;
  }
  const int slot = isa::attribute_index(i.opcode, "oob_mode");
  if (slot < 0) return false;
  uint32_t& mode = p.attributes[i.attribute_begin + static_cast<uint32_t>(slot)];
  mode = mode == static_cast<uint32_t>(isa::OobMode::skip) ? static_cast<uint32_t>(isa::OobMode::error)
                                                           : static_cast<uint32_t>(isa::OobMode::skip);
  return true;
}

}  // namespace

Items dynamic_items(Fault fault, const Program& p, uint32_t n) {
  const Instruction& i = p.code[n];
  const bool memory = i.opcode == Opcode::register_load || i.opcode == Opcode::register_store;
  const bool operates = i.opcode == Opcode::register_alu || i.opcode == Opcode::branch;
  switch (fault) {
    case Fault::loop_bounds:
      return bounds_of(p, i);
    case Fault::register_value:
      return constants_of(p, i);
    case Fault::register_number:
      return registers_of(p, i);
    case Fault::register_operator:
      return if_true(operates, i.opcode == Opcode::branch ? int{slots::branch::op} : int{slots::register_alu::op});
    case Fault::register_address:
      return if_true(memory, 0);
    case Fault::branch_target:
      return if_true(i.opcode == Opcode::branch, slots::branch::to);
    case Fault::control_dropped:
      return if_true(drops_cleanly(i.opcode), 0);
    case Fault::moving_step:
    case Fault::moving_register:
      return deltas_by_register(p, i, Delta::Target::operand);
    case Fault::wait_register:
      return deltas_by_register(p, i, Delta::Target::wait);
    case Fault::index_values:
      return makes_indices(p, i);
    case Fault::index_place:
      return if_true(index_operand(p, i) >= 0, index_operand(p, i));
    case Fault::table_shape:
      return isa::index_of(p, i) < 0 ? Items{} : if_true(table_of(p, i) >= 0, table_of(p, i));
    case Fault::index_mode:
      return if_true(isa::index_of(p, i) >= 0, 0);
    case Fault::signal_core:
      return if_true(i.signal != isa::kNoSemaphore, 0);
    case Fault::peer_memory:
      return peer_operands(p, i);
    default:
      return {};
  }
}

bool plant_dynamic(Program& p, Fault fault, Instruction& i, uint32_t item, Prng& random) {
  uint32_t* word = item < i.attribute_count ? &p.attributes[i.attribute_begin + item] : nullptr;
  Delta* delta = item < i.delta_count ? &p.deltas[i.delta_begin + item] : nullptr;
  View* view = item < i.operand_count ? &p.views[i.operand_begin + item] : nullptr;
  switch (fault) {
    case Fault::loop_bounds:
    case Fault::register_value:
    case Fault::index_values:
      *word = near(*word, random);
      return true;
    case Fault::register_number:
      return other_register(p, *word, random);
    case Fault::register_operator:
      return other_operator(*word, random);
    case Fault::register_address:
    case Fault::index_place:
      move_operand(p, *view, random);
      return true;
    case Fault::branch_target:
      *word = random.below(2) ? near(*word, random) : static_cast<uint32_t>(random.below(p.code.size() + 1));
      return true;
    case Fault::control_dropped:
      drop(p, i);
      return true;
    case Fault::moving_step:
      other_step(*delta, static_cast<int64_t>(dtype_bytes(p.operand(i, delta->index).dtype)), random);
      return true;
    case Fault::moving_register: {
      uint32_t level = delta->level;
      if (!other_register(p, level, random)) return false;
      delta->level = static_cast<uint16_t>(level);
      return true;
    }
    case Fault::wait_register:
      return other_register_for_wait(p, i, item, random);
    case Fault::table_shape:
      return other_table(*view, random);
    case Fault::index_mode:
      return other_index_mode(p, i, random);
    case Fault::signal_core:
      i.signal_to = static_cast<isa::SignalTo>(other_number(static_cast<uint32_t>(i.signal_to), 3, random));
      return true;
    case Fault::peer_memory:
      view->peer ^= 1;
      return true;
    default:
      return false;
  }
}

}  // namespace presil::campaign
