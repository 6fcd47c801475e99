#include "tile/structure.h"

#include <fmt/format.h>

#include <algorithm>

#include "isa/control.h"
#include "isa/slots.h"

namespace presil::tile {
namespace {

using isa::Opcode;
namespace slots = isa::slots;

class Parser {
 public:
  Parser(const isa::Program& code, std::vector<isa::Finding>* findings) : p_(code), findings_(findings) {}

  std::vector<Region> sequence(uint32_t first, uint32_t last) {
    std::vector<Region> out;
    for (uint32_t n = first; n < last;) {
      if (!is_structure(p_.code[n].opcode)) {
        const uint32_t begin = n;
        while (n < last && !is_structure(p_.code[n].opcode)) ++n;
        out.push_back({.kind = Region::Kind::straight, .first = begin, .last = n});
        continue;
      }
      Region r = is(n, Opcode::loop) ? loop(n, last) : is(n, Opcode::branch) ? choice(n, last) : Region{};
      if (r.last <= n) {
        fail(n);
        return out;
      }
      n = r.last;
      out.push_back(std::move(r));
    }
    return out;
  }

 private:
  bool is(uint32_t n, Opcode o) const { return p_.code[n].opcode == o; }
  uint32_t target(uint32_t n, int slot) const { return p_.word(p_.code[n], slot); }
  uint32_t branch_target(uint32_t n) const { return target(n, slots::branch::to); }
  bool always(uint32_t n) const {
    return is(n, Opcode::branch) && p_.word(p_.code[n], slots::branch::op) == static_cast<uint32_t>(AluOp::bypass);
  }
  void fail(uint32_t n) {
    findings_->push_back({isa::kNoIndex, n, std::string(isa::row(p_.code[n].opcode).name),
                          "is no part of a loop or a choice that nests with the others"});
  }

  Region loop(uint32_t n, uint32_t last) {
    const uint32_t to = target(n, slots::loop::to);
    if (to > last || to < n + 2 || !is(to - 1, Opcode::loop_end) || target(to - 1, slots::loop_end::to) != n) return {};
    Region r{.kind = Region::Kind::loop, .first = n, .last = to, .body_first = n + 1, .body_last = to - 1};
    auto leaves = [&](uint32_t i) { return is(i, Opcode::branch) && !always(i) && branch_target(i) == to; };
    while (r.body_first < r.body_last && leaves(r.body_first)) ++r.body_first;
    while (r.body_first < r.body_last && leaves(r.body_last - 1)) --r.body_last;
    r.body = sequence(r.body_first, r.body_last);
    return r;
  }

  Region choice(uint32_t n, uint32_t last) {
    const uint32_t to = branch_target(n);
    if (always(n) || to > last || to <= n) return {};
    const bool skips = to - 1 > n && always(to - 1) && branch_target(to - 1) >= to;
    const uint32_t end = skips ? branch_target(to - 1) : to;
    if (end > last) return {};
    Region r{.kind = Region::Kind::choice, .first = n, .last = end, .body_first = n + 1, .body_last = end};
    r.middle = skips ? to - 1 : end;
    r.body = sequence(n + 1, r.middle);
    if (skips) r.otherwise = sequence(to, end);
    return r;
  }

  const isa::Program& p_;
  std::vector<isa::Finding>* findings_;
};

}  // namespace

bool is_structure(Opcode o) {
  return o == Opcode::loop || o == Opcode::loop_end || o == Opcode::branch || o == Opcode::halt;
}

bool has_structure(const TileProgram& program) { return isa::has_control(program.code); }

std::vector<Region> structure(const isa::Program& code, std::vector<isa::Finding>* findings) {
  return Parser(code, findings).sequence(0, static_cast<uint32_t>(code.code.size()));
}

}  // namespace presil::tile
