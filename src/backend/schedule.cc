#include "backend/schedule.h"

#include <algorithm>
#include <bit>
#include <map>
#include <queue>

#include "backend/memory_profile.h"
#include "backend/queues.h"
#include "backend/sbuf_map.h"
#include "timing/cost.h"
#include "timing/transfer.h"

namespace presil::backend {
namespace {

using isa::Instruction;
using isa::Memory;
using tile::TileProgram;

Work work_of(const TileProgram& program, const Instruction& i, const spec::ChipSpec& spec) {
  Work w;
  if (is_dma(i)) {
    timing::Transfer t = timing::transfer(program.code, i, spec);
    w.occupancy = t.trigger, w.prepare = t.prepare;
    w.latency = t.start_latency + timing::unloaded_duration(t) + t.completion;
    for (uint32_t e = 0; e < t.engines_used; ++e) w.transfer = std::max(w.transfer, timing::share(t, e).on_engine);
    return w;
  }
  timing::Cost c = timing::cost(program.code, i, spec);
  w.occupancy = c.occupancy, w.latency = c.latency, w.prepare = c.prepare;
  // Of an instruction on a part of the array, its share of the whole.
  w.occupancy =
      std::max(w.occupancy, c.parts_busy * std::popcount(c.parts) / (timing::kArrayParts * timing::kArrayParts));
  w.table = timing::table_of(program.code, i);
  return w;
}

struct Budget;

// Memory is too tight for a tile at a place of the program; so it stays until some is given back, the program has
// passed the place, or the tile has begun for another instruction's sake.
struct Tight {
  Budget* budget = nullptr;
  uint32_t place = 0, tile = 0;
  uint64_t loosened = 0;  // of the budget when it was found
};

// An instruction that waits for memory, and may try again once the program has passed `place`.
struct Blocked {
  uint32_t place = 0;
  Tight found;  // when it was looked at last
};

// Memory of one kind that tiles take from their first to their last access in program order, and the instructions that
// wait for some, by age.
struct Budget {
  MemoryProfile profile;
  int64_t limit = 0;
  uint64_t loosened = 0;  // how often a tile has ended
  std::map<uint32_t, Blocked> blocked{};
};

// One in this many PSUM banks is for instructions in their own place: results of what ran ahead wait in the others, and
// a queue in which everything waits for a bank stands still (a quarter made attention 1.5 times as fast as none).
constexpr uint32_t kBanksKept = 4;

// Latencies of a transfer's start for which the DMA engines have work when another one is triggered.
constexpr Time kTransfersAhead = 2;

class Scheduler {
 public:
  Scheduler(const TileProgram& program, const Graph& graph, const std::vector<LiveRange>& ranges,
            const std::vector<Work>& work, const spec::ChipSpec& spec, const ScheduleOptions& options)
      : program_(program),
        graph_(graph),
        ranges_(ranges),
        work_(work),
        spec_(spec),
        window_(options.window),
        count_(static_cast<uint32_t>(program.code.code.size())),
        geometry_(geometry_of(spec.sbuf)),
        sbuf_{MemoryProfile(count_), 0},
        psum_{MemoryProfile(count_), spec.psum.banks - (overtaking() ? spec.psum.banks / kBanksKept : 0)} {
    sbuf_.limit = int64_t{geometry_.bytes} * quadrants() * options.sbuf_percent / 100;
    prepare();
  }

