// The bytes that an operand touches, as an exact set: the same strided pattern in each of some partitions. Shapes are
// position-independent and shared; a footprint is a shape at a byte offset. Order and repetition of elements are lost
// on purpose: two views with the same bytes have the same shape.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "isa/view.h"

namespace presil::chip {

struct Stride {
  int64_t step = 0;   // bytes, positive
  int64_t count = 0;  // at least 2
  auto operator<=>(const Stride&) const = default;
};

// Runs of `run` bytes at every combination of the strides, outermost (largest step) first.
struct Shape {
  isa::Memory memory = isa::Memory::none;
  uint8_t rank = 0;
  uint16_t partition = 0, partitions = 1;
  int64_t run = 0;
  std::array<Stride, isa::kMaxRank> strides{};

  int64_t extent() const {  // first to one past the last byte
    int64_t e = run;
    for (int k = 0; k < rank; ++k)
      e += strides[static_cast<size_t>(k)].step * (strides[static_cast<size_t>(k)].count - 1);
    return e;
  }
  bool dense() const { return rank == 0; }
  auto operator<=>(const Shape&) const = default;
};

struct Placed {
  Shape shape;
  int64_t begin = 0;  // of the shape's first byte
};
// Of a view without elements, run and extent are 0.
Placed place(const isa::View& view);

// Do the two sets share a byte? Exact for every pattern.
bool overlap(const Shape& a, int64_t a_begin, const Shape& b, int64_t b_begin);

// Does `outer` contain all of `inner`? May say no when only a comparison byte by byte would tell.
bool covers(const Shape& outer, int64_t outer_begin, const Shape& inner, int64_t inner_begin);

// Calls f(begin, end) for every run, ascending within each innermost stride.
template <class F>
void for_each_run(const Shape& shape, int64_t begin, F&& f, int level = 0) {
  if (level == shape.rank) return f(begin, begin + shape.run);
  const Stride& s = shape.strides[static_cast<size_t>(level)];
  for (int64_t i = 0; i < s.count; ++i) for_each_run(shape, begin + i * s.step, f, level + 1);
}

// Numbers equal shapes equally.
class ShapeTable {
 public:
  uint32_t intern(const Shape& shape);
  const Shape& operator[](uint32_t id) const { return shapes_[id]; }

 private:
  std::map<Shape, uint32_t> ids_;
  std::vector<Shape> shapes_;
};

}  // namespace presil::chip
