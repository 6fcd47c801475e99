// Are the sets exact? Against the bytes themselves, over random patterns.
#include "chip/footprint.h"

#include <gtest/gtest.h>

#include <set>

#include "base/prng.h"

namespace presil::chip {
namespace {

using isa::Memory;
using isa::View;

View random_view(Prng& prng) {
  View v;
  v.memory = Memory::sbuf;
  v.dtype = prng.below(2) ? DType::fp32 : DType::bf16;
  v.partition = static_cast<uint16_t>(prng.below(3));
  v.partitions = static_cast<uint16_t>(1 + prng.below(3));
  v.rank = static_cast<uint8_t>(prng.below(4));
  for (int k = 0; k < v.rank; ++k) {
    v.dims[static_cast<size_t>(k)] = {static_cast<int32_t>(prng.between(-12, 12)),
                                      static_cast<uint32_t>(1 + prng.below(5))};
  }
  v.offset = 200 + prng.between(-40, 40);
  return v;
}

std::set<int64_t> bytes_of(const View& v) {
  std::set<int64_t> starts{v.offset}, bytes;
  const auto size = static_cast<int64_t>(dtype_bytes(v.dtype));
  for (const isa::Dim& d : v.pattern()) {
    std::set<int64_t> next;
    for (int64_t s : starts) {
      for (uint32_t i = 0; i < d.count; ++i) next.insert(s + d.step * size * i);
    }
    starts = next;
  }
  for (int64_t s : starts) {
    for (int64_t b = 0; b < size; ++b) bytes.insert(s + b);
  }
  return bytes;
}

TEST(Footprint, HasExactlyTheBytesOfTheView) {
  Prng prng(1);
  for (int round = 0; round < 3000; ++round) {
    View v = random_view(prng);
    Placed p = place(v);
    std::set<int64_t> bytes;
    for_each_run(p.shape, p.begin, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) bytes.insert(b);
    });
    std::set<int64_t> expected = bytes_of(v);
    ASSERT_EQ(bytes, expected) << round;
    EXPECT_EQ(p.begin, *expected.begin());
    EXPECT_EQ(p.begin + p.shape.extent(), *expected.rbegin() + 1);
  }
}

TEST(Footprint, OverlapIsExactAndCoversNeverLies) {
  Prng prng(2);
  int overlapping = 0, covering = 0;
  for (int round = 0; round < 20000; ++round) {
    View a = random_view(prng), b = random_view(prng);
    if (round % 7 == 0) b = a, b.offset += prng.between(-1, 1) * 4;
    Placed pa = place(a), pb = place(b);
    std::set<int64_t> ba = bytes_of(a), bb = bytes_of(b);
    bool partitions = a.partition < b.partition + b.partitions && b.partition < a.partition + a.partitions;
    bool common = std::any_of(ba.begin(), ba.end(), [&](int64_t x) { return bb.count(x) > 0; });
    bool expected = partitions && common;
    overlapping += expected;
    ASSERT_EQ(overlap(pa.shape, pa.begin, pb.shape, pb.begin), expected) << round;
    ASSERT_EQ(overlap(pb.shape, pb.begin, pa.shape, pa.begin), expected) << round;
    if (covers(pa.shape, pa.begin, pb.shape, pb.begin)) {
      ++covering;
      ASSERT_TRUE(std::includes(ba.begin(), ba.end(), bb.begin(), bb.end())) << round;
    }
  }
  EXPECT_GT(overlapping, 1000);  // the test would be empty otherwise
  EXPECT_GT(covering, 100);
}

TEST(Footprint, EqualBytesAreEqualShapes) {
  View dense;
  dense.memory = Memory::hbm;
  dense.rank = 1;
  dense.dims[0] = {1, 64};
  View split = dense;  // the same bytes, other order
  split.rank = 3;
  split.dims = {isa::Dim{-1, 4}, isa::Dim{16, 4}, isa::Dim{4, 4}};
  split.offset = 12;
  EXPECT_EQ(place(dense).shape, place(split).shape);
  EXPECT_EQ(place(split).begin, 0);
}

}  // namespace
}  // namespace presil::chip
