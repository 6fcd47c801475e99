// Where a queue stands in its Program: walks nested repeats without expanding them. Repeats nest properly, their
// order is by first instruction, outer before inner (isa/program.h).
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "isa/control.h"

namespace presil::chip {

inline constexpr uint32_t kRepeatDepthMax = 8;

// What a cursor needs to know about a Program's repeats, once per Program.
struct RepeatMap {
  std::vector<isa::Repeat> repeats;
  std::vector<uint32_t> opened;  // per instruction and one past the end: repeats before this one's first
  std::vector<uint8_t> closes;   // per instruction: repeats whose last instruction it is
};

// Message of the first repeat that cannot be walked (empty, never run, crossing another, too deep); empty if sound.
std::string repeat_problem(const isa::Program& program);

// CHECKs that repeat_problem is empty.
RepeatMap map_repeats(const isa::Program& program);

struct Cursor {
  uint32_t pc = 0;
  uint32_t depth = 0;
  // Of the open repeats, outermost first; from kRepeatDepthMax on, the sequencer's registers.
  std::array<uint32_t, kRepeatDepthMax + isa::kRegistersMax> iteration{};
  std::array<uint32_t, kRepeatDepthMax> open{};  // their indices in RepeatMap::repeats

  std::span<const uint32_t> iterations() const { return {iteration.data(), depth}; }
  uint32_t& reg(uint32_t r) { return iteration[kRepeatDepthMax + r]; }
  uint32_t reg(uint32_t r) const { return iteration[kRepeatDepthMax + r]; }
};

inline void open_repeats(const RepeatMap& map, Cursor& c, uint32_t from) {
  for (uint32_t r = from; r < map.opened[c.pc + 1]; ++r) {
    c.open[c.depth] = r;
    c.iteration[c.depth++] = 0;
  }
}

inline Cursor begin(const RepeatMap& map) {
  Cursor c;
  if (map.opened.size() > 1) open_repeats(map, c, 0);
  return c;
}

// To instruction `target`, which lies in the same repeats; those that begin there are entered.
inline void jump(const RepeatMap& map, Cursor& c, uint32_t target) {
  c.pc = target;
  if (target + 1 >= map.opened.size()) return;
  const uint32_t inner = c.depth > 0 ? c.open[c.depth - 1] + 1 : 0;
  open_repeats(map, c, std::max(map.opened[target], inner));
}

// To the next instruction to execute; pc is the instruction count when there is none.
inline void advance(const RepeatMap& map, Cursor& c) {
  uint32_t closes = map.closes[c.pc++];
  for (; closes > 0; --closes) {
    uint32_t top = c.depth - 1;
    const isa::Repeat& repeat = map.repeats[c.open[top]];
    if (++c.iteration[top] < repeat.count) {
      c.pc = repeat.first;
      return open_repeats(map, c, c.open[top] + 1);
    }
    c.depth = top;
  }
  if (c.pc + 1 < map.opened.size()) open_repeats(map, c, map.opened[c.pc]);
}

}  // namespace presil::chip
