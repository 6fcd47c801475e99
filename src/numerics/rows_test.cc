#include "numerics/rows.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "base/prng.h"
#include "numerics/convert.h"
#include "numerics/float_bits.h"

namespace presil::numerics {
namespace {

TEST(Rows, EqualTheSpansForEveryWidth) {
  Prng random(1);
  std::vector<std::byte> source(1 << 16);
  for (std::byte& b : source) b = static_cast<std::byte>(random.next());
  for (DType t : {DType::fp32, DType::bf16, DType::fp16}) {
    const size_t bytes = dtype_bytes(t);
    for (int64_t step : {1, 2}) {
      const LoadRowsFn load = load_rows_fn(t, step);
      if (load == nullptr) continue;  // no such path on this processor
      for (size_t columns = 1; columns <= 50; ++columns) {
        const size_t rows = 1 + random.below(5);
        const auto row_step = static_cast<int64_t>((columns * static_cast<size_t>(step) + random.below(3)) * bytes);
        std::vector<float> packed(rows * columns + kRowsSlack, -1.0f);
        load(source.data(), row_step, rows, columns, packed.data());
        for (size_t i = 0; i < rows * columns; ++i) {
          uint64_t word = 0;
          std::memcpy(&word,
                      source.data() + static_cast<size_t>(row_step) * (i / columns) +
                          i % columns * static_cast<size_t>(step) * bytes,
                      bytes);
          const float expected = to_fp32(t, word);
          ASSERT_EQ(std::memcmp(&packed[i], &expected, 4), 0)
              << dtype_name(t) << " step " << step << " columns " << columns << " at " << i;
        }
      }
    }
  }
}

TEST(Rows, StoresWriteNothingBetweenRows) {
  Prng random(2);
  for (DType t : {DType::fp32, DType::bf16, DType::fp16}) {
    const StoreRowsFn store = store_rows_fn(t);
    if (store == nullptr) continue;
    const size_t bytes = dtype_bytes(t);
    for (size_t columns = 1; columns <= 50; ++columns) {
      const size_t rows = 3, gap = 2, pitch = (columns + gap) * bytes;
      std::vector<float> packed(rows * columns);
      for (float& x : packed)
        x = random.below(9) == 0 ? float_of(static_cast<uint32_t>(random.next())) : random.normal();
      std::vector<std::byte> out(rows * pitch, std::byte{0xa5});
      store(packed.data(), out.data(), static_cast<int64_t>(pitch), rows, columns);
      for (size_t i = 0; i < rows * (columns + gap); ++i) {
        const size_t r = i / (columns + gap), c = i % (columns + gap);
        uint64_t got = 0, expected = 0;
        std::memcpy(&got, out.data() + i * bytes, bytes);
        std::memset(&expected, 0xa5, bytes);
        if (c < columns) expected = from_fp32(t, packed[r * columns + c]);
        ASSERT_EQ(got, expected) << dtype_name(t) << " columns " << columns << " at " << i;
      }
    }
  }
}

// Windows, against one element at a time.
TEST(Windows, LoadStoreAndAddEveryShape) {
  Prng random(3);
  for (int round = 0; round < 400; ++round) {
    const DType t = std::array{DType::fp32, DType::bf16, DType::fp16}[random.below(3)];
    const auto step = static_cast<int64_t>(1 + random.below(2));
    const size_t bytes = dtype_bytes(t);
    Windows w{.partitions = 1 + random.below(9), .rows = 1 + random.below(5), .columns = 1 + random.below(40)};
    const size_t row = (w.columns * static_cast<size_t>(step) + random.below(4)) * bytes;
    const size_t pitch = row * w.rows + random.below(3) * bytes, stride = w.rows * w.columns + random.below(20);
    w.row_step = static_cast<int64_t>(row), w.partition_step = static_cast<int64_t>(pitch);
    std::vector<std::byte> memory(pitch * w.partitions + 64);
    for (std::byte& b : memory) b = static_cast<std::byte>(random.next());
    const std::vector<std::byte> before = memory;
    w.base = memory.data();
    std::vector<float> packed(stride * w.partitions + kRowsSlack);
    const LoadWindowsFn load = load_windows_fn(t, step);
    if (load == nullptr) GTEST_SKIP() << "no such path on this processor";
    load(w, packed.data(), stride);
    const bool adds = t == DType::fp32 && random.below(2) == 0;
    std::vector<float> values(stride * w.partitions);
    for (float& x : values) x = random.below(9) == 0 ? float_of(static_cast<uint32_t>(random.next())) : random.normal();
    if (step == 1) store_windows_fn(t, adds)(values.data(), stride, w);
    for (size_t p = 0; p < w.partitions; ++p) {
      for (size_t i = 0; i < w.rows * w.columns; ++i) {
        const size_t at = p * pitch + i / w.columns * row + i % w.columns * static_cast<size_t>(step) * bytes;
        uint64_t old = 0, now = 0;
        std::memcpy(&old, before.data() + at, bytes);
        std::memcpy(&now, memory.data() + at, bytes);
        const float read = to_fp32(t, old), value = values[p * stride + i];
        ASSERT_EQ(bits_of(packed[p * stride + i]), bits_of(read)) << "round " << round;
        ASSERT_EQ(now, step == 2 ? old : from_fp32(t, adds ? canonical(read + value) : value)) << "round " << round;
      }
    }
    if (step == 2) {
      ASSERT_EQ(memory, before);
    }
  }
}

}  // namespace
}  // namespace presil::numerics
