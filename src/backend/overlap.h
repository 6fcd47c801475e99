// Do two views of the same tile or tensor touch a common byte?
#pragma once
#include "isa/view.h"

namespace presil::backend {

// What a view touches, for fast tests: partitions [partition_begin, partition_end), bytes [begin, end) of each, all of
// them if dense.
struct Extent {
  uint32_t partition_begin = 0, partition_end = 0;
  int64_t begin = 0, end = 0;
  bool dense = false;

  bool meets(const Extent& o) const {
    return begin < o.end && o.begin < end && partition_begin < o.partition_end && o.partition_begin < partition_end;
  }
  bool contains(const Extent& o) const {
    return begin <= o.begin && o.end <= end && partition_begin <= o.partition_begin && o.partition_end <= partition_end;
  }
};
Extent extent_of(const isa::View& view);

// Exact for strided patterns; beyond a bounded effort the answer is true. Both views have the same base.
bool overlap(const isa::View& a, const isa::View& b);

}  // namespace presil::backend
