#include "backend/weave.h"

#include <algorithm>
#include <array>

#include "backend/liveness.h"
#include "backend/queues.h"
#include "backend/sbuf_map.h"

namespace presil::backend {
namespace {

using isa::EngineKind;

constexpr size_t kEngines = isa::kEngineKindCount;
constexpr size_t kTensor = static_cast<size_t>(EngineKind::tensor);

// Layers that may be under way at once: more of them hold more memory.
constexpr size_t kLayersMax = 6;
// Percent of SBUF that may be taken where a younger layer begins a tile; the rest is for the oldest to go on, and for
// the gaps between tiles (assumed).
constexpr int64_t kSbufPercentMax = 75;
// Units of a layer that may overtake one another (assumed).
constexpr size_t kAhead = 16;
// An engine may be behind the tensor engine by this before units that need it have to wait: about what PSUM can hold
// (assumed).
constexpr Time kBehindMax = 1'500 * kNanosecond;

struct Unit {
  uint32_t first = 0, last = 0;  // instructions
  uint32_t layer = 0;
  std::array<Time, kEngines> busy{};
  std::vector<uint32_t> before;  // units
  std::vector<uint32_t> tiles;   // of SBUF that it accesses, once for each access
  Time done = 0;                 // once it has its turn

  // How much work of other engines it brings for each piece of the tensor engine's.
  double weight() const {
    Time other = 0;
    for (size_t e = 0; e < kEngines; ++e) other = e == kTensor ? other : std::max(other, busy[e]);
    return static_cast<double>(other) / static_cast<double>(std::max<Time>(1, busy[kTensor]));
  }
};

uint32_t layer_at(const tile::TileProgram& program, uint32_t i) {
  const uint32_t source = program.code.code[i].source;
  return source == isa::kNoSource ? 0 : program.sources[source].layer;
}

std::vector<Unit> units_of(const tile::TileProgram& program, const std::vector<Work>& work) {
  const auto count = static_cast<uint32_t>(program.code.code.size());
  std::vector<int32_t> change(count + 1, 0);  // of the number of live PSUM tiles, behind each instruction
  const std::vector<LiveRange> ranges = live_ranges(program);
  for (uint32_t t = 0; t < ranges.size(); ++t) {
    if (program.tiles[t].memory != isa::Memory::psum || !ranges[t].used()) continue;
    ++change[ranges[t].first], --change[ranges[t].last];
  }
  std::vector<Unit> units;
  Unit unit;
  int32_t live = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const isa::Instruction& instruction = program.code.code[i];
    live += change[i];
    if (!is_dma(instruction)) unit.busy[static_cast<size_t>(instruction.engine)] += work[i].occupancy;
    for (const isa::View& v : program.code.operands(instruction)) {
      if (v.present() && v.memory == isa::Memory::sbuf) unit.tiles.push_back(v.base);
    }
    const bool ends = i + 1 == count || layer_at(program, i + 1) != layer_at(program, i);
    if (live > 0 || !(ends || unit.busy[kTensor] > 0)) continue;
    unit.last = i + 1, unit.layer = layer_at(program, i);
    std::ranges::sort(unit.tiles);
    units.push_back(std::move(unit));
    unit = Unit{.first = i + 1};
  }
  return units;
}

class Weaver {
 public:
  Weaver(const tile::TileProgram& program, const Graph& graph, const std::vector<Work>& work,
         const spec::ChipSpec& spec)
      : program_(program), graph_(graph), work_(work), spec_(spec), units_(units_of(program, work)) {}

  struct Result {
    std::vector<uint32_t> order;
    Time elapsed = 0;
  };
  // With so many layers under way at once.
  Result run(size_t layers) {
    layers_ = layers;
    start();
    while (first_ < lanes_.size()) {
      const auto [lane, at] = best();
      take(lanes_[lane][at]);
      lanes_[lane].erase(lanes_[lane].begin() + static_cast<std::ptrdiff_t>(at));
      while (first_ < lanes_.size() && lanes_[first_].empty()) ++first_;
    }
    return {std::move(order_), std::ranges::max(clock_)};
  }

 private:
  void start() {
    find_dependences();
    complete_.resize(program_.code.code.size());
    for (uint32_t u = 0; u < units_.size(); ++u) {
      if (lanes_.empty() || units_[lanes_.back().back()].layer != units_[u].layer) lanes_.emplace_back();
      lanes_.back().push_back(u);
    }
    given_.resize(units_.size());
    accesses_.resize(program_.tiles.size()), begun_.resize(program_.tiles.size());
    for (const isa::View& v : program_.code.views) {
      if (v.present() && v.memory == isa::Memory::sbuf) ++accesses_[v.base];
    }
    limit_ = int64_t{geometry_.bytes} * (geometry_.partitions / geometry_.quadrant_partitions) * kSbufPercentMax / 100;
  }

