#include "chip/runs.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace presil::chip {
namespace {

template <class Word>
void copy_words(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, from, sizeof word);
    std::memcpy(to, &word, sizeof word);
    from += from_step;
    to += to_step;
  }
}

// One element repeated, by doubling what is there.
void fill_run(size_t element_bytes, const std::byte* from, std::byte* to, size_t count) {
  const size_t total = count * element_bytes;
  std::memcpy(to, from, element_bytes);
  for (size_t done = element_bytes; done < total; done *= 2) std::memcpy(to + done, to, std::min(done, total - done));
}

}  // namespace

void copy_run(size_t element_bytes, const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
              size_t count) {
  const auto packed = static_cast<int64_t>(element_bytes);
  if (from_step == packed && to_step == packed) {
    std::memcpy(to, from, count * element_bytes);
    return;
  }
  if (from_step == 0 && to_step == packed) return fill_run(element_bytes, from, to, count);
  switch (element_bytes) {
    case 1:
      return copy_words<uint8_t>(from, from_step, to, to_step, count);
    case 2:
      return copy_words<uint16_t>(from, from_step, to, to_step, count);
    case 4:
      return copy_words<uint32_t>(from, from_step, to, to_step, count);
    case 8:
      return copy_words<uint64_t>(from, from_step, to, to_step, count);
    default:
      break;
  }
  CHECK(false, "elements have 1, 2, 4 or 8 bytes");
}

namespace {

template <class Word, class Pair>
void double_words(const std::byte* from, std::byte* to, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, from + i * sizeof word, sizeof word);
    const Pair pair = static_cast<Pair>(word) | static_cast<Pair>(word) << 8 * sizeof word;
    std::memcpy(to + i * sizeof pair, &pair, sizeof pair);
  }
}

}  // namespace

bool double_run(size_t element_bytes, const std::byte* from, std::byte* to, size_t count) {
  if (element_bytes == 2) return double_words<uint16_t, uint32_t>(from, to, count), true;
  if (element_bytes == 4) return double_words<uint32_t, uint64_t>(from, to, count), true;
  return false;
}

void gather_run(size_t element_bytes, const std::byte* from, int64_t step, size_t count, std::byte* to) {
  copy_run(element_bytes, from, step, to, static_cast<int64_t>(element_bytes), count);
}

void scatter_run(size_t element_bytes, const std::byte* from, std::byte* to, int64_t step, size_t count) {
  copy_run(element_bytes, from, static_cast<int64_t>(element_bytes), to, step, count);
}

RunFormat run_format(DType dtype) {
  return {dtype,
          dtype_bytes(dtype),
          numerics::load_fn(dtype),
          numerics::store_fn(dtype),
          numerics::load_rows_fn(dtype, 1),
          numerics::load_rows_fn(dtype, 2),
          numerics::store_rows_fn(dtype)};
}

namespace {

void read_run(const RunFormat& format, const std::byte* from, int64_t step, size_t count, float* out) {
  if (step == static_cast<int64_t>(format.bytes)) return format.load(from, out, count);
  if (step == 0) {
    format.load(from, out, 1);
    std::fill_n(out + 1, count - 1, out[0]);
    return;
  }
  if (format.dtype == DType::fp32)
    return gather_run(sizeof(float), from, step, count, reinterpret_cast<std::byte*>(out));
  alignas(64) std::byte words[kRunMax * 8];
  gather_run(format.bytes, from, step, count, words);
  format.load(words, out, count);
}

void write_run(const RunFormat& format, const float* values, std::byte* to, int64_t step, size_t count) {
  if (step == static_cast<int64_t>(format.bytes)) return format.store(values, to, count);
  alignas(64) std::byte words[kRunMax * 8];
  format.store(values, words, count);
  scatter_run(format.bytes, words, to, step, count);
}

// Rows that continue each other are one run. Loaded member by member: a copy of the block would wait until its members,
// which were just stored, have left the store buffer, and all stores before them.
struct Shape {
  size_t rows, columns;
};
Shape as_one_run(const Block& block) {
  const bool several = block.rows > 1 && block.row_step != block.step * static_cast<int64_t>(block.columns);
  return several ? Shape{block.rows, block.columns} : Shape{1, block.count()};
}

}  // namespace

float* convert_block(const RunFormat& format, const Block& block, float* buffer) {
  const auto [row_count, columns] = as_one_run(block);
  const auto bytes = static_cast<int64_t>(format.bytes);
  const auto rows = block.step == bytes ? format.load_rows : block.step == 2 * bytes ? format.load_rows_step2 : nullptr;
  if (rows != nullptr && (row_count > 1 || block.step != bytes)) {
    rows(block.at, block.row_step, row_count, columns, buffer);
    return buffer;
  }
  if (columns == 2 && block.step == 0 && block.row_step == bytes) {
    alignas(64) float once[kRunMax];
    format.load(block.at, once, row_count);
    double_run(sizeof(float), reinterpret_cast<const std::byte*>(once), reinterpret_cast<std::byte*>(buffer),
               row_count);
    return buffer;
  }
  for (size_t r = 0; r < row_count; ++r) {
    read_run(format, block.at + block.row_step * static_cast<int64_t>(r), block.step, columns, buffer + r * columns);
  }
  return buffer;
}

void spread_block(const RunFormat& format, const float* values, const Block& block) {
  const auto [row_count, columns] = as_one_run(block);
  if (row_count > 1 && block.step == static_cast<int64_t>(format.bytes) && format.store_rows != nullptr) {
    return format.store_rows(values, block.at, block.row_step, row_count, columns);
  }
  for (size_t r = 0; r < row_count; ++r) {
    write_run(format, values + r * columns, block.at + block.row_step * static_cast<int64_t>(r), block.step, columns);
  }
}

}  // namespace presil::chip
