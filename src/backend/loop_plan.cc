// Walks the program once.
#include "backend/loop_plan.h"

#include <algorithm>
#include <iterator>

namespace presil::backend {
namespace {

using tile::Region;
using tile::TileProgram;

constexpr uint32_t kSlotsMax = 16;        // DMA semaphores of one segment in a loop or a choice
constexpr uint32_t kStaticSlotsMax = 64;  // of those that run once, together

// Walks the program once and says what it consists of.
class Planner {
 public:
  Planner(const TileProgram& program, const Crew& crew, const Placement& placement,
          const std::vector<LiveRange>& ranges, uint32_t slots, const spec::ChipSpec& spec)
      : program_(program),
        crew_(crew),
        placement_(placement),
        ranges_(ranges),
        spec_(spec),
        lanes_(static_cast<uint32_t>(crew.sequencers.size())),
        streams_(lanes_ + 1 + slots),
        once_slots_(std::min(kStaticSlotsMax, (slots + 1) / 2)),
        next_slot_(once_slots_),
        slots_(slots) {
    counts_.resize(streams_), pending_.resize(lanes_), undrained_.resize(streams_);
    drainer_.assign(streams_, kNoStream), out_.histories.resize(streams_);
  }

  LoopPlan run(const std::vector<Region>& regions) {
    out_.streams = streams_;
    sequence(regions, 0);
    return std::move(out_);
  }

 private:
  Action& add(Action::Kind kind, uint32_t index) {
    Action& a = out_.actions.emplace_back();
    a.kind = kind, a.index = index;
    return a;
  }

  void sequence(const std::vector<Region>& regions, uint32_t depth) {
    for (const Region& r : regions) {
      switch (r.kind) {
        case Region::Kind::straight:
          segment(r.first, r.last, nullptr, depth);
          break;
        case Region::Kind::loop:
          loop(r, depth);
          break;
        case Region::Kind::choice:
          choice(r, depth);
          break;
      }
    }
  }

  // Semaphores: segments that run once share some, the others have their own while there are any.
  SegmentPlace place(uint32_t first, uint32_t last, const Region* loop, uint32_t depth) {
    SegmentPlace p{first, last, loop, 0, once_slots_};
    const uint32_t transfers = transfers_of(program_, first, last);
    if (depth == 0 || transfers == 0 || once_slots_ == slots_) {
      p.slots = std::min(std::max(1u, transfers), once_slots_);
      return p;
    }
    const uint32_t most = std::min(kSlotsMax, slots_ - once_slots_);
    p.slots =
        slots_for(transfers, std::min(most, slots_ - next_slot_ > 0 ? std::max(slots_ - next_slot_, most / 2) : most));
    if (next_slot_ + p.slots > slots_) next_slot_ = once_slots_;
    p.first_slot = next_slot_;
    next_slot_ += p.slots;
    return p;
  }

  void segment(uint32_t first, uint32_t last, const Region* loop, uint32_t depth) {
    Segment s = make_segment(program_, crew_, placement_, ranges_, place(first, last, loop, depth), streams_, spec_);
    const bool acts = std::ranges::count(s.busy, true) > 0;
    if (acts && loop == nullptr) meet(first);
    add(Action::Kind::segment, static_cast<uint32_t>(out_.segments.size())).counts = counts_;
    for (uint32_t n = 0; n < streams_; ++n) {
      counts_[n] += static_cast<int64_t>(s.raised[n]);
      if (s.drainer[n] == kNoStream) continue;
      undrained_[n] = true, drainer_[n] = s.drainer[n];
    }
    for (uint32_t q = 0; q < lanes_; ++q) pending_[q] = pending_[q] || s.busy[q];
    out_.segments.push_back(std::move(s));
  }

  // Everything so far is done before instruction `next`.
  void meet(uint32_t next) {
    if (std::ranges::count(pending_, true) == 0) return;
    Action& a = add(Action::Kind::meet, 0);
    a.next = next;
    a.raisers = pending_;
    a.drains.resize(lanes_);
    for (uint32_t s = lanes_ + 1; s < streams_; ++s) {
      if (undrained_[s]) a.drains[drainer_[s]].push_back({s, counts_[s]});
    }
    counts_[lanes_] += std::ranges::count(pending_, true);
    a.target = counts_[lanes_];
    pending_.assign(lanes_, false), undrained_.assign(streams_, false);
  }

