// The exact union of what a set of views covers in a tile, as few strided rectangles.
#pragma once
#include <span>
#include <vector>

#include "isa/view.h"

namespace presil::backend {

// `count` runs of `run` bytes, `stride` bytes apart, from byte `offset` of each of `partitions` partitions.
struct Region {
  uint32_t partition = 0, partitions = 1;
  int64_t offset = 0, run = 0, stride = 0;
  uint32_t count = 1;
  bool operator==(const Region&) const = default;
};

// Views of one tile; regions are disjoint and ordered.
std::vector<Region> union_of(std::span<const isa::View> views);

}  // namespace presil::backend
