// Two patterns meet if a start of A minus a start of B lies in (-run_A, run_B), where a run is the innermost contiguous
// piece. The difference is delta + sum of stride_k * z_k with each z_k in an interval: equal strides of A and B become
// one term. A search over strides, largest first, leaves few z_k per term because the rest must bridge the gap.
#include "backend/overlap.h"

#include <algorithm>
#include <array>

namespace presil::backend {
namespace {

constexpr int kEffortMax = 2000;  // nodes of the search

struct Term {
  int64_t stride = 0, low = 0, high = 0;  // stride > 0
};

struct Pattern {
  std::array<Term, isa::kMaxRank> terms{};
  int count = 0;
  int64_t offset = 0, run = 0;
};

// Offsets of runs, strides positive and descending, contiguous or overlapping inner dims merged into the run.
Pattern pattern_of(const isa::View& view) {
  Pattern p;
  const auto size = static_cast<int64_t>(dtype_bytes(view.dtype));
  p.offset = view.offset, p.run = size;
  for (const isa::Dim& dim : view.pattern()) {
    int64_t stride = dim.step * size;
    if (stride == 0 || dim.count <= 1) continue;
    if (stride < 0) p.offset += stride * (dim.count - 1), stride = -stride;
    size_t at = static_cast<size_t>(p.count++);
    for (; at > 0 && p.terms[at - 1].stride < stride; --at) p.terms[at] = p.terms[at - 1];
    p.terms[at] = {stride, 0, dim.count - 1};
  }
  while (p.count > 0 && p.terms[static_cast<size_t>(p.count - 1)].stride <= p.run) {
    const Term& inner = p.terms[static_cast<size_t>(--p.count)];
    p.run += inner.stride * inner.high;
  }
  return p;
}

struct Search {
  std::array<Term, 2 * isa::kMaxRank> terms{};
  std::array<int64_t, 2 * isa::kMaxRank + 1> rest_low{}, rest_high{};  // reach of terms k and later
  int count = 0;
  int64_t low = 0, high = 0;  // open interval that the difference must hit
  int effort = 0;

  bool reaches(int k, int64_t value) {
    if (++effort > kEffortMax) return true;
    auto i = static_cast<size_t>(k);
    if (value + rest_low[i] >= high || value + rest_high[i] <= low) return false;
    if (k == count) return true;
    const Term& t = terms[i];
    // low < value + stride * z + rest < high for some rest in its reach.
    int64_t z_low = divide_down(low - value - rest_high[i + 1], t.stride) + 1;
    int64_t z_high = -(divide_down(value + rest_low[i + 1] - high, t.stride) + 1);
    for (int64_t z = std::max(t.low, z_low); z <= std::min(t.high, z_high); ++z) {
      if (reaches(k + 1, value + t.stride * z)) return true;
    }
    return false;
  }
  static int64_t divide_down(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
};

Search search_of(const Pattern& a, const Pattern& b) {
  Search s;
  s.low = -a.run, s.high = b.run;
  int i = 0, j = 0;
  while (i < a.count || j < b.count) {
    const Term* x = i < a.count ? &a.terms[static_cast<size_t>(i)] : nullptr;
    const Term* y = j < b.count ? &b.terms[static_cast<size_t>(j)] : nullptr;
    Term t;
    bool take_a = x && (!y || x->stride >= y->stride), take_b = y && (!x || y->stride >= x->stride);
    if (take_a) t = *x, ++i;
    if (take_b) t.stride = y->stride, t.low -= y->high, ++j;
    s.terms[static_cast<size_t>(s.count++)] = t;
  }
  for (int k = s.count - 1; k >= 0; --k) {
    auto n = static_cast<size_t>(k);
    s.rest_low[n] = s.rest_low[n + 1] + s.terms[n].stride * s.terms[n].low;
    s.rest_high[n] = s.rest_high[n + 1] + s.terms[n].stride * s.terms[n].high;
  }
  return s;
}

}  // namespace

Extent extent_of(const isa::View& view) {
  isa::ByteRange range = isa::byte_range(view);
  Extent e{view.partition, static_cast<uint32_t>(view.partition) + view.partitions, range.begin, range.end, false};
  if (view.memory == isa::Memory::hbm) e.partition_begin = 0, e.partition_end = 1;
  Pattern p = pattern_of(view);
  e.dense = p.count == 0;
  return e;
}

bool overlap(const isa::View& a, const isa::View& b) {
  Pattern x = pattern_of(a), y = pattern_of(b);
  return search_of(x, y).reaches(0, x.offset - y.offset);
}

}  // namespace presil::backend
