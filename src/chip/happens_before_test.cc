// Is "complete whatever the timing" true in every legal order of events? Against all of them, for small random
// programs.
#include "chip/happens_before.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

#include "base/prng.h"
#include "chip/assemble.h"

namespace presil::chip {
namespace {

using namespace testing;
constexpr uint32_t kDmaEngines = 2, kDmaQueues = 2, kQueues = 3;

spec::ChipSpec small_chip() {
  spec::ChipSpec s = round_chip();
  s.dma.engines = kDmaEngines;
  s.dma.queues = kDmaQueues;
  return s;
}

struct Wish {
  bool one_raiser = false;  // each semaphore is raised by one sequencer's instructions
};

// Waits look back in the order of making, so that every program can finish.
Assembler random_small(uint64_t seed, const Wish& wish) {
  Prng prng(seed);
  Assembler a;
  a.exe.queues.resize(kQueues);
  const uint32_t semaphores = wish.one_raiser ? kQueues : static_cast<uint32_t>(1 + prng.below(4));
  a.exe.semaphores = semaphores;
  std::vector<uint32_t> raised(semaphores);
  const uint64_t count = 4 + prng.below(4);
  for (uint64_t k = 0; k < count; ++k) {
    auto engine = static_cast<EngineKind>(prng.below(kQueues));
    const bool transfer = prng.below(3) == 0 && !wish.one_raiser;
    auto last = transfer ? a.dma(engine, sbuf(1, 0, 1), sbuf(1, 64, 1), static_cast<uint8_t>(prng.below(kDmaQueues)))
                         : a.wait(engine);
    for (uint16_t s = 0; s < semaphores; ++s) {
      if (raised[s] == 0 || prng.below(2) == 0) continue;
      last.wait(s, prng.below(3) ? raised[s] : static_cast<uint32_t>(1 + prng.below(raised[s])));
    }
    if (prng.below(4) == 0) continue;
    auto s = static_cast<uint16_t>(wish.one_raiser ? static_cast<uint32_t>(engine) : prng.below(semaphores));
    last.signal(s);
    raised[s] += transfer ? kDmaEngines : 1;
  }
  return a;
}

using Event = std::pair<uint32_t, uint32_t>;  // queue and instruction: of a transfer, its last share

// Everything that can be true in the middle of a run.
struct State {
  std::array<uint32_t, kQueues> started{}, completed{};
  std::array<std::vector<Event>, kDmaQueues> triggered;               // in order
  std::array<std::array<uint32_t, kDmaEngines>, kDmaQueues> moved{};  // shares done
  std::vector<uint32_t> semaphores;
  auto operator<=>(const State&) const = default;
};

struct Machine {
  const isa::Executable& exe;

