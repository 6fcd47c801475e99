#include <algorithm>

#include "backend/repeats.h"
#include "base/check.h"

namespace presil::backend {
namespace {

struct Expander {
  const isa::Program& in;
  isa::Program out;
  std::vector<uint32_t> iterations;  // of the repeats around, outermost first

  void emit(const isa::Instruction& i) {
    isa::Instruction copy = i;
    copy.operand_begin = static_cast<uint32_t>(out.views.size());
    copy.attribute_begin = static_cast<uint32_t>(out.attributes.size());
    copy.wait_begin = static_cast<uint32_t>(out.waits.size());
    copy.delta_begin = 0, copy.delta_count = 0;
    for (const isa::View& v : in.operands(i)) out.views.push_back(v);
    for (uint32_t a : in.attrs(i)) out.attributes.push_back(a);
    for (const isa::Wait& w : in.waits_of(i)) out.waits.push_back(w);
    for (const isa::Delta& d : in.deltas_of(i)) {
      CHECK(!d.of_register && d.level < iterations.size(), "a delta names a repeat around it");
      int64_t moved = d.step * iterations[d.level];
      if (d.target == isa::Delta::Target::operand) {
        out.views[copy.operand_begin + d.index].offset += moved;
      } else {
        uint32_t& value = out.waits[copy.wait_begin + d.index].value;
        value = static_cast<uint32_t>(value + moved);
      }
    }
    out.code.push_back(copy);
  }

  // Instructions [first, last), whose repeats begin at index `repeat`.
  void run(uint32_t first, uint32_t last, size_t repeat) {
    for (uint32_t i = first; i < last;) {
      while (repeat < in.repeats.size() && in.repeats[repeat].first < i) ++repeat;
      if (repeat == in.repeats.size() || in.repeats[repeat].first != i) {
        emit(in.code[i++]);
        continue;
      }
      const isa::Repeat& r = in.repeats[repeat];
      for (uint32_t n = 0; n < r.count; ++n) {
        iterations.push_back(n);
        run(r.first, r.last, repeat + 1);
        iterations.pop_back();
      }
      i = r.last;
      while (repeat < in.repeats.size() && in.repeats[repeat].first < i) ++repeat;
    }
  }
};

}  // namespace

isa::Program expand(const isa::Program& program) {
  Expander e{program, {}, {}};
  e.run(0, static_cast<uint32_t>(program.code.size()), 0);
  return std::move(e.out);
}

}  // namespace presil::backend