  // What `before` to now has counted happens as often as the region runs: registers keep it.
  void counted(const std::vector<int64_t>& before, const std::vector<int64_t>& otherwise, std::vector<int64_t> now) {
    const uint32_t region = regions_++;
    for (uint32_t s = 0; s < streams_; ++s) {
      const int64_t more = now[s] - otherwise[s];
      if (more != 0) out_.histories[s][region] = more;
    }
    add(Action::Kind::counted, region);
    counts_ = before;
  }

  void loop(const Region& r, uint32_t depth) {
    meet(r.first);
    for (uint32_t n = r.first; n < r.body_first; ++n) add(Action::Kind::control, n);
    const std::vector<int64_t> before = counts_;
    const bool alone = r.body.size() == 1 && r.body[0].kind == Region::Kind::straight;
    if (alone) {
      segment(r.body[0].first, r.body[0].last, &r, depth + 1);
    } else {
      sequence(r.body, depth + 1);
      meet(r.first);  // the next iteration begins there
    }
    counted(before, before, counts_);
    for (uint32_t n = r.body_last; n < r.last; ++n) add(Action::Kind::control, n);
    add(Action::Kind::label, r.first);
  }

  void choice(const Region& r, uint32_t depth) {
    meet(r.first);
    add(Action::Kind::control, r.first);
    const std::vector<int64_t> before = counts_;
    sequence(r.body, depth + 1);
    const size_t then_end = out_.actions.size();
    const std::vector<int64_t> then = counts_;
    std::vector<bool> pending = pending_, undrained = undrained_;
    const std::vector<uint32_t> drainer = drainer_;
    counts_ = before;
    pending_.assign(lanes_, false), undrained_.assign(streams_, false);
    if (r.middle < r.last) {
      add(Action::Kind::control, r.middle);
      add(Action::Kind::label, r.first).otherwise = true;
      sequence(r.otherwise, depth + 1);
    }
    const std::vector<int64_t> otherwise = counts_;
    // The then side's registers take up the difference; that stands at its end.
    std::vector<Action> rest(std::make_move_iterator(out_.actions.begin() + static_cast<ptrdiff_t>(then_end)),
                             std::make_move_iterator(out_.actions.end()));
    out_.actions.resize(then_end);
    counted(otherwise, otherwise, then);
    std::ranges::move(rest, std::back_inserter(out_.actions));
    if (r.middle == r.last) add(Action::Kind::label, r.first).otherwise = true;
    add(Action::Kind::label, r.first);
    for (uint32_t q = 0; q < lanes_; ++q) pending_[q] = pending_[q] || pending[q];
    for (uint32_t s = 0; s < streams_; ++s) {
      if (undrained[s]) undrained_[s] = true, drainer_[s] = drainer[s];
    }
  }

  const TileProgram& program_;
  const Crew& crew_;
  const Placement& placement_;
  const std::vector<LiveRange>& ranges_;
  const spec::ChipSpec& spec_;
  uint32_t lanes_, streams_, once_slots_, next_slot_, slots_;
  uint32_t regions_ = 0;
  LoopPlan out_;
  std::vector<int64_t> counts_;    // by stream: increments so far, those of registers left out
  std::vector<bool> pending_;      // by lane: has done something since all met
  std::vector<bool> undrained_;    // by stream: transfers since all met
  std::vector<uint32_t> drainer_;  // by stream: who waits for them
};

}  // namespace

LoopPlan plan_loops(const TileProgram& program, const std::vector<Region>& regions, const Crew& crew,
                    const Placement& placement, const std::vector<LiveRange>& ranges, uint32_t slots,
                    const spec::ChipSpec& spec) {
  return Planner(program, crew, placement, ranges, slots, spec).run(regions);
}

}  // namespace presil::backend
