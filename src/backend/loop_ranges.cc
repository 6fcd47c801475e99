#include "backend/loop_ranges.h"

#include <algorithm>

#include "backend/overlap.h"
#include "isa/control.h"
#include "isa/slots.h"

namespace presil::backend {
namespace {

using isa::Instruction;
using tile::Region;

// A loop's body or a side of a choice; number 0 is the whole program.
struct Body {
  uint32_t parent = 0, depth = 0;
  bool loop = false;
  LiveRange extent;  // of the construct
};

struct Use {
  uint32_t instruction = 0;
  bool only_writes = false;
  bool moves = false;  // its address comes from a register
  Extent extent;
};

constexpr Extent kWhole{0, 1, 0, 1, true};  // of a register

class Ranges {
 public:
  Ranges(const tile::TileProgram& program, const std::vector<Region>& regions)
      : program_(program), body_of_(program.code.code.size()) {
    bodies_.push_back({});
    enter(regions, 0);
  }

  LoopRanges run() {
    std::vector<std::vector<Use>> tiles(program_.tiles.size()), registers(program_.registers);
    for (uint32_t n = 0; n < body_of_.size(); ++n) {
      const Instruction& i = program_.code.code[n];
      for (int k = 0; k < i.operand_count; ++k) add_operand(n, k, tiles);
      const bool reads_bound = i.opcode == isa::Opcode::loop_end;  // every time
      const Instruction& named = reads_bound ? program_.code.code[program_.code.word(i, isa::slots::loop_end::to)] : i;
      const tile::RegisterUse use = tile::register_use(program_.code, named);
      for (uint32_t r : use.reads) registers[r].push_back({n, false, false, kWhole});
      if (use.written != isa::kNoRegister) registers[use.written].push_back({n, !reads_bound, false, kWhole});
    }
    LoopRanges out;
    for (const auto& uses : tiles) out.tiles.push_back(range_of(uses));
    for (const auto& uses : registers) out.registers.push_back(range_of(uses));
    return out;
  }

 private:
  void enter(const std::vector<Region>& regions, uint32_t body) {
    for (const Region& r : regions) {
      for (uint32_t n = r.first; n < r.last; ++n) body_of_[n] = body;
      if (r.kind == Region::Kind::straight) continue;
      const bool loop = r.kind == Region::Kind::loop;
      auto add = [&](uint32_t first, uint32_t last, const std::vector<Region>& inner) {
        const auto number = static_cast<uint32_t>(bodies_.size());
        bodies_.push_back({body, bodies_[body].depth + 1, loop, {r.first, r.last - 1}});
        for (uint32_t n = first; n < last; ++n) body_of_[n] = number;
        enter(inner, number);
      };
      if (loop) {
        add(r.first + 1, r.last - 1, r.body);
      } else {
        add(r.body_first, r.middle, r.body);
        if (r.middle < r.last) add(r.middle + 1, r.last, r.otherwise);
      }
    }
  }

  void add_operand(uint32_t n, int k, std::vector<std::vector<Use>>& tiles) const {
    const Instruction& i = program_.code.code[n];
    const isa::View& v = program_.code.operand(i, k);
    if (!v.present() || v.memory == isa::Memory::hbm) return;
    Use use{n, isa::access_of(program_.code, i, k) == isa::Access::write, false, extent_of(v)};
    for (const isa::Delta& d : program_.code.deltas_of(i)) use.moves |= d.of_register && d.index == k;
    if (use.moves) use.extent.begin = 0, use.extent.end = program_.tiles[v.base].bytes, use.extent.dense = false;
    tiles[v.base].push_back(use);
  }

  uint32_t common(uint32_t a, uint32_t b) const {
    while (a != b)
      (bodies_[a].depth >= bodies_[b].depth ? a : b) = bodies_[bodies_[a].depth >= bodies_[b].depth ? a : b].parent;
    return a;
  }

  static void cover(LiveRange& range, const LiveRange& other) {
    range.first = std::min(range.first, other.first), range.last = std::max(range.last, other.last);
  }

  // Whether every iteration makes it anew, before it reads any of it.
  bool made_anew(const std::vector<Use>& uses, uint32_t body) const {
    const Use& made = uses.front();
    // Operands of one instruction are read before it writes.
    for (const Use& u : uses) {
      if (u.instruction == made.instruction && !u.only_writes) return false;
    }
    if (body_of_[made.instruction] != body || !made.only_writes || made.moves) return false;
    return std::ranges::all_of(uses, [&](const Use& u) {
      const bool covered = made.extent.dense && made.extent.contains(u.extent);
      return covered || (body_of_[u.instruction] == body && !u.moves);
    });
  }

  LiveRange range_of(const std::vector<Use>& uses) const {
    LiveRange range;
    if (uses.empty()) return range;
    uint32_t body = body_of_[uses[0].instruction];
    for (const Use& u : uses) body = common(body, body_of_[u.instruction]);
    for (const Use& u : uses) {
      LiveRange own{u.instruction, u.instruction};
      for (uint32_t b = body_of_[u.instruction]; b != body; b = bodies_[b].parent) {
        if (bodies_[b].loop) own = bodies_[b].extent;
      }
      cover(range, own);
    }
    if (made_anew(uses, body)) return range;
    for (uint32_t b = body; b != 0; b = bodies_[b].parent) {
      if (bodies_[b].loop) cover(range, bodies_[b].extent);
    }
    return range;
  }

  const tile::TileProgram& program_;
  std::vector<uint32_t> body_of_;  // by instruction
  std::vector<Body> bodies_;
};

}  // namespace

LoopRanges loop_ranges(const tile::TileProgram& program, const std::vector<Region>& regions) {
  return Ranges(program, regions).run();
}

}  // namespace presil::backend
