#include "numerics/rows.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace presil::numerics
