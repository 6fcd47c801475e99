// Does walking repeats equal expanding them?
#include "chip/cursor.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/prng.h"

namespace presil::chip {
namespace {

using Visit = std::pair<uint32_t, std::vector<uint32_t>>;  // instruction, iterations

// Repeats that nest, in [first, last), outer before inner.
void add_repeats(Prng& prng, uint32_t first, uint32_t last, uint32_t depth, std::vector<isa::Repeat>& out) {
  while (first < last && depth < 4) {
    uint32_t begin = first + static_cast<uint32_t>(prng.below(last - first));
    uint32_t end = begin + 1 + static_cast<uint32_t>(prng.below(last - begin));
    if (prng.below(3) == 0) begin = first, end = last;
    out.push_back({begin, end, static_cast<uint32_t>(1 + prng.below(3))});
    add_repeats(prng, begin, end, depth + 1 + static_cast<uint32_t>(prng.below(2)), out);
    first = end;
    if (prng.below(2) == 0) break;
  }
}

std::vector<Visit> expanded(const isa::Program& p) {
  std::vector<Visit> visits;
  std::function<void(uint32_t, uint32_t, size_t, std::vector<uint32_t>)> run =
      [&](uint32_t first, uint32_t last, size_t repeat, std::vector<uint32_t> iterations) {
        for (uint32_t pc = first; pc < last;) {
          while (repeat < p.repeats.size() && p.repeats[repeat].first < pc) ++repeat;
          if (repeat == p.repeats.size() || p.repeats[repeat].first != pc || p.repeats[repeat].last > last) {
            visits.emplace_back(pc++, iterations);
            continue;
          }
          const isa::Repeat r = p.repeats[repeat];
          for (uint32_t k = 0; k < r.count; ++k) {
            iterations.push_back(k);
            run(r.first, r.last, repeat + 1, iterations);
            iterations.pop_back();
          }
          pc = r.last;
        }
      };
  run(0, static_cast<uint32_t>(p.code.size()), 0, {});
  return visits;
}

TEST(Cursor, WalksWhatExpansionGives) {
  size_t nested = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    Prng prng(seed);
    isa::Program p;
    auto size = static_cast<uint32_t>(1 + prng.below(12));
    for (uint32_t k = 0; k < size; ++k) p.append(isa::Opcode::wait, isa::EngineKind::sync);
    add_repeats(prng, 0, size, 0, p.repeats);
    ASSERT_EQ(repeat_problem(p), "") << seed;
    std::vector<Visit> walked;
    RepeatMap map = map_repeats(p);
    for (Cursor c = begin(map); c.pc < size; advance(map, c)) {
      walked.emplace_back(c.pc, std::vector<uint32_t>(c.iterations().begin(), c.iterations().end()));
      nested += c.depth > 2;
    }
    ASSERT_EQ(walked, expanded(p)) << seed;
    ASSERT_EQ(walked.size(), isa::executed_count(p)) << seed;
  }
  EXPECT_GT(nested, 1000u);
}

TEST(Cursor, AnEmptyProgramIsAtItsEnd) {
  isa::Program p;
  RepeatMap map = map_repeats(p);
  EXPECT_EQ(begin(map).pc, 0u);
}

TEST(Cursor, SaysWhatIsWrongWithRepeats) {
  auto problem = [](std::vector<isa::Repeat> repeats) {
    isa::Program p;
    for (int k = 0; k < 4; ++k) p.append(isa::Opcode::wait, isa::EngineKind::sync);
    p.repeats = std::move(repeats);
    return repeat_problem(p);
  };
  EXPECT_EQ(problem({{0, 5, 1}}), "repeat 0 covers instructions [0, 5) of 4");
  EXPECT_EQ(problem({{2, 2, 1}}), "repeat 0 covers instructions [2, 2) of 4");
  EXPECT_EQ(problem({{0, 2, 0}}), "repeat 0 runs 0 times, expected at least once");
  EXPECT_EQ(problem({{1, 2, 1}, {0, 1, 1}}), "repeat 1 begins before its predecessor");
  EXPECT_EQ(problem({{0, 3, 1}, {2, 4, 1}}), "repeat 1 ends after the repeat around it");
  EXPECT_EQ(problem(std::vector<isa::Repeat>(9, {0, 4, 1})), "repeat 8 is nested 9 deep, at most 8 are supported");
}

}  // namespace
}  // namespace presil::chip
