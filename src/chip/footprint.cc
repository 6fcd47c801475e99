#include "chip/footprint.h"

#include <algorithm>

#include "base/check.h"

namespace presil::chip {
namespace {

// The part of a pattern from some level inwards.
struct Part {
  const Shape* shape = nullptr;
  int level = 0;
  int64_t begin = 0, extent = 0;

  bool is_run() const { return level == shape->rank; }
  const Stride& stride() const { return shape->strides[static_cast<size_t>(level)]; }
  Part inner(int64_t at) const { return {shape, level + 1, at, extent - stride().step * (stride().count - 1)}; }
};

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0)); }

// The integers k with low <= k <= high.
struct Range {
  int64_t low = 0, high = -1;
};

// k for which [begin + k * step, + extent) meets [other, + other_extent), among first..last.
Range meeting(int64_t begin, int64_t extent, int64_t step, int64_t other, int64_t other_extent, int64_t first,
              int64_t last) {
  int64_t low = floor_div(other - begin - extent, step) + 1;         // end beyond other's begin
  int64_t high = floor_div(other + other_extent - begin - 1, step);  // begin before other's end
  return {std::max(low, first), std::min(high, last)};
}

bool parts_overlap(const Part& a, const Part& b) {
  if (a.begin >= b.begin + b.extent || b.begin >= a.begin + a.extent) return false;
  if (a.is_run() && b.is_run()) return true;
  if (!a.is_run() && !b.is_run() && a.stride().step == b.stride().step) {
    // Only the difference of the two indices matters.
    const Part inner_a = a.inner(a.begin), inner_b = b.inner(b.begin);
    Range k = meeting(a.begin, inner_a.extent, a.stride().step, b.begin, inner_b.extent, 1 - b.stride().count,
                      a.stride().count - 1);
    for (int64_t i = k.low; i <= k.high; ++i) {
      if (parts_overlap(a.inner(a.begin + i * a.stride().step), inner_b)) return true;
    }
    return false;
  }
  const bool split_a = b.is_run() || (!a.is_run() && a.stride().step > b.stride().step);
  const Part& split = split_a ? a : b;
  const Part& other = split_a ? b : a;
  const Part inner = split.inner(split.begin);
  Range k =
      meeting(split.begin, inner.extent, split.stride().step, other.begin, other.extent, 0, split.stride().count - 1);
  for (int64_t i = k.low; i <= k.high; ++i) {
    if (parts_overlap(split.inner(split.begin + i * split.stride().step), other)) return true;
  }
  return false;
}

}  // namespace

Placed place(const isa::View& view) {
  Placed p;
  p.shape.memory = view.memory;
  p.shape.partition = view.partition;
  p.shape.partitions = view.partitions;
  p.begin = view.offset;
  const auto size = static_cast<int64_t>(dtype_bytes(view.dtype));
  std::array<Stride, isa::kMaxRank> strides{};
  size_t rank = 0;
  p.shape.run = size;
  for (const isa::Dim& d : view.pattern()) {
    if (d.count == 0) p.shape.run = 0;
    if (d.count <= 1 || d.step == 0) continue;
    int64_t step = d.step * size, count = d.count;
    if (step < 0) p.begin += step * (count - 1), step = -step;
    size_t at = rank++;  // sorted: largest step first
    for (; at > 0 && strides[at - 1].step < step; --at) strides[at] = strides[at - 1];
    strides[at] = {step, count};
  }
  if (p.shape.run == 0) return p;
  // From the innermost: what touches or overlaps is one run, what continues a stride is one stride.
  std::array<Stride, isa::kMaxRank> kept{};  // innermost first
  size_t count = 0;
  for (size_t k = rank; k-- > 0;) {
    const Stride& s = strides[k];
    if (count == 0 && s.step <= p.shape.run) {
      p.shape.run += s.step * (s.count - 1);
    } else if (count > 0 && s.step == kept[count - 1].step * kept[count - 1].count) {
      kept[count - 1].count *= s.count;
    } else {
      kept[count++] = s;
    }
  }
  p.shape.rank = static_cast<uint8_t>(count);
  for (size_t k = 0; k < count; ++k) p.shape.strides[k] = kept[count - 1 - k];
  return p;
}

bool overlap(const Shape& a, int64_t a_begin, const Shape& b, int64_t b_begin) {
  if (a.memory != b.memory || a.run == 0 || b.run == 0) return false;
  if (a.partition >= b.partition + b.partitions || b.partition >= a.partition + a.partitions) return false;
  return parts_overlap({&a, 0, a_begin, a.extent()}, {&b, 0, b_begin, b.extent()});
}

bool covers(const Shape& outer, int64_t outer_begin, const Shape& inner, int64_t inner_begin) {
  if (outer.memory != inner.memory || outer.partition > inner.partition ||
      outer.partition + outer.partitions < inner.partition + inner.partitions) {
    return false;
  }
  if (outer.dense()) {
    return outer_begin <= inner_begin && outer_begin + outer.run >= inner_begin + inner.extent();
  }
  return outer_begin == inner_begin && outer.run == inner.run && outer.rank == inner.rank &&
         outer.strides == inner.strides;
}

uint32_t ShapeTable::intern(const Shape& shape) {
  auto [it, added] = ids_.try_emplace(shape, static_cast<uint32_t>(shapes_.size()));
  if (added) shapes_.push_back(shape);
  return it->second;
}

}  // namespace presil::chip
