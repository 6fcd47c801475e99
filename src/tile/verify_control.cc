// Registers, loops and choices: numbers that the program has, nothing read before something is put into it, loops that
// alone change their counters.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "isa/control.h"
#include "isa/slots.h"
#include "tile/structure.h"

namespace presil::tile {
namespace {

using isa::Instruction;
using isa::Opcode;
namespace slots = isa::slots;

class Registers {
 public:
  Registers(const TileProgram& program, std::vector<isa::Finding>& findings)
      : p_(program.code), registers_(program.registers), findings_(findings), defined_(registers_) {}

  // What the body of a loop, or one side of a choice, puts into a register may never have run.
  void run(const std::vector<Region>& regions) {
    for (const Region& r : regions) {
      if (r.kind == Region::Kind::straight) {
        for (uint32_t n = r.first; n < r.last; ++n) visit(n);
        continue;
      }
      visit(r.first);
      const std::vector<bool> before = defined_;
      const bool loop = r.kind == Region::Kind::loop;
      if (loop) counters_.push_back(register_use(p_, p_.code[r.first]).written);
      for (uint32_t n = r.first + 1; loop && n < r.body_first; ++n) visit(n);
      run(r.body);
      for (uint32_t n = r.body_last; loop && n < r.last; ++n) visit(n);
      if (loop) counters_.pop_back();
      const std::vector<bool> then = std::exchange(defined_, before);
      run(r.otherwise);
      for (size_t k = 0; k < defined_.size(); ++k) defined_[k] = loop ? before[k] : defined_[k] && then[k];
    }
  }

 private:
  void visit(uint32_t n) {
    const RegisterUse use = register_use(p_, p_.code[n]);
    if (std::ranges::any_of(use.reads, [&](uint32_t r) { return !known(n, r); })) return;
    check_operator(n);
    if (use.written == isa::kNoRegister) return check_written(n);
    if (use.written >= registers_)
      return fail(n, fmt::format("register {}, the program has {}", use.written, registers_));
    if (std::ranges::count(counters_, use.written) > 0)
      fail(n, fmt::format("changes register {}, which counts a loop around it", use.written));
    defined_[use.written] = true;
  }
  void fail(uint32_t n, std::string message) {
    findings_.push_back({isa::kNoIndex, n, std::string(isa::row(p_.code[n].opcode).name), std::move(message)});
  }
  bool known(uint32_t n, uint32_t r) {
    if (r >= registers_) return fail(n, fmt::format("register {}, the program has {}", r, registers_)), false;
    if (!defined_[r]) return fail(n, fmt::format("reads register {}, which may hold nothing yet", r)), false;
    return true;
  }
  // What has to have a destination, or a first operand.
  void check_written(uint32_t n) {
    const Opcode o = p_.code[n].opcode;
    if (o == Opcode::register_move || o == Opcode::register_alu || o == Opcode::register_load || o == Opcode::loop)
      fail(n, "writes no register");
    const bool wants =
        o == Opcode::register_store && p_.word(p_.code[n], slots::register_store::src) == isa::kNoRegister;
    if (wants) fail(n, "reads no register");
  }
  void check_bound(uint32_t n) {
    const uint32_t until = p_.word(p_.code[n], slots::loop::until);
    if (until != isa::kNoRegister && p_.word(p_.code[n], slots::loop::counter) == until)
      fail(n, fmt::format("counts in register {}, which bounds it", until));
  }
  void check_operator(uint32_t n) {
    const Instruction& i = p_.code[n];
    const auto step = i.opcode == Opcode::loop ? static_cast<int32_t>(p_.word(i, slots::loop::step)) : 1;
    if (step < 1) fail(n, fmt::format("step {}, at least 1", step));
    if (i.opcode == Opcode::loop) check_bound(n);
    const bool computes = i.opcode == Opcode::register_alu;
    if (!computes && i.opcode != Opcode::branch) return;
    const auto op = static_cast<AluOp>(p_.word(i, computes ? int{slots::register_alu::op} : int{slots::branch::op}));
    if (!computes && op == AluOp::bypass) return;
    if (!isa::register_apply(op, 1, 1)) fail(n, fmt::format("{} is not an operator of registers", alu_op_name(op)));
    const int a = computes ? int{slots::register_alu::a} : int{slots::branch::a};
    if (p_.word(i, a) == isa::kNoRegister) fail(n, "has no a");
  }

  const isa::Program& p_;
  uint32_t registers_;
  std::vector<isa::Finding>& findings_;
  std::vector<bool> defined_;
  std::vector<uint32_t> counters_;  // of the loops around
};

}  // namespace

RegisterUse register_use(const isa::Program& p, const Instruction& i) {
  RegisterUse use;
  const isa::InstructionRow& r = isa::row(i.opcode);
  for (size_t k = 0; k < r.attributes.size(); ++k) {
    const uint32_t number = p.word(i, static_cast<int>(k));
    if (r.attributes[k].kind != isa::AttributeKind::sequencer_register || number == isa::kNoRegister) continue;
    const bool written = k == 0 && (i.opcode == Opcode::register_move || i.opcode == Opcode::register_alu ||
                                    i.opcode == Opcode::register_load || i.opcode == Opcode::loop);
    if (written)
      use.written = number;
    else
      use.reads.push_back(number);
  }
  for (const isa::Delta& d : p.deltas_of(i)) {
    if (d.of_register) use.reads.push_back(d.level);
  }
  return use;
}

void check_control(const TileProgram& program, std::vector<isa::Finding>& findings) {
  for (const Instruction& i : program.code.code) {
    if (i.opcode == Opcode::halt)
      findings.push_back(
          {isa::kNoIndex, static_cast<uint32_t>(&i - program.code.code.data()), "halt", "stands in no TileProgram"});
  }
  const size_t before = findings.size();
  const std::vector<Region> regions = structure(program.code, &findings);
  if (findings.size() == before) Registers(program, findings).run(regions);
}

}  // namespace presil::tile
