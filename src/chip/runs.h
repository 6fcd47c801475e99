// Runs: one innermost loop of a nest, as fp32 in a buffer or as raw bits.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "chip/strided.h"
#include "numerics/convert.h"
#include "numerics/rows.h"

namespace presil::chip {

inline constexpr size_t kRunMax = 1024;  // elements handled at once: a few such buffers stay in a first-level cache

// `count` elements `step` bytes apart as contiguous ones, and back. Element sizes 1, 2, 4, 8.
void gather_run(size_t element_bytes, const std::byte* from, int64_t step, size_t count, std::byte* to);
void scatter_run(size_t element_bytes, const std::byte* from, std::byte* to, int64_t step, size_t count);
// Both sides strided.
void copy_run(size_t element_bytes, const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
              size_t count);

// Contiguous elements, each of them twice; false for sizes other than 2 and 4.
bool double_run(size_t element_bytes, const std::byte* from, std::byte* to, size_t count);

// How the elements of one operand are read and written.
struct RunFormat {
  DType dtype = DType::fp32;
  size_t bytes = 4;
  numerics::LoadFn load = nullptr;
  numerics::StoreFn store = nullptr;
  numerics::LoadRowsFn load_rows = nullptr, load_rows_step2 = nullptr;  // may be nullptr: row by row
  numerics::StoreRowsFn store_rows = nullptr;
};
RunFormat run_format(DType dtype);

// A piece of a nest: `rows` runs of `columns` elements, taken together because runs may be short.
struct Block {
  std::byte* at = nullptr;
  int64_t row_step = 0, step = 0;  // bytes
  size_t rows = 1, columns = 1;
  size_t count() const { return rows * columns; }
};

inline bool is_fp32_in_place(const RunFormat& format, const Block& block) {
  return format.dtype == DType::fp32 && block.step == sizeof(float) &&
         (block.rows == 1 || block.row_step == block.step * static_cast<int64_t>(block.columns)) &&
         reinterpret_cast<uintptr_t>(block.at) % alignof(float) == 0;
}
float* convert_block(const RunFormat& format, const Block& block, float* buffer);
void spread_block(const RunFormat& format, const float* values, const Block& block);

// The elements as fp32, in order: where they lie if they are that already, else converted into `buffer`, which has
// count() + numerics::kRowsSlack floats. count() <= kRunMax.
inline const float* read_block(const RunFormat& format, const Block& block, float* buffer) {
  if (is_fp32_in_place(format, block)) return reinterpret_cast<const float*>(block.at);
  return convert_block(format, block, buffer);
}
// Where results go: the elements themselves if they are contiguous fp32, else `buffer`, which write_block then converts
// and spreads.
inline float* block_target(const RunFormat& format, const Block& block, float* buffer) {
  return is_fp32_in_place(format, block) ? reinterpret_cast<float*>(block.at) : buffer;
}
inline void write_block(const RunFormat& format, const float* values, const Block& block) {
  if (reinterpret_cast<const std::byte*>(values) != block.at) spread_block(format, values, block);
}

// body(blocks of all operands), in order, each of at most `elements_max` elements.
template <class Body>
void for_each_block(const Blocks& b, size_t elements_max, Body&& body) {
  const size_t rows_at_once = std::max<size_t>(1, elements_max / b.columns);
  std::array<Block, kMaxJoined> blocks;
  for_each_run(b.outer, [&](const std::array<std::byte*, kMaxJoined>& at) {
    for (size_t row = 0; row < b.rows; row += rows_at_once) {
      const size_t rows = std::min(b.rows - row, rows_at_once);
      for (size_t column = 0; column < b.columns; column += elements_max) {
        const size_t columns = std::min(b.columns - column, elements_max);
        for (size_t k = 0; k < static_cast<size_t>(b.outer.operands); ++k) {
          std::byte* first =
              at[k] + b.row_step[k] * static_cast<int64_t>(row) + b.step[k] * static_cast<int64_t>(column);
          blocks[k] = {first, b.row_step[k], b.step[k], rows, columns};
        }
        body(blocks);
      }
    }
  });
}

}  // namespace presil::chip