  Schedule run() {
    admit();
    while (out_.order.size() < count_) {
      Lane* best = nullptr;
      for (Lane& lane : lanes_) {
        refresh(lane);
        if (lane.candidate != kNone && (!best || lane.start < best->start)) best = &lane;
      }
      CHECK(best != nullptr, "the oldest instruction can always go on");
      issue(*best, best->candidate);
    }
    return std::move(out_);
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Lane {
    Time free = 0, previous = 0;
    int table = 0;
    std::vector<uint32_t> queue;  // all instructions of the lane, in program order
    size_t next = 0;
    // Instructions whose predecessors have been issued: those that could start by `free` by age, the rest by time.
    std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ready;
    std::priority_queue<std::pair<Time, uint32_t>, std::vector<std::pair<Time, uint32_t>>, std::greater<>> later;
    bool transfers = true;  // nothing else
    uint32_t candidate = kNone;
    Time start = 0;
    uint32_t asked = kNone;  // found to have memory when `tightened_` was `roomy_at`, or
    bool roomy = false;
    uint64_t roomy_at = 0;
    Tight tight;  // where there is none
  };

  int64_t quadrants() const { return geometry_.partitions / geometry_.quadrant_partitions; }
  int64_t size_of(const tile::Tile& tile) const {
    if (tile.memory == Memory::psum) return 1;
    int64_t bytes = (tile.bytes + kSbufAlignment - 1) / kSbufAlignment * kSbufAlignment;
    return bytes * __builtin_popcount(legal_masks(geometry_, tile.partitions).front());
  }
  Budget& budget_of(uint32_t t) { return program_.tiles[t].memory == Memory::psum ? psum_ : sbuf_; }

  void prepare() {
    successors_begin_.assign(count_ + 1, 0);
    for (const Edge& e : graph_.edges) ++successors_begin_[e.from + 1];
    for (uint32_t i = 0; i < count_; ++i) successors_begin_[i + 1] += successors_begin_[i];
    successors_.resize(graph_.edges.size());
    std::vector<uint32_t> at(successors_begin_.begin(), successors_begin_.end() - 1);
    for (uint32_t i = 0; i < count_; ++i) {
      missing_.push_back(static_cast<uint32_t>(graph_.before(i).size()));
      for (const Edge& e : graph_.before(i)) successors_[at[e.from]++] = i;
    }
    make_lanes();
    start_.resize(count_), ready_.resize(count_), issued_.resize(count_), admitted_.resize(count_);
    begun_.resize(program_.tiles.size()), accesses_left_.resize(program_.tiles.size());
    for (const isa::View& v : program_.code.views) {
      if (v.present() && v.memory != Memory::hbm) ++accesses_left_[v.base];
    }
    for (const tile::Tile& tile : program_.tiles) sizes_.push_back(size_of(tile));
    for (uint32_t t = 0; t < ranges_.size(); ++t) {
      if (ranges_[t].used()) budget_of(t).profile.add(ranges_[t].first, ranges_[t].last + 1, sizes_[t]);
    }
  }

  void make_lanes() {
    std::map<std::pair<isa::EngineKind, uint8_t>, uint32_t> numbers;
    for (const Instruction& i : program_.code.code) numbers[{i.engine, i.engine_index}] = 0;
    uint32_t number = 0;
    for (auto& [key, n] : numbers) n = number++;
    lanes_.resize(numbers.size());
    for (uint32_t i = 0; i < count_; ++i) {
      const Instruction& instruction = program_.code.code[i];
      lane_of_.push_back(numbers.find({instruction.engine, instruction.engine_index})->second);
      Lane& lane = lanes_[lane_of_[i]];
      lane.queue.push_back(i);
      lane.transfers = lane.transfers && work_[i].transfer > 0;
    }
  }

  bool overtaking() const { return window_ > 1; }

  // Instructions in the window become visible; those without open dependences can be issued.
  void admit() {
    while (first_ < count_ && issued_[first_]) ++first_;
    uint32_t end = overtaking() ? std::min(count_, first_ + window_) : count_;
    for (; admitted_end_ < end; ++admitted_end_) {
      admitted_[admitted_end_] = true;
      if (missing_[admitted_end_] == 0) offer(admitted_end_);
    }
    for (Budget* budget : {&sbuf_, &psum_}) retry(*budget);
  }

  // The oldest instructions that waited for memory may have it now.
  void retry(Budget& budget) {
    while (!budget.blocked.empty()) {
      auto oldest = budget.blocked.begin();
      Blocked& blocked = oldest->second;
      if (blocked.place >= first_) {
        if (still(blocked.found)) return;
        if (auto found = tight_place(oldest->first)) {
          blocked.found = *found;
          return;
        }
      }
      offer(oldest->first);
      budget.blocked.erase(oldest);
    }
  }

  void offer(uint32_t i) {
    Time ready = 0;
    for (const Edge& e : graph_.before(i)) {
      ready = std::max(ready, e.result ? complete_at(e.from) + spec_.semaphores.wake : start_[e.from]);
    }
    ready_[i] = ready;
    if (overtaking()) lanes_[lane_of_[i]].later.push({ready, i});
  }
  Time complete_at(uint32_t i) const { return ready_[i]; }  // once issued

  // The instruction that the lane would start next, and when.
  void refresh(Lane& l) {
    l.candidate = kNone;
    if (!overtaking()) {
      if (l.next == l.queue.size()) return;
      uint32_t i = l.queue[l.next];
      if (missing_[i] == 0 && has_room(l, i)) propose(l, i, ready_[i]);
      return;
    }
    const Time free = free_at(l);
    while (true) {
      while (!l.later.empty() && l.later.top().first <= free) {
        l.ready.push(l.later.top().second);
        l.later.pop();
      }
      bool now = !l.ready.empty();
      if (!now && l.later.empty()) return;
      uint32_t i = now ? l.ready.top() : l.later.top().second;
      Time ready = now ? free : l.later.top().first;
      if (has_room(l, i)) return propose(l, i, ready);
      l.tight.budget->blocked[i] = {l.tight.place, l.tight};
      now ? l.ready.pop() : l.later.pop();
    }
  }
  // A transfer that would only stand in line does not begin yet: an older one may be ready before its turn.
  Time free_at(const Lane& l) const {
    return l.transfers ? std::max(l.free, dma_free_ - kTransfersAhead * spec_.dma.start_latency_from_hbm) : l.free;
  }
  void propose(Lane& l, uint32_t i, Time ready) {
    l.candidate = i;
    l.start = std::max(l.free, std::max(ready, l.previous) + work_[i].prepare);
  }

  // Whether the tiles that `i` begins may live from here on; else l.tight says where not. Tiles that end and an older
  // first place only make room, tiles that begin only take it.
  bool has_room(Lane& l, uint32_t i) {
    if (l.asked == i && (l.roomy ? l.roomy_at == tightened_ : !overtaking() && still(l.tight))) return l.roomy;
    auto tight = tight_place(i);
    l.asked = i, l.roomy = !tight, l.roomy_at = tightened_;
    if (tight) l.tight = *tight;
    return l.roomy;
  }
  bool still(const Tight& t) const { return t.place >= first_ && t.loosened == t.budget->loosened && !begun_[t.tile]; }
  std::optional<Tight> tight_place(uint32_t i) {
    for (const isa::View& v : program_.code.operands(program_.code.code[i])) {
      if (!v.present() || v.memory == Memory::hbm || begun_[v.base]) continue;
      Budget& budget = budget_of(v.base);
      auto place = budget.profile.last_above(first_, ranges_[v.base].first, budget.limit - sizes_[v.base]);
      if (place) return Tight{&budget, *place, v.base, budget.loosened};
    }
    return std::nullopt;
  }

  void begin_tiles(uint32_t i) {
    for (const isa::View& v : program_.code.operands(program_.code.code[i])) {
      if (!v.present() || v.memory == Memory::hbm || begun_[v.base]) continue;
      begun_[v.base] = true;
      ++tightened_;
      budget_of(v.base).profile.add(first_, ranges_[v.base].first, sizes_[v.base]);
    }
  }
  void end_tiles(uint32_t i) {
    for (const isa::View& v : program_.code.operands(program_.code.code[i])) {
      if (!v.present() || v.memory == Memory::hbm || --accesses_left_[v.base] > 0) continue;
      Budget& budget = budget_of(v.base);
      budget.profile.add(first_, ranges_[v.base].last + 1, -sizes_[v.base]);
      ++budget.loosened;
      retry(budget);
    }
  }

  void issue(Lane& l, uint32_t i) {
    if (!overtaking()) {
      ++l.next;
    } else if (!l.ready.empty() && l.ready.top() == i) {
      l.ready.pop();
    } else {
      l.later.pop();
    }
    begin_tiles(i);
    const Work& w = work_[i];
    Time start = l.start;
    if (w.table != 0 && w.table != l.table) start += spec_.scalar.table_load, l.table = w.table;
    start_[i] = start;
    Time complete = start + w.latency;
    if (w.transfer > 0) {
      dma_free_ = std::max(dma_free_, start) + w.transfer;
      complete = std::max(complete, dma_free_);
    }
    ready_[i] = complete;
    l.previous = start, l.free = start + w.occupancy;
    issued_[i] = true;
    out_.order.push_back(i);
    out_.elapsed = std::max(out_.elapsed, complete);
    for (uint32_t s = successors_begin_[i]; s < successors_begin_[i + 1]; ++s) {
      uint32_t next = successors_[s];
      if (--missing_[next] == 0 && admitted_[next]) offer(next);
    }
    end_tiles(i);
    if (i == first_) admit();
  }

  const TileProgram& program_;
  const Graph& graph_;
  const std::vector<LiveRange>& ranges_;
  const std::vector<Work>& work_;
  const spec::ChipSpec& spec_;
  uint32_t window_ = 1, count_ = 0;
  Geometry geometry_;
  Budget sbuf_, psum_;
  std::vector<uint32_t> successors_begin_, successors_;
  std::vector<uint32_t> missing_;    // by instruction: predecessors not yet issued
  std::vector<Time> start_, ready_;  // ready_: before it is issued when it may start, then when it completes
  std::vector<bool> issued_, admitted_, begun_;
  std::vector<Lane> lanes_;              // by engine
  std::vector<uint32_t> lane_of_;        // by instruction
  std::vector<int64_t> sizes_;           // by tile
  std::vector<uint32_t> accesses_left_;  // by tile
  uint32_t first_ = 0, admitted_end_ = 0;
  uint64_t tightened_ = 0;  // how often tiles have begun: until one does, what had memory has it still
  Time dma_free_ = 0;
  Schedule out_;
};

}  // namespace

std::vector<Work> work_of(const TileProgram& program, const spec::ChipSpec& spec) {
  std::vector<Work> work;
  work.reserve(program.code.code.size());
  for (const Instruction& i : program.code.code) work.push_back(work_of(program, i, spec));
  return work;
}

Time least_elapsed(const TileProgram& program, const std::vector<Work>& work) {
  struct Sum {
    Time all = 0, largest = 0;
  };
  std::map<std::pair<isa::EngineKind, uint8_t>, Sum> engines;
  Time least = 0;
  for (size_t n = 0; n < work.size(); ++n) {
    Sum& sum = engines[{program.code.code[n].engine, program.code.code[n].engine_index}];
    sum.all += work[n].occupancy;
    sum.largest = std::max(sum.largest, work[n].occupancy);
    least += work[n].transfer;
  }
  for (const auto& [engine, sum] : engines) least = std::max(least, sum.all - sum.largest);
  return least;
}

Schedule schedule(const TileProgram& program, const Graph& graph, const std::vector<LiveRange>& ranges,
                  const std::vector<Work>& work, const spec::ChipSpec& spec, const ScheduleOptions& options) {
  return Scheduler(program, graph, ranges, work, spec, options).run();
}

TileProgram reordered(const TileProgram& program, const std::vector<uint32_t>& order) {
  TileProgram out = program;
  std::vector<uint32_t> place(order.size());
  for (uint32_t n = 0; n < order.size(); ++n) {
    out.code.code[n] = program.code.code[order[n]];
    place[order[n]] = n;
  }
  for (TileProgram::Order& o : out.order) o = {place[o.before], place[o.after]};
  return out;
}

}  // namespace presil::backend
