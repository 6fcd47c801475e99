// Do the canonical form and the byte bounds of a view describe exactly its elements?
#include "isa/view.h"

#include <algorithm>
#include <vector>

#include "base/prng.h"

namespace presil::isa {
namespace {

View view(std::vector<Dim> dims, DType dtype = DType::fp32, int64_t offset = 0) {
  View v;
  v.memory = Memory::sbuf;
  v.dtype = dtype;
  v.offset = offset;
  v.rank = static_cast<uint8_t>(dims.size());
  std::copy(dims.begin(), dims.end(), v.dims.begin());
  return v;
}

std::vector<int64_t> byte_offsets(const View& v) {
  std::vector<int64_t> out{v.offset};
  for (const Dim& d : v.pattern()) {
    std::vector<int64_t> next;
    for (int64_t start : out) {
      for (uint32_t i = 0; i < d.count; ++i) {
        next.push_back(start + int64_t{d.step} * i * static_cast<int64_t>(dtype_bytes(v.dtype)));
      }
    }
    out = next;
  }
  return out;
}

TEST(View, SimplifiedDropsUnitDimsAndMergesContiguousOnes) {
  EXPECT_EQ(simplified(view({{12, 2}, {4, 3}, {1, 4}})), view({{1, 24}}));
  EXPECT_EQ(simplified(view({{99, 1}, {8, 3}, {5, 1}, {2, 4}})), view({{2, 12}}));
  EXPECT_EQ(simplified(view({{9, 3}, {1, 8}})), view({{9, 3}, {1, 8}}));
  EXPECT_EQ(simplified(view({{0, 3}, {0, 8}})), view({{0, 24}}));
  EXPECT_EQ(simplified(view({{7, 1}, {3, 1}})), view({}));
  EXPECT_EQ(simplified(view({{-4, 3}, {-1, 4}})), view({{-1, 12}}));
}

TEST(View, RandomViewsKeepOrderAndBounds) {
  Prng random(7);
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<Dim> dims(random.below(kMaxRank + 1));
    for (Dim& d : dims) d = {static_cast<int32_t>(random.between(-6, 6)), static_cast<uint32_t>(random.between(1, 4))};
    View v = view(dims, random.below(2) ? DType::bf16 : DType::fp32, random.between(0, 50));
    std::vector<int64_t> offsets = byte_offsets(v);
    EXPECT_EQ(byte_offsets(simplified(v)), offsets);
    ByteRange range = byte_range(v);
    auto [low, high] = std::minmax_element(offsets.begin(), offsets.end());
    EXPECT_EQ(range.begin, *low);
    EXPECT_EQ(range.end, *high + static_cast<int64_t>(dtype_bytes(v.dtype)));
  }
}

TEST(View, BoundsOfExtremePatterns) {
  EXPECT_EQ(byte_range(view({}, DType::fp16, 6)).end, 8);
  ByteRange empty = byte_range(view({{1, 0}, {1, 5}}, DType::fp32, 40));
  EXPECT_EQ(empty.begin, 40);
  EXPECT_EQ(empty.end, 40);
  EXPECT_EQ(byte_range(view({{INT32_MAX, UINT32_MAX}, {INT32_MAX, UINT32_MAX}})).end, INT64_MAX);
  EXPECT_EQ(byte_range(view({{INT32_MIN, UINT32_MAX}, {INT32_MIN, UINT32_MAX}})).begin, INT64_MIN);
}

TEST(View, MemoryNames) {
  EXPECT_EQ(memory_name(Memory::none), "none");
  EXPECT_EQ(memory_name(Memory::hbm), "hbm");
}

}  // namespace
}  // namespace presil::isa
