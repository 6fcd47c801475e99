#include "system/feeds.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include "isa/control.h"
#include "isa/slots.h"

namespace presil::system {
namespace {

// Disjoint ranges of bytes, ascending.
class Ranges {
 public:
  bool overlaps(isa::ByteRange r) const {
    const auto at = std::ranges::upper_bound(ranges_, r.begin, {}, &isa::ByteRange::end);
    return at != ranges_.end() && at->begin < r.end;
  }
  void add(isa::ByteRange r) {
    if (r.begin >= r.end) return;
    auto first = std::ranges::lower_bound(ranges_, r.begin, {}, &isa::ByteRange::end), last = first;
    for (; last != ranges_.end() && last->begin <= r.end; ++last) {
      r.begin = std::min(r.begin, last->begin);
      r.end = std::max(r.end, last->end);
    }
    ranges_.insert(ranges_.erase(first, last), r);
  }

 private:
  std::vector<isa::ByteRange> ranges_;
};

// Iterations of the repeats around instruction n, outermost first.
std::vector<uint32_t> counts_around(const isa::Program& program, uint32_t n) {
  std::vector<uint32_t> counts;
  for (const isa::Repeat& r : program.repeats) {
    if (r.first <= n && n < r.last) counts.push_back(r.count);
  }
  return counts;
}

// All bytes that the operand may touch in any iteration.
isa::ByteRange reach(const isa::Program& program, uint32_t n, int operand, const std::vector<uint32_t>& counts) {
  const isa::Instruction& instruction = program.code[n];
  isa::ByteRange bytes = isa::byte_range(program.operand(instruction, operand));
  for (const isa::Delta& d : program.deltas_of(instruction)) {
    if (d.target != isa::Delta::Target::operand || d.index != operand) continue;
    if (d.of_register) return {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
    const int64_t furthest = d.step * (static_cast<int64_t>(counts[d.level]) - 1);
    (furthest < 0 ? bytes.begin : bytes.end) += furthest;
  }
  return bytes;
}

class Search {
 public:
  explicit Search(const isa::Executable& executable) : exe_(executable) {
    for (const isa::Program& p : exe_.queues) found_.emplace_back(p.code.size());
  }

  std::vector<std::vector<bool>> run() {
    bool any = false;
    for (const isa::Program& p : exe_.queues) {
      for (uint32_t n = 0; n < p.code.size(); ++n) {
        if (p.code[n].opcode != isa::Opcode::register_load) continue;
        wanted(p, p.operand(p.code[n], 0)).add(reach(p, n, 0, counts_around(p, n)));
        any = true;
      }
    }
    for (bool more = any; more;) {
      more = false;
      for (size_t q = 0; q < exe_.queues.size(); ++q) {
        for (auto n = static_cast<uint32_t>(found_[q].size()); n-- > 0;) {
          if (!found_[q][n] && matters(exe_.queues[q], n)) found_[q][n] = more = true;
        }
      }
    }
    return std::move(found_);
  }

 private:
  // Bytes of the memory in which the view lies that matter.
  Ranges& wanted(const isa::Program& queue, const isa::View& view) {
    if (view.memory == isa::Memory::hbm) return wanted_[0][0];
    const uint32_t core = queue.core ^ view.peer;
    return wanted_[view.memory == isa::Memory::sbuf ? 1 : 2][core];
  }

  bool matters(const isa::Program& p, uint32_t n) {
    const isa::Instruction& i = p.code[n];
    if (i.operand_count == 0 || isa::is_control(i.opcode)) return false;
    const std::vector<uint32_t> counts = counts_around(p, n);
    bool writes = false;
    for (int k = 0; k < i.operand_count && !writes; ++k) {
      const isa::View& view = p.operand(i, k);
      writes = view.present() && isa::access_of(p, i, k) != isa::Access::read &&
               wanted(p, view).overlaps(reach(p, n, k, counts));
    }
    if (!writes) return false;
    for (int k = 0; k < i.operand_count; ++k) {
      const isa::View& view = p.operand(i, k);
      if (view.present()) wanted(p, view).add(reach(p, n, k, counts));
    }
    return true;
  }

  const isa::Executable& exe_;
  std::vector<std::vector<bool>> found_;
  std::array<std::array<Ranges, 2>, 3> wanted_;  // hbm, sbuf, psum; by physical core
};

}  // namespace

std::vector<std::vector<bool>> feeds_registers(const isa::Executable& executable) { return Search(executable).run(); }

}  // namespace presil::system
