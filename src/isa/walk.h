// A program's instructions in order, each with the repeats around it; private to this room.
#pragma once
#include <vector>

#include "isa/program.h"

namespace presil::isa {

// Calls visit(n, repeats around instruction n, outermost first) for every instruction. The repeats are sound.
template <class Visit>
void walk(const Program& p, Visit visit) {
  std::vector<Repeat> around;
  size_t next = 0;
  for (uint32_t n = 0; n < p.code.size(); ++n) {
    while (!around.empty() && around.back().last <= n) around.pop_back();
    for (; next < p.repeats.size() && p.repeats[next].first == n; ++next) around.push_back(p.repeats[next]);
    visit(n, around);
  }
}

}  // namespace presil::isa
