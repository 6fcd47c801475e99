// Does the checker find every fault that matters where programs decide while they run, and where two cores work
// together? As mutation_test.cc asks, of programs with loops, registers and transfers by index, and of programs for
// pairs. What a mutant executes is found out by a plain machine (unroll.h), the judge says whether that depends on
// timing. Three things may then be: it depends on timing, or does not end or work, and the run must say so; it is in
// order with other results, and the run must compute these; or it is equivalent, in order with the same results,
// whatever the timing.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "isa/rules.h"
#include "tests/campaign/judge.h"
#include "tests/campaign/long.h"
#include "tests/campaign/mutate.h"
#include "tests/campaign/random_pair.h"
#include "tests/campaign/unroll.h"

namespace presil::campaign {
namespace {

constexpr uint64_t kMoreJumps = 200;  // than the program without the fault

struct Tally {
  int mutants = 0;
  int refused = 0;
  std::array<int, 4> verdicts{};                       // of what ends
  std::array<int, 5> ends{};                           // Unrolled::End
  int other_result = 0, equivalent = 0, cautious = 0;  // in order; cautious: with a finding all the same
  int missed = 0;                                      // and what is none of these
};

struct Original {
  Subject subject;
  uint64_t jumps_max = 0;
  std::vector<system::Output> outputs;
};

bool same(const std::vector<system::Output>& a, const std::vector<system::Output>& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) { return x.name == y.name && x.bytes == y.bytes; });
}

// The program without a fault: in order, and the machine computes what the plain one does.
Original examine(Subject subject, uint64_t seed) {
  Original o{std::move(subject), 0, {}};
  const Subject& s = o.subject;
  const std::vector<isa::Finding> findings = isa::verify(s.exe, s.spec);
  EXPECT_TRUE(findings.empty()) << "seed " << seed << ": " << findings[0].text();
  Unrolled plain = unroll(s.exe, s.spec, s.views(), UINT64_MAX);
  EXPECT_EQ(plain.end, Unrolled::End::done) << "seed " << seed << ": " << plain.why;
  const Judgement judgement = judge(plain.flat, s.spec);
  EXPECT_EQ(judgement.verdict, Verdict::ordered) << "seed " << seed << ": " << judgement.why;
  Result<system::RunResult> run = system::run(s.exe, s.spec, {.data = true, .check = true}, s.views());
  EXPECT_TRUE(run) << "seed " << seed << ": " << run.error().text();
  EXPECT_TRUE(run->outcome.ok()) << "seed " << seed << ": " << chip::outcome_text(run->outcome);
  EXPECT_TRUE(same(run->outputs, plain.outputs)) << "seed " << seed;
  o.jumps_max = plain.jumps + kMoreJumps;
  o.outputs = std::move(plain.outputs);
  return o;
}

void count(Tally& t, const Original& o, const isa::Executable& mutant, const std::string& what) {
  const Subject& s = o.subject;
  ++t.mutants;
  if (!isa::verify(mutant, s.spec, isa::Waits::may_deadlock).empty()) return void(++t.refused);
  Result<system::RunResult> run =
      system::run(mutant, s.spec, {.data = true, .check = true, .jumps_max = o.jumps_max}, s.views());
  ASSERT_TRUE(run) << what << ": " << run.error().text();
  const bool found = !run->outcome.ok();
  const Unrolled plain = unroll(mutant, s.spec, s.views(), o.jumps_max);
  ++t.ends[static_cast<size_t>(plain.end)];
  if (plain.end == Unrolled::End::done) {
    const Judgement now = judge(plain.flat, s.spec);
    ++t.verdicts[static_cast<size_t>(now.verdict)];
    if (now.verdict == Verdict::ordered) {
      const bool noticed = found || !same(run->outputs, o.outputs), matters = !same(plain.outputs, o.outputs);
      if (plain.unspecified)
        return void(++(noticed ? t.ends[static_cast<size_t>(Unrolled::End::meaningless)] : t.equivalent));
      EXPECT_TRUE(run->outcome.ok() || run->outcome.kind == chip::Outcome::Kind::race)
          << what << ": " << chip::outcome_text(run->outcome);
      EXPECT_TRUE(same(run->outputs, plain.outputs)) << what;
      t.cautious += found;
      t.missed += matters && !noticed;
      ++(matters ? t.other_result : t.equivalent);
      return;
    }
    EXPECT_TRUE(found) << what << ": " << now.why;
  }
  EXPECT_TRUE(found) << what << ": " << plain.why;
  t.missed += !found;
}

void print(const std::vector<Fault>& faults, const std::array<Tally, kFaultCount>& tallies) {
  std::printf(
      "| fault | mutants | refused | race | undefined | deadlock | endless | outside | senseless | other result | "
      "equivalent | missed |\n");
  for (Fault f : faults) {
    const Tally& t = tallies[static_cast<size_t>(f)];
    const auto [ordered, race, undefined, none] = t.verdicts;
    const auto [done, stuck, endless, outside, meaningless] = t.ends;
    EXPECT_EQ(none, 0);
    EXPECT_EQ(t.refused + race + undefined + stuck + endless + outside + meaningless + t.other_result + t.equivalent,
              t.mutants);
    std::printf("| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d (%d) | %d |\n",
                std::string(fault_name(f)).c_str(), t.mutants, t.refused, race, undefined, stuck, endless, outside,
                meaningless, t.other_result, t.equivalent, t.cautious, t.missed);
  }
}

void campaign(uint64_t programs, int each, const std::vector<FaultRange>& kinds, Subject (*make)(uint64_t)) {
  std::array<Tally, kFaultCount> tallies;
  std::vector<Fault> faults;
  for (const FaultRange& kind : kinds) {
    for (int f = 0; f < kind.count(); ++f) faults.push_back(static_cast<Fault>(static_cast<int>(kind.first) + f));
  }
  for (uint64_t seed = 0; seed < programs; ++seed) {
    const Original original = examine(make(seed), seed);
    Prng random(seed);
    for (int k = 0; k < each * static_cast<int>(faults.size()); ++k) {
      const Fault fault = faults[static_cast<size_t>(k) % faults.size()];
      std::string what;
      auto mutant = mutate(original.subject.exe, fault, random, what);
      if (!mutant) continue;
      count(tallies[static_cast<size_t>(fault)], original, *mutant, "seed " + std::to_string(seed) + ", " + what);
    }
  }
  print(faults, tallies);
  for (Fault f : faults) {
    EXPECT_EQ(tallies[static_cast<size_t>(f)].missed, 0) << fault_name(f);
    EXPECT_GT(tallies[static_cast<size_t>(f)].mutants, 0) << fault_name(f);
  }
}

TEST(DynamicMutation, EveryFaultThatMattersIsFoundInProgramsWithLoops) {
  campaign(is_long() ? 400 : 30, is_long() ? 15 : 2, {kPlainFaults, kControlFaults, kIndexFaults}, looping_subject);
}

TEST(DynamicMutation, EveryFaultThatMattersIsFoundInProgramsOfPairs) {
  campaign(is_long() ? 400 : 40, is_long() ? 20 : 3, {kPlainFaults, kPairFaults},
           [](uint64_t seed) { return random_pair(seed, static_cast<int>(6 + seed % 12)); });
}

}  // namespace
}  // namespace presil::campaign