  void find_dependences() {
    std::vector<uint32_t> unit_at(program_.code.code.size());
    for (uint32_t u = 0; u < units_.size(); ++u)
      std::fill(unit_at.begin() + units_[u].first, unit_at.begin() + units_[u].last, u);
    for (uint32_t u = 0; u < units_.size(); ++u) {
      std::vector<uint32_t>& before = units_[u].before;
      for (uint32_t i = units_[u].first; i < units_[u].last; ++i) {
        for (const Edge& e : graph_.before(i)) {
          if (unit_at[e.from] != u) before.push_back(unit_at[e.from]);
        }
      }
      std::ranges::sort(before);
      before.erase(std::unique(before.begin(), before.end()), before.end());
    }
  }

  // When unit u could begin: its operands are there and no engine that it needs is too far behind.
  Time begin_of(const Unit& unit) const {
    Time begin = clock_[kTensor];
    for (uint32_t b : unit.before) begin = std::max(begin, units_[b].done);
    for (size_t e = 0; e < kEngines; ++e) {
      if (unit.busy[e] > 0) begin = std::max(begin, clock_[e] - kBehindMax);
    }
    return begin;
  }

  // The lane whose next unit can begin first; of several the one with most to do for other engines, and then the
  // oldest.
  std::pair<size_t, size_t> best() const {
    std::pair<size_t, size_t> found{first_, 0};
    Time earliest = INT64_MAX;
    double weight = 0;
    for (size_t l = first_; l < std::min(lanes_.size(), first_ + layers_); ++l) {
      for (size_t at = 0; at < std::min(kAhead, lanes_[l].size()); ++at) {
        const Unit& unit = units_[lanes_[l][at]];
        if (!std::ranges::all_of(unit.before, [&](uint32_t b) { return given_[b]; })) continue;
        if (l != first_ && taken_ + new_bytes(unit) > limit_) continue;
        const Time begin = begin_of(unit);
        if (begin > earliest || (begin == earliest && unit.weight() <= weight)) continue;
        found = {l, at}, earliest = begin, weight = unit.weight();
      }
    }
    return found;
  }

  void take(uint32_t u) {
    Unit& unit = units_[u];
    const Time begin = begin_of(unit);
    for (size_t e = 0; e < kEngines; ++e) {
      if (unit.busy[e] > 0) clock_[e] = std::max(clock_[e], begin) + unit.busy[e];
    }
    clock_[kTensor] = std::max(clock_[kTensor], begin);
    unit.done = begin;
    for (uint32_t i = unit.first; i < unit.last; ++i) {
      Time start = begin;
      for (const Edge& e : graph_.before(i)) {
        if (e.result && e.from >= unit.first) start = std::max(start, complete_[e.from] + spec_.semaphores.wake);
      }
      if (is_dma(program_.code.code[i])) {  // taken to have been begun in time
        complete_[i] = start;
      } else {
        complete_[i] = start + work_[i].latency;
        unit.done = std::max(unit.done, complete_[i]);
      }
      order_.push_back(i);
    }
    for (size_t e = 0; e < kEngines; ++e) {
      if (unit.busy[e] > 0) unit.done = std::max(unit.done, clock_[e]);
    }
    given_[u] = true;
    for (uint32_t t : unit.tiles) {
      if (!begun_[t]) begun_[t] = true, taken_ += bytes_of(t);
      if (--accesses_[t] == 0) taken_ -= bytes_of(t);
    }
  }

  int64_t bytes_of(uint32_t t) const {
    const tile::Tile& tile = program_.tiles[t];
    const int64_t bytes = (tile.bytes + kSbufAlignment - 1) / kSbufAlignment * kSbufAlignment;
    return bytes * __builtin_popcount(legal_masks(geometry_, tile.partitions).front());
  }
  int64_t new_bytes(const Unit& unit) const {
    int64_t bytes = 0;
    for (size_t n = 0; n < unit.tiles.size(); ++n) {
      const uint32_t t = unit.tiles[n];
      if (!begun_[t] && (n == 0 || unit.tiles[n - 1] != t)) bytes += bytes_of(t);
    }
    return bytes;
  }

  const tile::TileProgram& program_;
  const Graph& graph_;
  const std::vector<Work>& work_;
  const spec::ChipSpec& spec_;
  std::vector<Unit> units_;
  std::vector<std::vector<uint32_t>> lanes_;  // units of a layer
  std::vector<bool> given_;                   // by unit
  std::vector<Time> complete_;                // by instruction
  std::array<Time, kEngines> clock_{};
  Geometry geometry_ = geometry_of(spec_.sbuf);
  std::vector<uint32_t> accesses_;  // yet to come, by tile
  std::vector<bool> begun_;         // by tile
  int64_t taken_ = 0, limit_ = 0;   // bytes of SBUF, over all quadrants
  size_t layers_ = 1, first_ = 0;   // lanes: at once, and the first that is not done
  std::vector<uint32_t> order_;
};

}  // namespace

Woven weave(const tile::TileProgram& program, const Graph& graph, const std::vector<Work>& work,
            const spec::ChipSpec& spec) {
  Weaver::Result woven = Weaver(program, graph, work, spec).run(kLayersMax);
  const Time alone = Weaver(program, graph, work, spec).run(1).elapsed;
  return {std::move(woven.order), woven.elapsed, alone};
}

}  // namespace presil::backend
