// Rows of a 2-D window to and from packed fp32: one call for many short rows. The same bits as convert.h, row by row.
#pragma once
#include <cstddef>
#include <cstdint>

#include "numerics/dtype.h"

namespace presil::numerics {

// Packed buffers have this many floats beyond their last element, which may be overwritten.
inline constexpr size_t kRowsSlack = 16;

// Row r begins at source + r * row_step bytes; its elements are `element_step` elements apart, 1 or 2. With 2, up to
// two bytes past a row's last element are read, and ignored.
using LoadRowsFn = void (*)(const std::byte* source, int64_t row_step, size_t rows, size_t columns, float* packed);
// nullptr where there is no faster way than one call per row.
LoadRowsFn load_rows_fn(DType t, int64_t element_step);

using StoreRowsFn = void (*)(const float* packed, std::byte* destination, int64_t row_step, size_t rows,
                             size_t columns);
StoreRowsFn store_rows_fn(DType t);  // contiguous elements; nullptr as above

}  // namespace presil::numerics
