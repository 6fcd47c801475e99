// Does the checker find every fault that matters? Correct programs with one fault planted; an independent judge
// (judge.h) says whether the program's meaning now depends on timing. If it does, the run must say so: by refusing the
// program, by a fault, a deadlock or a finding. docs/testing.md has the numbers of the whole campaign.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "backend/interleaving.h"
#include "tests/campaign/judge.h"
#include "tests/campaign/long.h"
#include "tests/campaign/mutate.h"
#include "tests/campaign/subject.h"

namespace presil::campaign {
namespace {

constexpr int kFaults = kPlainFaults.count();

// What became of the mutants of one kind of fault.
struct Tally {
  int mutants = 0;
  int refused = 0;  // illegal, or outside a memory
  std::array<int, 4> verdicts{};
  int other_result = 0;  // in order, but another program
  int cautious = 0;      // findings in programs that the judge finds ordered
  int missed = 0;
};

struct Original {
  Subject subject;
  Judgement judgement;
  std::vector<system::Output> outputs;
};

Original examine(Subject subject, uint64_t seed) {
  Original o{std::move(subject), {}, {}};
  const Subject& s = o.subject;
  o.judgement = judge(without_repeats(s.exe), s.spec);
  EXPECT_EQ(o.judgement.verdict, Verdict::ordered) << "seed " << seed << ": " << o.judgement.why;
  Result<system::RunResult> run = system::run(s.exe, s.spec, {.data = true, .check = true}, s.views());
  EXPECT_TRUE(run) << "seed " << seed << ": " << run.error().text();
  EXPECT_TRUE(run->outcome.ok()) << "seed " << seed << ": " << chip::outcome_text(run->outcome);
  o.outputs = std::move(run->outputs);
  return o;
}

bool same_outputs(const Original& o, const isa::Executable& mutant) {
  Result<system::RunResult> r = system::run(mutant, o.subject.spec, {.data = true}, o.subject.views());
  if (!r || !r->outcome.ok() || r->outputs.size() != o.outputs.size()) return false;
  for (size_t k = 0; k < r->outputs.size(); ++k) {
    if (r->outputs[k].bytes != o.outputs[k].bytes) return false;
  }
  return true;
}

void count(Tally& t, const Original& o, Fault fault, const isa::Executable& mutant, const std::string& what) {
  const spec::ChipSpec& spec = o.subject.spec;
  ++t.mutants;
  Result<system::RunResult> run = system::run(mutant, spec, {.check = true});
  if (!run || (run->outcome.kind == chip::Outcome::Kind::fault && run->findings.empty())) return void(++t.refused);
  const Judgement now = judge(without_repeats(mutant), spec);
  ++t.verdicts[static_cast<size_t>(now.verdict)];
  const bool found = !run->outcome.ok();
  EXPECT_EQ(now.verdict == Verdict::deadlock, run->outcome.kind == chip::Outcome::Kind::deadlock) << what;
  if (now.verdict == Verdict::ordered) {
    t.cautious += found;
    t.other_result += changes_accesses(fault) ? !same_outputs(o, mutant) : now.order != o.judgement.order;
    return;
  }
  t.missed += !found;
  EXPECT_TRUE(found) << what << ": " << now.why;
}

void print(const std::array<Tally, kFaults>& tallies) {
  std::printf("| fault | mutants | refused | race | undefined | deadlock | other result | equivalent | missed |\n");
  for (int f = 0; f < kFaults; ++f) {
    const Tally& t = tallies[static_cast<size_t>(f)];
    const auto [ordered, race, undefined, deadlock] = t.verdicts;
    std::printf("| %s | %d | %d | %d | %d | %d | %d | %d (%d) | %d |\n",
                std::string(fault_name(static_cast<Fault>(f))).c_str(), t.mutants, t.refused, race, undefined, deadlock,
                t.other_result, ordered - t.other_result, t.cautious, t.missed);
  }
}

void campaign(uint64_t programs, int each, Subject (*make)(uint64_t)) {
  std::array<Tally, kFaults> tallies;
  int repeating = 0;
  for (uint64_t seed = 0; seed < programs; ++seed) {
    const Original original = examine(make(seed), seed);
    const std::vector<isa::Program>& queues = original.subject.exe.queues;
    repeating += std::ranges::any_of(queues, [](const isa::Program& p) { return !p.repeats.empty(); });
    Prng random(seed);
    for (int k = 0; k < each * kFaults; ++k) {
      const auto fault = static_cast<Fault>(k % kFaults);
      std::string what;
      auto mutant = mutate(original.subject.exe, fault, random, what);
      if (!mutant) continue;
      what = "seed " + std::to_string(seed) + ", " + what;
      count(tallies[static_cast<size_t>(fault)], original, fault, *mutant, what);
    }
  }
  std::printf("%lu programs, %d with repeats\n", static_cast<unsigned long>(programs), repeating);
  EXPECT_GT(repeating, 0);
  print(tallies);
  for (const Tally& t : tallies) {
    EXPECT_EQ(t.missed, 0);
    EXPECT_GT(t.mutants, 0);
  }
}

TEST(Mutation, EveryFaultThatMattersIsFoundInRandomPrograms) {
  campaign(is_long() ? 400 : 80, is_long() ? 25 : 3, [](uint64_t seed) { return random_subject(seed, 15); });
}

TEST(Mutation, EveryFaultThatMattersIsFoundInCompiledNetworks) {
  campaign(is_long() ? 150 : 5, is_long() ? 25 : 4, compiled_subject);
}

// HBM after one legal interleaving; nothing if it does not end, or if two transfers of one semaphore are under way.
std::optional<backend::testing::Bytes> interleaved(const isa::Executable& exe, const spec::ChipSpec& spec,
                                                   uint64_t seed) {
  const backend::testing::Machine::Limits limits{spec.dma.engines, static_cast<uint32_t>(spec.sbuf.bytes_per_partition),
                                                 static_cast<uint32_t>(spec.psum.bytes_per_partition),
                                                 spec.sbuf.partitions, exe.hbm_bytes};
  backend::testing::Machine machine(limits, 1);
  backend::testing::Interleaving run(exe, machine, seed);
  if (run.run()) return std::nullopt;
  return machine.hbm;
}

// The judge against a machine that takes its steps at random: what it finds ordered must end in the same bytes always,
// and what it finds racing must not, often enough.
TEST(Mutation, TheJudgeAgreesWithRandomInterleavings) {
  const uint64_t programs = is_long() ? 200 : 8;
  const uint64_t tries = 10;
  int ordered = 0, racing = 0, shown = 0;
  for (uint64_t seed = 0; seed < programs; ++seed) {
    const Subject s = random_subject(seed, 3);
    Prng random(seed);
    for (int k = 0; k < 12; ++k) {
      std::string what;
      auto mutant =
          mutate(s.exe, static_cast<Fault>(random.below(static_cast<uint64_t>(Fault::sbuf_address))), random, what);
      if (!mutant || !system::run(*mutant, s.spec)) continue;
      const isa::Executable flat = without_repeats(*mutant);
      const Verdict verdict = judge(flat, s.spec).verdict;
      if (verdict != Verdict::ordered && verdict != Verdict::race) continue;
      const auto first = interleaved(flat, s.spec, 1);
      bool differs = false;
      for (uint64_t t = 2; t <= tries && first; ++t) {
        const auto again = interleaved(flat, s.spec, t);
        differs |= again && *again != *first;
      }
      EXPECT_FALSE(differs && verdict == Verdict::ordered) << "seed " << seed << ", " << what;
      if (!first) continue;
      (verdict == Verdict::ordered ? ordered : racing) += 1;
      shown += differs;
    }
  }
  std::printf("%d ordered, %d racing, of which %d show it in %lu interleavings\n", ordered, racing, shown,
              static_cast<unsigned long>(tries));
  EXPECT_GT(ordered, 0);
  EXPECT_GT(shown * 3, racing);
}

}  // namespace
}  // namespace presil::campaign
