#include "chip/cursor.h"

#include <fmt/format.h>

#include "base/check.h"

namespace presil::chip {

std::string repeat_problem(const isa::Program& program) {
  std::vector<isa::Repeat> open;
  const isa::Repeat* previous = nullptr;
  for (size_t r = 0; r < program.repeats.size(); ++r) {
    const isa::Repeat& repeat = program.repeats[r];
    if (repeat.first >= repeat.last || repeat.last > program.code.size()) {
      return fmt::format("repeat {} covers instructions [{}, {}) of {}", r, repeat.first, repeat.last,
                         program.code.size());
    }
    if (repeat.count == 0) return fmt::format("repeat {} runs 0 times, expected at least once", r);
    if (previous != nullptr && previous->first > repeat.first) {
      return fmt::format("repeat {} begins before its predecessor", r);
    }
    previous = &repeat;
    while (!open.empty() && open.back().last <= repeat.first) open.pop_back();
    if (!open.empty() && open.back().last < repeat.last) {
      return fmt::format("repeat {} ends after the repeat around it", r);
    }
    open.push_back(repeat);
    if (open.size() > kRepeatDepthMax) {
      return fmt::format("repeat {} is nested {} deep, at most {} are supported", r, open.size(), kRepeatDepthMax);
    }
  }
  return {};
}

RepeatMap map_repeats(const isa::Program& program) {
  std::string problem = repeat_problem(program);
  CHECK(problem.empty(), problem);
  RepeatMap map;
  size_t size = program.code.size();
  map.repeats = program.repeats;
  map.opened.assign(size + 1, 0);
  map.closes.assign(size, 0);
  for (const isa::Repeat& repeat : program.repeats) {
    ++map.closes[repeat.last - 1];
    ++map.opened[repeat.first + 1];
  }
  for (size_t pc = 1; pc <= size; ++pc) map.opened[pc] += map.opened[pc - 1];
  return map;
}

}  // namespace presil::chip
