// Operands of products as fp32 matrices, and how a product reaches its destination; private to the execute_*.cc files.
#pragma once
#include "chip/execute_internal.h"
#include "numerics/matmul.h"

namespace presil::chip {

// A matrix operand as fp32 rows.
struct Matrix {
  const float* data = nullptr;
  size_t stride = 0;  // elements
};

// Rows of a scratch matrix are an odd number of cache lines long, so that a column of them visits every set.
size_t scratch_stride(size_t columns);

// One row per partition; where they lie, if they are contiguous fp32.
Matrix matrix_of(const Strided& s, Buffer& buffer);
// `parts` rows per partition, one after the other: the elements of a partition in as many equal runs. Needs
// splits_into(s, parts).
Matrix matrix_of_parts(const Strided& s, uint32_t parts, Buffer& buffer);
bool splits_into(const Strided& s, uint32_t parts);

// dst = product, or += if it accumulates; m, n and dst are dst's.
void multiply(Context& c, const Strided& dst, numerics::Matmul product);
// dst = values or += values: rows of row_elements(dst) floats, `stride` apart.
void deliver(Context& c, const Strided& dst, const float* values, size_t stride, bool accumulate);

}  // namespace presil::chip
