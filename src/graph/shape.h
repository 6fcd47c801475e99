// Arithmetic on shapes that does not overflow: sizes, broadcasting, strides, windows.
#pragma once
#include <optional>
#include <string>

#include "graph/graph.h"

namespace presil::graph {

// No tensor of a graph has more elements; a product of dimensions beyond it is a broken or hostile model.
inline constexpr int64_t kElementsMax = int64_t{1} << 40;

// Bound on strides, dilations, pads and kernel sizes, so that window arithmetic on legal shapes cannot overflow.
inline constexpr int64_t kWindowMax = int64_t{1} << 20;

// Elements of a shape, or nothing when a dimension is negative or the product exceeds kElementsMax.
std::optional<int64_t> checked_count(const Shape& shape);

std::string shape_text(const Shape& shape);  // "[1, 3, 48, 320]"

// The numpy broadcast of two shapes, or nothing when they do not fit.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);

// Row-major strides in elements.
Shape row_major_strides(const Shape& shape);

}  // namespace presil::graph
