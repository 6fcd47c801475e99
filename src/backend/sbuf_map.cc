#include "backend/sbuf_map.h"

#include <algorithm>

#include "base/check.h"

namespace presil::backend {

Geometry geometry_of(const spec::SramSpec& memory) {
  Geometry g;
  g.partitions = memory.partitions;
  // Partition counts that do not divide by four have one legal start only.
  g.quadrant_partitions = memory.partitions % kQuadrants == 0 ? memory.partitions / kQuadrants : memory.partitions;
  g.bytes = static_cast<uint32_t>(memory.bytes_per_partition) / kSbufAlignment * kSbufAlignment;
  return g;
}

std::vector<QuadrantMask> legal_masks(const Geometry& g, uint32_t partitions) {
  auto quadrants = static_cast<uint32_t>((partitions + g.quadrant_partitions - 1) / g.quadrant_partitions);
  if (g.quadrant_partitions == g.partitions) return {1};
  if (quadrants == 1) return {0b0001, 0b0010, 0b0100, 0b1000};
  if (quadrants == 2) return {0b0011, 0b1100};
  return {static_cast<QuadrantMask>((1u << quadrants) - 1)};
}

uint32_t start_partition(const Geometry& g, QuadrantMask mask) {
  return static_cast<uint32_t>(__builtin_ctz(mask)) * g.quadrant_partitions;
}

QuadrantMask mask_of(const Geometry& g, uint32_t start, uint32_t partitions) {
  uint32_t first = start / g.quadrant_partitions, last = (start + partitions - 1) / g.quadrant_partitions;
  return static_cast<QuadrantMask>((1u << (last + 1)) - (1u << first));
}

SbufMap::SbufMap(uint32_t bytes) { segments_.push_back({.begin = 0, .end = bytes}); }

// Windows over the segments as one mask of quadrants sees them: when each was freed last.
struct SbufMap::Search {
  const std::vector<Segment>& segments;
  const Request& request;
  std::vector<int64_t>& freed;  // by segment
  std::optional<Spot> best{};
  int64_t best_age = kLive - 1;

  void look_through(QuadrantMask mask) {
    std::array<int64_t, kQuadrants> outside{};  // all bits: makes -1 of whatever another quadrant says
    for (size_t q = 0; q < kQuadrants; ++q) outside[q] = mask >> q & 1 ? 0 : -1;
    freed.resize(segments.size());
    for (size_t i = 0; i < segments.size(); ++i) {
      int64_t newest = -1;
      for (size_t q = 0; q < kQuadrants; ++q) newest = std::max(newest, segments[i].cells[q].freed | outside[q]);
      freed[i] = newest;
    }
  }

  // Looks at the window that starts at `begin`, whose first byte lies in segment `first`. Returns the last segment
  // known to rule out every window that covers it: one that is held, or has been free for less time than the best.
  std::optional<size_t> consider(QuadrantMask mask, uint32_t begin, size_t first) {
    uint64_t end = uint64_t{begin} + request.bytes;
    if (end > segments.back().end) return segments.size() - 1;
    int64_t newest = -1;
    for (size_t i = first; i < segments.size() && segments[i].begin < end; ++i) {
      newest = std::max(newest, freed[i]);
      if (newest > best_age) return i;
    }
    Spot spot{mask, begin, request.bytes};
    bool better = newest < best_age || !best || (request.from_top ? begin > best->offset : begin < best->offset);
    if (!better) return std::nullopt;
    bool blocked = std::any_of(request.blocked.begin(), request.blocked.end(),
                               [&](const Spot& other) { return spot.meets(other); });
    if (!blocked) best = spot, best_age = newest;
    return std::nullopt;
  }
};

std::optional<Spot> SbufMap::find(const Request& request) const {
  Search search{segments_, request, scratch_};
  auto aligned = [](uint32_t offset) { return (offset + kSbufAlignment - 1) / kSbufAlignment * kSbufAlignment; };
  auto segment_at = [&](uint32_t offset) {
    auto after = std::upper_bound(segments_.begin(), segments_.end(), offset,
                                  [](uint32_t o, const Segment& s) { return o < s.begin; });
    return static_cast<size_t>(after - segments_.begin()) - 1;
  };
  for (QuadrantMask mask : request.masks) {
    search.look_through(mask);
    for (size_t i = 0; i < segments_.size(); ++i) {
      if (search.freed[i] > search.best_age) continue;
      uint32_t begin = aligned(segments_[i].begin);
      if (begin < segments_[i].end) i = search.consider(mask, begin, i).value_or(i);
    }
    for (size_t i = 0; request.from_top && i < segments_.size(); ++i) {
      if (segments_[i].end < request.bytes || search.freed[i] > search.best_age) continue;
      uint32_t begin = (segments_[i].end - request.bytes) / kSbufAlignment * kSbufAlignment;
      search.consider(mask, begin, segment_at(begin));
    }
    for (const Spot& blocked : request.blocked) {
      uint32_t begin = aligned(blocked.offset + blocked.bytes);
      if (begin < segments_.back().end) search.consider(mask, begin, segment_at(begin));
    }
  }
  return search.best;
}

size_t SbufMap::split(uint32_t offset) {
  auto at = std::lower_bound(segments_.begin(), segments_.end(), offset,
                             [](const Segment& s, uint32_t o) { return s.begin < o; });
  if (at != segments_.end() && at->begin == offset) return static_cast<size_t>(at - segments_.begin());
  if (offset >= segments_.back().end) return segments_.size();
  --at;
  Segment tail = *at;
  at->end = offset, tail.begin = offset;
  at = segments_.insert(at + 1, tail);
  return static_cast<size_t>(at - segments_.begin());
}

// Joins equal neighbours among [first, last] and the two beside them.
void SbufMap::merge(size_t first, size_t last) {
  size_t from = first > 0 ? first - 1 : 0, to = std::min(last + 1, segments_.size());
  size_t out = from;
  for (size_t i = from + 1; i < to; ++i) {
    if (segments_[i].cells == segments_[out].cells) {
      segments_[out].end = segments_[i].end;
    } else {
      segments_[++out] = segments_[i];
    }
  }
  segments_.erase(segments_.begin() + static_cast<ptrdiff_t>(out) + 1, segments_.begin() + static_cast<ptrdiff_t>(to));
}

std::vector<uint32_t> SbufMap::occupy(const Spot& spot, uint32_t tile) {
  size_t first = split(spot.offset), last = split(spot.offset + spot.bytes);
  std::vector<uint32_t> previous;
  for (size_t i = first; i < last; ++i) {
    for (size_t q = 0; q < kQuadrants; ++q) {
      if (!(spot.mask >> q & 1)) continue;
      Cell& cell = segments_[i].cells[q];
      CHECK(cell.freed != kLive, "two live tiles in one place");
      if (cell.tile != kNoTile) previous.push_back(cell.tile);
      cell = {tile, kLive};
    }
  }
  merge(first, last);
  std::sort(previous.begin(), previous.end());
  previous.erase(std::unique(previous.begin(), previous.end()), previous.end());
  return previous;
}

void SbufMap::release(const Spot& spot, uint32_t now) {
  size_t first = split(spot.offset), last = split(spot.offset + spot.bytes);
  for (size_t i = first; i < last; ++i) {
    for (size_t q = 0; q < kQuadrants; ++q) {
      if (spot.mask >> q & 1) segments_[i].cells[q].freed = now;
    }
  }
  merge(first, last);
}

}  // namespace presil::backend
