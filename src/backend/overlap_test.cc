#include "backend/overlap.h"

#include <gtest/gtest.h>

#include <set>

#include "backend/regions.h"
#include "base/prng.h"

namespace presil::backend {
namespace {

using isa::View;

View view(int64_t offset, std::vector<isa::Dim> dims, DType dtype = DType::uint8) {
  View v{.memory = isa::Memory::sbuf, .dtype = dtype, .rank = static_cast<uint8_t>(dims.size())};
  v.offset = offset;
  std::copy(dims.begin(), dims.end(), v.dims.begin());
  return v;
}

std::set<int64_t> bytes_of(const View& v) {
  std::set<int64_t> starts{v.offset}, out;
  auto size = static_cast<int64_t>(dtype_bytes(v.dtype));
  for (const isa::Dim& d : v.pattern()) {
    std::set<int64_t> next;
    for (int64_t s : starts) {
      for (uint32_t k = 0; k < d.count; ++k) next.insert(s + int64_t{d.step} * k * size);
    }
    starts = next;
  }
  for (int64_t s : starts) {
    for (int64_t b = 0; b < size; ++b) out.insert(s + b);
  }
  return out;
}

View random_view(Prng& random) {
  std::vector<isa::Dim> dims;
  for (uint64_t r = random.below(5); r > 0; --r) {
    dims.push_back({static_cast<int32_t>(random.between(-12, 40)), static_cast<uint32_t>(random.between(1, 5))});
  }
  return view(random.between(0, 300), dims, random.below(2) ? DType::uint8 : DType::fp32);
}

TEST(Overlap, ColumnBlocksOfTheSameRowsAreDisjoint) {
  View left = view(0, {{4096, 128}, {1, 512}}), right = view(512, {{4096, 128}, {1, 512}});
  EXPECT_FALSE(overlap(left, right));
  EXPECT_TRUE(overlap(left, view(511, {{4096, 128}, {1, 512}})));
  EXPECT_FALSE(overlap(left, view(4096 * 128, {{1, 512}})));
  EXPECT_TRUE(overlap(left, view(4096 * 127 + 511, {{1, 512}})));
}

TEST(Overlap, InterleavedPhasesAreDisjoint) {
  EXPECT_FALSE(overlap(view(0, {{2, 100}}), view(1, {{2, 100}})));
  EXPECT_TRUE(overlap(view(0, {{2, 100}}), view(1, {{3, 100}})));
}

TEST(Overlap, AgreesWithSetsOfBytes) {
  Prng random(1);
  int meeting = 0;
  for (int k = 0; k < 4000; ++k) {
    View a = random_view(random), b = random_view(random);
    std::set<int64_t> x = bytes_of(a), y = bytes_of(b);
    bool expected = std::any_of(x.begin(), x.end(), [&](int64_t byte) { return y.contains(byte); });
    ASSERT_EQ(overlap(a, b), expected) << k;
    meeting += expected;
    Extent e = extent_of(a);
    ASSERT_EQ(e.begin, *x.begin());
    ASSERT_EQ(e.end, *x.rbegin() + 1);
    ASSERT_EQ(e.dense, static_cast<int64_t>(x.size()) == e.end - e.begin) << k;
  }
  EXPECT_GT(meeting, 500);
  EXPECT_LT(meeting, 3500);
}

TEST(Regions, RowsOfAPaddedImageAreOneRegion) {
  std::vector<View> rows;
  for (int r = 1; r <= 8; ++r) rows.push_back(view(r * 10 + 1, {{1, 8}}));
  EXPECT_EQ(union_of(rows), (std::vector<Region>{{0, 1, 11, 8, 10, 8}}));
}

TEST(Regions, PartitionsWithEqualBytesShareARegion) {
  View low = view(0, {{1, 16}}), high = view(0, {{1, 16}}), more = view(16, {{1, 4}});
  low.partition = 0, low.partitions = 32;
  high.partition = 32, high.partitions = 32;
  more.partition = 40, more.partitions = 4;
  EXPECT_EQ(union_of(std::vector<View>{low, high, more}),
            (std::vector<Region>{{0, 40, 0, 16, 16, 1}, {40, 4, 0, 20, 20, 1}, {44, 20, 0, 16, 16, 1}}));
}

TEST(Regions, CoverExactlyWhatTheViewsCover) {
  Prng random(2);
  for (int k = 0; k < 500; ++k) {
    std::vector<View> views;
    std::set<std::pair<uint32_t, int64_t>> expected, found;
    for (int n = 0; n < 5; ++n) {
      View v = random_view(random);
      v.partition = static_cast<uint16_t>(random.below(4)), v.partitions = static_cast<uint16_t>(1 + random.below(4));
      views.push_back(v);
      for (uint32_t p = v.partition; p < uint32_t{v.partition} + v.partitions; ++p) {
        for (int64_t b : bytes_of(v)) expected.insert({p, b});
      }
    }
    for (const Region& r : union_of(views)) {
      for (uint32_t p = r.partition; p < r.partition + r.partitions; ++p) {
        for (int64_t n = 0; n < r.count; ++n) {
          for (int64_t b = 0; b < r.run; ++b) {
            ASSERT_TRUE(found.insert({p, r.offset + n * r.stride + b}).second) << "covered twice";
          }
        }
      }
    }
    ASSERT_EQ(found, expected) << k;
  }
}

}  // namespace
}  // namespace presil::backend
