#include "backend/place.h"

#include <algorithm>

#include "backend/sbuf_map.h"

namespace presil::backend {
namespace {

using isa::Memory;
using tile::Tile;

constexpr int kAttemptsMax = 6;
constexpr uint32_t kTimeBuckets = 256;
constexpr uint32_t kShuffleBlock = 32;  // partitions that nc_stream_shuffle works on; a quadrant of 128

struct Plan {
  const tile::TileProgram& program;
  const std::vector<LiveRange>& ranges;
  Geometry geometry;
  std::vector<uint32_t> tiles;  // used SBUF tiles, by first instruction
  std::vector<uint32_t> ends;   // the same, by last instruction
  std::vector<bool> packed;     // by tile: placed before the walk
  std::vector<Spot> spots;      // by tile
  std::vector<bool> shuffled;   // by tile: in blocks of kShuffleBlock partitions

  uint32_t bytes(uint32_t t) const {
    return (program.tiles[t].bytes + kSbufAlignment - 1) / kSbufAlignment * kSbufAlignment;
  }
  std::vector<QuadrantMask> masks(uint32_t t) const {
    const Tile& tile = program.tiles[t];
    if (tile.fixed_partition) return {mask_of(geometry, *tile.fixed_partition, tile.partitions)};
    std::vector<QuadrantMask> legal = legal_masks(geometry, tile.partitions);
    if (shuffled[t])
      std::erase_if(legal, [&](QuadrantMask m) { return start_partition(geometry, m) % kShuffleBlock != 0; });
    return legal;
  }
  // Bytes times quadrants.
  uint64_t footprint(uint32_t t) const {
    return uint64_t{bytes(t)} * static_cast<uint64_t>(__builtin_popcount(masks(t).front()));
  }
  bool fixed(uint32_t t) const { return program.tiles[t].fixed_offset || program.tiles[t].fixed_partition; }
};

Plan plan_of(const tile::TileProgram& program, const std::vector<LiveRange>& ranges, const spec::ChipSpec& spec) {
  Plan plan{program, ranges, geometry_of(spec.sbuf), {}, {}, {}, {}, {}};
  for (uint32_t t = 0; t < program.tiles.size(); ++t) {
    if (program.tiles[t].memory == Memory::sbuf && ranges[t].used()) plan.tiles.push_back(t);
  }
  plan.ends = plan.tiles;
  std::stable_sort(plan.tiles.begin(), plan.tiles.end(), [&](uint32_t a, uint32_t b) {
    return ranges[a].first != ranges[b].first ? ranges[a].first < ranges[b].first
                                              : program.tiles[a].bytes > program.tiles[b].bytes;
  });
  std::stable_sort(plan.ends.begin(), plan.ends.end(),
                   [&](uint32_t a, uint32_t b) { return ranges[a].last < ranges[b].last; });
  plan.shuffled.assign(program.tiles.size(), false);
  for (const isa::Instruction& i : program.code.code) {
    for (const isa::View& v : program.code.operands(i)) {
      const bool on_tile = v.memory == Memory::sbuf && i.opcode == isa::Opcode::nc_stream_shuffle;
      if (on_tile) plan.shuffled[v.base] = true;
    }
  }
  plan.packed.assign(program.tiles.size(), false);
  for (uint32_t t : plan.tiles) plan.packed[t] = plan.fixed(t);
  plan.spots.resize(program.tiles.size());
  return plan;
}

// Tiles already placed, by the part of the program in which they live.
class Timeline {
 public:
  Timeline(const Plan& plan) : plan_(plan), buckets_(kTimeBuckets) {}
  void add(uint32_t t) {
    for (uint32_t b = bucket(plan_.ranges[t].first); b <= bucket(plan_.ranges[t].last); ++b) buckets_[b].push_back(t);
  }
  // Spots of tiles that live at the same time as `range`; `from_now`: only of those that begin no earlier.
  std::vector<Spot> spots(const LiveRange& range, bool from_now) const {
    std::vector<Spot> out;
    for (uint32_t b = bucket(range.first); b <= bucket(range.last); ++b) {
      for (uint32_t t : buckets_[b]) {
        const LiveRange& other = plan_.ranges[t];
        bool seen = b > std::max(bucket(other.first), bucket(range.first));
        if (!seen && other.meets(range) && (!from_now || other.first >= range.first)) out.push_back(plan_.spots[t]);
      }
    }
    return out;
  }