  const isa::Instruction& at(Event e) const { return exe.queues[e.first].code[e.second]; }
  bool is_dma(Event e) const { return at(e).opcode == isa::Opcode::dma_copy; }
  State begin() const {
    State s;
    s.semaphores.resize(exe.semaphores);
    return s;
  }
  bool can_start(const State& s, uint32_t q) const {
    if (s.started[q] == exe.queues[q].code.size()) return false;
    for (const isa::Wait& w : exe.queues[q].waits_of(at({q, s.started[q]}))) {
      if (s.semaphores[w.semaphore] < w.value) return false;
    }
    return true;
  }
  State start(State s, uint32_t q) const {
    Event e{q, s.started[q]++};
    if (is_dma(e)) s.triggered[at(e).dma_queue].push_back(e);
    return s;
  }
  void raise(State& s, Event e) const {
    if (at(e).signal != isa::kNoSemaphore) ++s.semaphores[at(e).signal];
  }
  // What completions and shares can do next.
  std::vector<State> quiet_steps(const State& s) const {
    std::vector<State> all;
    for (uint32_t q = 0; q < kQueues; ++q) {
      if (s.completed[q] == s.started[q]) continue;
      Event e{q, s.completed[q]};
      State& next = all.emplace_back(s);
      ++next.completed[q];
      if (!is_dma(e)) raise(next, e);
    }
    for (uint32_t d = 0; d < kDmaQueues; ++d) {
      for (uint32_t e = 0; e < kDmaEngines; ++e) {
        if (s.moved[d][e] == s.triggered[d].size()) continue;
        State& next = all.emplace_back(s);
        raise(next, s.triggered[d][next.moved[d][e]++]);
      }
    }
    return all;
  }
  bool complete(const State& s, Event e) const {
    if (!is_dma(e)) return s.completed[e.first] > e.second;
    const std::vector<Event>& flights = s.triggered[at(e).dma_queue];
    for (uint32_t k = 0; k < flights.size(); ++k) {
      if (flights[k] != e) continue;
      bool all = true;
      for (uint32_t engine = 0; engine < kDmaEngines; ++engine) all &= s.moved[at(e).dma_queue][engine] > k;
      return all;
    }
    return false;
  }
};

// (event, later): `event` is complete whenever `later` can start.
using Truth = std::map<std::pair<Event, Event>, bool>;

Truth all_orders(const Machine& m) {
  Truth truth;
  std::set<State> seen;
  std::vector<State> left{m.begin()};
  while (!left.empty()) {
    State s = std::move(left.back());
    left.pop_back();
    if (!seen.insert(s).second) continue;
    for (uint32_t q = 0; q < kQueues; ++q) {
      if (!m.can_start(s, q)) continue;
      for (uint32_t from = 0; from < kQueues; ++from) {
        for (uint32_t i = 0; i < m.exe.queues[from].code.size(); ++i) {
          auto [it, first] = truth.try_emplace({{from, i}, {q, s.started[q]}}, true);
          it->second &= m.complete(s, {from, i});
        }
      }
      left.push_back(m.start(s, q));
    }
    for (State& next : m.quiet_steps(s)) left.push_back(std::move(next));
  }
  return truth;
}

struct Judged {
  std::set<std::pair<Event, Event>> claimed, executed_before;
  bool ambiguous = false;
};

// One random legal order, as the checker sees it.
Judged one_order(const Machine& m, const spec::ChipSpec& spec, Prng& prng) {
  HappensBefore order(m.exe, spec);
  std::vector<HappensBefore::Ambiguity> ambiguities;
  std::map<Event, Epoch> epochs;
  Judged judged;
  for (State s = m.begin();;) {
    std::vector<State> next = m.quiet_steps(s);
    std::vector<uint32_t> starts;
    for (uint32_t q = 0; q < kQueues; ++q) {
      if (m.can_start(s, q)) starts.push_back(q);
    }
    if (next.size() + starts.size() == 0) break;
    uint64_t choice = prng.below(next.size() + starts.size());
    if (choice < next.size()) {
      s = next[choice];
      continue;
    }
    const uint32_t q = starts[choice - next.size()];
    const Event e{q, s.started[q]};
    const isa::Instruction& i = m.at(e);
    const Site site{q, e.second};
    for (const isa::Wait& w : m.exe.queues[q].waits_of(i)) order.wait(site, w.semaphore, w.value);
    for (const auto& [before, epoch] : epochs) {
      judged.executed_before.insert({before, e});
      if (order.complete(epoch, q)) judged.claimed.insert({before, e});
    }
    epochs[e] = m.is_dma(e) ? order.transfer(site, &ambiguities) : order.step(site, &ambiguities);
    s = m.start(std::move(s), q);
  }
  judged.ambiguous = !ambiguities.empty();
  return judged;
}

TEST(HappensBefore, WhatItClaimsHoldsInEveryOrder) {
  int claims = 0, ambiguous = 0, clear = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Assembler a = random_small(seed, {});
    const spec::ChipSpec spec = small_chip();
    Machine m{a.exe};
    Truth truth = all_orders(m);
    Prng prng(seed + 1000);
    for (int run = 0; run < 4; ++run) {
      Judged judged = one_order(m, spec, prng);
      (judged.ambiguous ? ambiguous : clear) += 1;
      if (judged.ambiguous) continue;
      for (const auto& [event, later] : judged.claimed) {
        ++claims;
        ASSERT_TRUE((truth.at({event, later}))) << "seed " << seed << ": " << event.first << "." << event.second
                                                << " before " << later.first << "." << later.second;
      }
    }
  }
  EXPECT_GT(claims, 3000);
  EXPECT_GT(clear, 400);
  EXPECT_GT(ambiguous, 50);
}

// Where each semaphore has one raiser, nothing that holds is missed, either.
TEST(HappensBefore, ItMissesNothingWhereEachSemaphoreHasOneRaiser) {
  int known = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Assembler a = random_small(seed, {.one_raiser = true});
    Machine m{a.exe};
    Truth truth = all_orders(m);
    Prng prng(seed + 1000);
    Judged judged = one_order(m, small_chip(), prng);
    EXPECT_FALSE(judged.ambiguous);
    for (const auto& pair : judged.executed_before) {
      const bool claimed = judged.claimed.count(pair) > 0;
      known += claimed;
      ASSERT_EQ(claimed, truth.at(pair)) << "seed " << seed << ": " << pair.first.first << "." << pair.first.second
                                         << " before " << pair.second.first << "." << pair.second.second;
    }
  }
  EXPECT_GT(known, 1000);
}

}  // namespace
}  // namespace presil::chip
