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

// A window per partition: partitions x rows x columns elements, columns `element_step` elements apart.
struct Windows {
  std::byte* base = nullptr;
  int64_t partition_step = 0, row_step = 0;  // bytes
  size_t partitions = 1, rows = 1, columns = 1;
};
// Window p becomes packed[p * stride ...], row after row; element_step as above.
using LoadWindowsFn = void (*)(const Windows& source, float* packed, size_t stride);
LoadWindowsFn load_windows_fn(DType t, int64_t element_step);  // nullptr: partition by partition
// Contiguous columns; `adds`: to the fp32 that is there, canonical.
using StoreWindowsFn = void (*)(const float* packed, size_t stride, const Windows& destination);
StoreWindowsFn store_windows_fn(DType t, bool adds);

}  // namespace presil::numerics