 private:
  uint32_t bucket(uint32_t instruction) const {
    return static_cast<uint32_t>(uint64_t{instruction} * kTimeBuckets / plan_.program.code.code.size());
  }
  const Plan& plan_;
  std::vector<std::vector<uint32_t>> buckets_;
};

// The lowest offset at which `bytes` in the quadrants of `mask` avoid all spots.
std::optional<Spot> lowest_gap(const Plan& plan, QuadrantMask mask, uint32_t bytes, std::vector<Spot>& spots) {
  std::sort(spots.begin(), spots.end(), [](const Spot& a, const Spot& b) { return a.offset < b.offset; });
  uint64_t offset = 0;
  for (const Spot& s : spots) {
    if (!(s.mask & mask)) continue;
    if (offset + bytes <= s.offset) break;
    offset = std::max<uint64_t>(offset,
                                (uint64_t{s.offset} + s.bytes + kSbufAlignment - 1) / kSbufAlignment * kSbufAlignment);
  }
  if (offset + bytes > plan.geometry.bytes) return std::nullopt;
  return Spot{mask, static_cast<uint32_t>(offset), bytes};
}

std::optional<Spot> packed_spot(const Plan& plan, uint32_t t, std::vector<Spot> others) {
  std::optional<Spot> best;
  for (QuadrantMask mask : plan.masks(t)) {
    std::optional<Spot> spot;
    if (const auto& offset = plan.program.tiles[t].fixed_offset) {
      Spot fixed{mask, *offset, plan.program.tiles[t].bytes};
      bool free = std::none_of(others.begin(), others.end(), [&](const Spot& s) { return s.meets(fixed); });
      if (free && uint64_t{*offset} + fixed.bytes <= plan.geometry.bytes) spot = fixed;
    } else {
      spot = lowest_gap(plan, mask, plan.bytes(t), others);
    }
    if (spot && (!best || spot->offset < best->offset)) best = spot;
  }
  return best;
}

// Places the packed tiles without regard to order in time: fixed ones, then by footprint, the largest first.
std::optional<Misfit> pack(Plan& plan, Timeline& timeline) {
  std::vector<uint32_t> order;
  for (uint32_t t : plan.tiles) {
    if (plan.packed[t]) order.push_back(t);
  }
  auto rank = [&](uint32_t t) {
    const Tile& tile = plan.program.tiles[t];
    return tile.fixed_offset ? UINT64_MAX : tile.fixed_partition ? UINT64_MAX - 1 : plan.footprint(t);
  };
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return rank(a) > rank(b); });
  for (uint32_t t : order) {
    std::optional<Spot> spot = packed_spot(plan, t, timeline.spots(plan.ranges[t], false));
    if (!spot) return Misfit{t, plan.ranges[t].first};
    plan.spots[t] = *spot;
    timeline.add(t);
  }
  return std::nullopt;
}

// One walk through the program: frees what has ended, places what begins.
std::optional<Misfit> walk(Plan& plan, const Timeline& packed, Placement& placement) {
  SbufMap map(plan.geometry.bytes);
  size_t ended = 0;
  for (uint32_t t : plan.tiles) {
    const LiveRange& range = plan.ranges[t];
    for (; plan.ranges[plan.ends[ended]].last < range.first; ++ended) {
      uint32_t gone = plan.ends[ended];
      map.release(plan.spots[gone], plan.ranges[gone].last);
    }
    if (!plan.packed[t]) {
      std::vector<Spot> blocked = packed.spots(range, true);
      std::vector<QuadrantMask> masks = plan.masks(t);
      bool from_top = plan.bytes(t) <= plan.geometry.bytes / 128;
      std::optional<Spot> spot = map.find({plan.bytes(t), masks, blocked, from_top});
      if (!spot) return Misfit{t, range.first};
      plan.spots[t] = *spot;
    }
    placement.places[t] = {start_partition(plan.geometry, plan.spots[t].mask), plan.spots[t].offset,
                           map.occupy(plan.spots[t], t)};
    if (plan.program.tiles[t].fixed_partition) placement.places[t].partition = *plan.program.tiles[t].fixed_partition;
  }
  return std::nullopt;
}

