// Is a program one that can be walked at all: ranges inside pools, repeats that nest, deltas that name something?
#include <fmt/format.h>

#include "isa/rules.h"
#include "isa/walk.h"

namespace presil::isa {
namespace {

void check_pools(const Program& p, uint32_t n, std::vector<Finding>& findings) {
  const Instruction& i = p.code[n];
  const InstructionRow& r = row(i.opcode);
  auto fail = [&](std::string message) { findings.push_back({kNoIndex, n, std::string(r.name), std::move(message)}); };
  auto count = [&](std::string_view what, size_t found, size_t expected) {
    if (found != expected) fail(fmt::format("{} {}, the table has {}", found, what, expected));
  };
  auto inside = [&](std::string_view what, uint64_t begin, uint64_t size, uint64_t pool) {
    if (begin + size <= pool) return;
    fail(fmt::format("{} {} to {}, the pool ends at {}", what, begin, begin + size, pool));
  };
  count("operands", i.operand_count, r.operands.size());
  count("attributes", i.attribute_count, r.attributes.size());
  inside("operands", i.operand_begin, i.operand_count, p.views.size());
  inside("attributes", i.attribute_begin, i.attribute_count, p.attributes.size());
  inside("waits", i.wait_begin, i.wait_count, p.waits.size());
  inside("deltas", i.delta_begin, i.delta_count, p.deltas.size());
}

// In order of first, outer before inner, each wholly inside or outside of every other.
void check_repeats(const Program& p, std::vector<Finding>& findings) {
  std::vector<Repeat> open;
  uint32_t first = 0;
  for (size_t n = 0; n < p.repeats.size(); ++n) {
    const Repeat& r = p.repeats[n];
    auto fail = [&](std::string message) {
      findings.push_back({kNoIndex, kNoIndex, fmt::format("repeat {}", n), std::move(message)});
    };
    if (r.first >= r.last || r.last > p.code.size()) {
      fail(fmt::format("instructions {} to {}, the queue has {}", r.first, r.last, p.code.size()));
    }
    if (r.count == 0) fail("count 0, at least 1");
    if (r.first < first) fail(fmt::format("begins at {}, the one before at {}", r.first, first));
    first = r.first;
    while (!open.empty() && open.back().last <= r.first) open.pop_back();
    if (!open.empty() && r.last > open.back().last) {
      fail(fmt::format("instructions {} to {} leave the repeat of {} to {} around it", r.first, r.last,
                       open.back().first, open.back().last));
    }
    open.push_back(r);
  }
}

void check_deltas(const Program& p, uint32_t n, size_t levels, std::vector<Finding>& findings) {
  const Instruction& i = p.code[n];
  auto fail = [&](std::string message) {
    findings.push_back({kNoIndex, n, std::string(row(i.opcode).name), std::move(message)});
  };
  for (const Delta& d : p.deltas_of(i)) {
    bool wait = d.target == Delta::Target::wait;
    unsigned limit = wait ? i.wait_count : i.operand_count;
    if (d.index >= limit) {
      fail(fmt::format("a delta names {} {}, there are {}", wait ? "wait" : "operand", d.index, limit));
    } else if (!wait && !p.operand(i, d.index).present()) {
      fail(fmt::format("a delta moves {}, which is absent", row(i.opcode).operands[d.index].name));
    }
    if (!d.of_register && d.level >= levels)
      fail(fmt::format("a delta names repeat level {}, {} are around it", d.level, levels));
  }
}

}  // namespace

std::vector<Finding> check_structure(const Program& program) {
  std::vector<Finding> findings;
  for (uint32_t n = 0; n < program.code.size(); ++n) check_pools(program, n, findings);
  check_repeats(program, findings);
  if (!findings.empty()) return findings;
  walk(program,
       [&](uint32_t n, const std::vector<Repeat>& around) { check_deltas(program, n, around.size(), findings); });
  return findings;
}

}  // namespace presil::isa
