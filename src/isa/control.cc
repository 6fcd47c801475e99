#include "isa/control.h"

#include <fmt/format.h>

#include <algorithm>

#include "isa/slots.h"

namespace presil::isa {
namespace {

// Registers that an instruction reads and the one that it writes, as bits; those out of range are left out.
struct Use {
  uint64_t reads = 0, writes = 0;
};

class Controls {
 public:
  Controls(const Program& program, uint32_t registers)
      : p_(program), registers_(std::min(registers, kRegistersMax)), repeat_of_(program.code.size() + 1, kNone) {
    // Outer repeats come first, so the innermost one stays.
    for (uint32_t r = 0; r < p_.repeats.size(); ++r) {
      for (uint32_t n = p_.repeats[r].first; n < p_.repeats[r].last; ++n) repeat_of_[n] = r;
    }
  }

  std::vector<Finding> run() {
    for (uint32_t n = 0; n < p_.code.size(); ++n) check_registers(n);
    check_loops();
    for (uint32_t n = 0; n < p_.code.size(); ++n) {
      if (is(n, Opcode::branch)) check_target(n, word(n, slots::branch::to));
    }
    if (findings_.empty()) check_definitions();
    return std::move(findings_);
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  bool is(uint32_t n, Opcode o) const { return p_.code[n].opcode == o; }
  uint32_t word(uint32_t n, int slot) const { return p_.word(p_.code[n], slot); }
  void fail(uint32_t n, std::string message) {
    findings_.push_back({kNoIndex, n, std::string(row(p_.code[n].opcode).name), std::move(message)});
  }

  void check_registers(uint32_t n) {
    const InstructionRow& r = row(p_.code[n].opcode);
    auto check = [&](uint32_t number) {
      if (number >= registers_) fail(n, fmt::format("register {}, a sequencer has {}", number, registers_));
    };
    for (size_t k = 0; k < r.attributes.size(); ++k) {
      const uint32_t number = word(n, static_cast<int>(k));
      if (r.attributes[k].kind == AttributeKind::sequencer_register && number != kNoRegister) check(number);
    }
    for (const Delta& d : p_.deltas_of(p_.code[n])) {
      if (!d.of_register) continue;
      check(d.level);
      if (d.target == Delta::Target::wait && d.step != 1)
        fail(n, fmt::format("waits for register {} times {}, a wait adds a register as it is", d.level, d.step));
    }
    check_required(n);
  }

  // Registers that cannot be left out.
  void check_required(uint32_t n) {
    auto want = [&](int slot) {
      if (word(n, slot) != kNoRegister) return;
      fail(n, fmt::format("has no {}", row(p_.code[n].opcode).attributes[static_cast<size_t>(slot)].name));
    };
    auto want_operator = [&](int slot) {
      const auto op = static_cast<AluOp>(word(n, slot));
      if (!register_apply(op, 1, 1)) fail(n, fmt::format("{} is not an operator of registers", alu_op_name(op)));
    };
    switch (p_.code[n].opcode) {
      case Opcode::register_move:
        return want(slots::register_move::dst);
      case Opcode::register_load:
        return want(slots::register_load::dst);
      case Opcode::register_store:
        return want(slots::register_store::src);
      case Opcode::register_alu:
        want(slots::register_alu::dst), want(slots::register_alu::a);
        return want_operator(slots::register_alu::op);
      case Opcode::branch:
        if (static_cast<AluOp>(word(n, slots::branch::op)) == AluOp::bypass) return;
        want(slots::branch::a);
        return want_operator(slots::branch::op);
      case Opcode::loop:
        want(slots::loop::counter);
        if (static_cast<int32_t>(word(n, slots::loop::step)) < 1)
          fail(n, fmt::format("step {}, at least 1", static_cast<int32_t>(word(n, slots::loop::step))));
        if (word(n, slots::loop::counter) == word(n, slots::loop::until) && word(n, slots::loop::until) != kNoRegister)
          fail(n, fmt::format("counts in register {}, which bounds it", word(n, slots::loop::until)));
        return;
      default:
        return;
    }
  }

  bool check_target(uint32_t n, uint32_t target) {
    if (target > p_.code.size()) {
      fail(n, fmt::format("goes to instruction {}, the queue has {}", target, p_.code.size()));
      return false;
    }
    // A repeat that begins there is entered anew.
    uint32_t r = repeat_of_[target];
    while (r != kNone && r != repeat_of_[n] && p_.repeats[r].first == target) r = around(r);
    if (r == repeat_of_[n]) return true;
    fail(n, fmt::format("goes to instruction {}, which lies in another repeat", target));
    return false;
  }

  uint32_t around(uint32_t r) const {
    for (uint32_t o = r; o-- > 0;) {
      if (p_.repeats[o].first <= p_.repeats[r].first && p_.repeats[r].last <= p_.repeats[o].last) return o;
    }
    return kNone;
  }

  // Loops and their ends, as brackets.
  void check_loops() {
    std::vector<uint32_t> open;
    for (uint32_t n = 0; n < p_.code.size(); ++n) {
      if (is(n, Opcode::loop)) open.push_back(n);
      if (!is(n, Opcode::loop_end)) continue;
      if (open.empty()) {
        fail(n, "ends no loop");
        continue;
      }
      const uint32_t begin = open.back();
      open.pop_back();
      if (word(n, slots::loop_end::to) != begin)
        fail(n, fmt::format("names instruction {}, the loop that it ends begins at {}", word(n, slots::loop_end::to),
                            begin));
      if (word(begin, slots::loop::to) != n + 1)
        fail(begin,
             fmt::format("goes to instruction {}, its end is followed by {}", word(begin, slots::loop::to), n + 1));
      else if (repeat_of_[begin] != repeat_of_[n])
        fail(begin, fmt::format("ends at instruction {}, which lies in another repeat", n));
    }
    for (uint32_t begin : open) fail(begin, "has no end");
  }

  Use use_of(uint32_t n) const {
    Use use;
    const Instruction& i = p_.code[n];
    const InstructionRow& r = row(i.opcode);
    for (size_t k = 0; k < r.attributes.size(); ++k) {
      const uint32_t number = word(n, static_cast<int>(k));
      if (r.attributes[k].kind != AttributeKind::sequencer_register || number == kNoRegister) continue;
      const bool written = k == 0 && (i.opcode == Opcode::register_move || i.opcode == Opcode::register_alu ||
                                      i.opcode == Opcode::register_load || i.opcode == Opcode::loop);
      (written ? use.writes : use.reads) |= uint64_t{1} << number;
    }
    for (const Delta& d : p_.deltas_of(i)) {
      if (d.of_register) use.reads |= uint64_t{1} << d.level;
    }
    return use;
  }

  // What every way to an instruction has put something into.
  void check_definitions() {
    std::vector<uint64_t> known(p_.code.size() + 1, ~uint64_t{0});
    known[0] = 0;
    for (bool changed = true; changed;) {
      changed = false;
      auto reach = [&](uint32_t n, uint64_t defined) {
        changed |= (known[n] & defined) != known[n];
        known[n] &= defined;
      };
      for (uint32_t n = 0; n < p_.code.size(); ++n) {
        const uint64_t after = known[n] | use_of(n).writes;
        if (is(n, Opcode::branch) || is(n, Opcode::loop)) {
          reach(word(n, is(n, Opcode::loop) ? int{slots::loop::to} : int{slots::branch::to}), after);
        } else if (is(n, Opcode::loop_end)) {
          reach(word(n, slots::loop_end::to) + 1, after);
        }
        const bool always = is(n, Opcode::branch) && static_cast<AluOp>(word(n, slots::branch::op)) == AluOp::bypass;
        if (!always && !is(n, Opcode::halt)) reach(n + 1, after);
      }
    }
    for (uint32_t n = 0; n < p_.code.size(); ++n) {
      for (uint64_t missing = use_of(n).reads & ~known[n]; missing != 0; missing &= missing - 1)
        fail(n, fmt::format("reads register {}, which may hold nothing yet", __builtin_ctzll(missing)));
    }
  }

  const Program& p_;
  uint32_t registers_;
  std::vector<uint32_t> repeat_of_;  // by instruction, and behind the last: the innermost repeat
  std::vector<Finding> findings_;
};

}  // namespace

bool has_control(const Program& program) {
  return std::ranges::any_of(program.code, [](const Instruction& i) { return is_control(i.opcode); }) ||
         std::ranges::any_of(program.deltas, &Delta::of_register);
}

bool has_control(const Executable& executable) {
  return std::ranges::any_of(executable.queues, [](const Program& p) { return has_control(p); });
}

bool reads_registers(const Program& program, const Instruction& instruction) {
  return std::ranges::any_of(program.deltas_of(instruction), [](const Delta& d) { return d.of_register; });
}

std::optional<uint32_t> register_apply(AluOp op, uint32_t a, uint32_t b) {
  const auto x = static_cast<int32_t>(a), y = static_cast<int32_t>(b);
  switch (op) {
    case AluOp::add:
      return a + b;
    case AluOp::subtract:
      return a - b;
    case AluOp::multiply:
      return a * b;
    case AluOp::max:
      return x > y ? a : b;
    case AluOp::min:
      return x < y ? a : b;
    case AluOp::eq:
      return x == y;
    case AluOp::ne:
      return x != y;
    case AluOp::ge:
      return x >= y;
    case AluOp::gt:
      return x > y;
    case AluOp::le:
      return x <= y;
    case AluOp::lt:
      return x < y;
    case AluOp::bit_and:
      return a & b;
    case AluOp::bit_or:
      return a | b;
    case AluOp::bit_xor:
      return a ^ b;
    case AluOp::shift_left:
      return b < 32 ? a << b : 0;
    case AluOp::shift_right:
      return b < 32 ? a >> b : 0;
    default:
      return std::nullopt;
  }
}

std::vector<Finding> check_control(const Program& program, uint32_t registers) {
  return Controls(program, registers).run();
}

}  // namespace presil::isa