// Decides which tiles to pack after `misfit` found no room: first large ones that live at that point, in the end all.
void pack_more(Plan& plan, const Misfit& misfit, int attempt) {
  uint64_t size = plan.footprint(misfit.tile);
  for (uint32_t t : plan.tiles) {
    const LiveRange& r = plan.ranges[t];
    bool here = r.first <= misfit.instruction && misfit.instruction <= r.last;
    bool pick = attempt < 2 ? here && plan.footprint(t) >= size / 2 : plan.footprint(t) >= size >> (2 * (attempt - 2));
    if (pick || t == misfit.tile || attempt == kAttemptsMax - 2) plan.packed[t] = true;
  }
}

// The first point at which the live tiles are larger than SBUF, however they are laid out.
std::optional<Misfit> overfull(const Plan& plan) {
  uint64_t room = uint64_t{plan.geometry.bytes} * (plan.geometry.partitions / plan.geometry.quadrant_partitions);
  uint64_t used = 0;
  size_t ended = 0;
  for (uint32_t t : plan.tiles) {
    uint32_t now = plan.ranges[t].first;
    for (; plan.ranges[plan.ends[ended]].last < now; ++ended) used -= plan.footprint(plan.ends[ended]);
    used += plan.footprint(t);
    if (used > room) return Misfit{t, now};
  }
  return std::nullopt;
}

}  // namespace

void place_sbuf(const tile::TileProgram& program, const std::vector<LiveRange>& ranges, const spec::ChipSpec& spec,
                Placement& placement) {
  placement.places.resize(program.tiles.size());
  placement.misfit.reset();
  Plan plan = plan_of(program, ranges, spec);
  placement.misfit = overfull(plan);
  if (placement.misfit) return;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    Timeline timeline(plan);
    placement.misfit = pack(plan, timeline);
    if (placement.misfit) return;
    placement.misfit = walk(plan, timeline, placement);
    if (!placement.misfit) return;
    pack_more(plan, *placement.misfit, attempt);
  }
}

void place_psum(const tile::TileProgram& program, const std::vector<LiveRange>& ranges, const spec::ChipSpec& spec,
                Placement& placement) {
  struct Bank {
    uint32_t tile = kNoTile;
    int64_t busy_until = -1;  // last instruction of its tile
  };
  placement.places.resize(program.tiles.size());
  placement.misfit.reset();
  std::vector<Bank> banks(std::max(1u, spec.psum.banks));
  auto bank_bytes = static_cast<uint32_t>(spec.psum.bytes_per_partition / banks.size());
  std::vector<uint32_t> tiles;
  for (uint32_t t = 0; t < program.tiles.size(); ++t) {
    if (program.tiles[t].memory == Memory::psum && ranges[t].used()) tiles.push_back(t);
  }
  std::stable_sort(tiles.begin(), tiles.end(),
                   [&](uint32_t a, uint32_t b) { return ranges[a].first < ranges[b].first; });
  auto fixed_bank = [&](uint32_t t) {
    return std::min<size_t>(*program.tiles[t].fixed_offset / bank_bytes, banks.size() - 1);
  };
  std::vector<std::vector<uint32_t>> reserved(banks.size());
  for (uint32_t t : tiles) {
    if (program.tiles[t].fixed_offset) reserved[fixed_bank(t)].push_back(t);
  }
  auto free_for = [&](size_t b, uint32_t t) {
    return banks[b].busy_until < ranges[t].first &&
           std::none_of(reserved[b].begin(), reserved[b].end(),
                        [&](uint32_t r) { return r != t && ranges[r].meets(ranges[t]); });
  };
  for (uint32_t t : tiles) {
    const Tile& tile = program.tiles[t];
    std::optional<size_t> best;
    for (size_t b = 0; b < banks.size(); ++b) {
      bool allowed = !tile.fixed_offset || fixed_bank(t) == b;
      if (allowed && free_for(b, t) && (!best || banks[b].busy_until < banks[*best].busy_until)) best = b;
    }
    if (!best) {
      placement.misfit = Misfit{t, ranges[t].first};
      return;
    }
    Bank& bank = banks[*best];
    uint32_t offset = tile.fixed_offset.value_or(static_cast<uint32_t>(*best) * bank_bytes);
    placement.places[t] = {tile.fixed_partition.value_or(0), offset, {}};
    if (bank.tile != kNoTile) placement.places[t].previous = {bank.tile};
    bank = {t, ranges[t].last};
  }
}

}  // namespace presil::backend
