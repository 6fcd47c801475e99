// Against a plain array of flags, over random operations.
#include "chip/byte_set.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace presil::chip {
namespace {

Shape random_shape(Prng& prng, int64_t* begin) {
  isa::View v;
  v.memory = isa::Memory::sbuf;
  v.dtype = prng.below(3) ? DType::fp32 : DType::int8;
  v.partition = static_cast<uint16_t>(prng.below(40));
  v.partitions = static_cast<uint16_t>(1 + prng.below(40u - v.partition));
  if (prng.below(3) == 0) v.partition = 0, v.partitions = 40;
  v.rank = static_cast<uint8_t>(1 + prng.below(2));
  int64_t reach = 1;
  for (int k = 0; k < v.rank; ++k) {
    auto count = static_cast<uint32_t>(1 + prng.below(k == 0 ? 60 : 4));
    auto step = static_cast<int32_t>(1 + prng.below(3));
    v.dims[static_cast<size_t>(k)] = {step, count};
    reach += step * (count - 1);
  }
  Placed p = place(v);
  int64_t room = 2000 - reach * static_cast<int64_t>(dtype_bytes(v.dtype));
  *begin = prng.between(0, room);
  return p.shape;
}

TEST(PartitionedSet, EqualsFlags) {
  Prng prng(3);
  PartitionedSet set(40, 2000);
  std::vector<std::vector<bool>> flags(40, std::vector<bool>(2000));
  int full = 0;
  for (int round = 0; round < 20000; ++round) {
    int64_t begin = 0;
    Shape shape = random_shape(prng, &begin);
    bool all = true, any = false;
    bool adds = round % 4000 > 500 || prng.below(4);
    uint64_t what = prng.below(3);
    for (uint32_t p = shape.partition; p < uint32_t{shape.partition} + shape.partitions; ++p) {
      for_each_run(shape, begin, [&](int64_t from, int64_t to) {
        for (int64_t b = from; b < to; ++b) {
          bool held = flags[p][static_cast<size_t>(b)];
          all = all && held, any = any || held;
          if (what == 2) flags[p][static_cast<size_t>(b)] = adds;
        }
      });
    }
    full += all;
    if (what == 0) {
      ASSERT_EQ(set.contains(shape, begin), all) << round;
    } else if (what == 1) {
      ASSERT_EQ(set.touches(shape, begin), any) << round;
    } else if (adds) {
      set.insert(shape, begin);
    } else {
      set.erase(shape, begin);
    }
  }
  EXPECT_GT(full, 1000);
}

TEST(PagedSet, EqualsFlags) {
  Prng prng(4);
  constexpr int64_t kBytes = 300'000;
  PagedSet set(kBytes);
  std::vector<bool> flags(kBytes);
  int full = 0;
  for (int round = 0; round < 2000; ++round) {
    int64_t begin = prng.between(0, kBytes - 1);
    int64_t end = std::min<int64_t>(kBytes, begin + 1 + static_cast<int64_t>(prng.below(prng.below(2) ? 100 : 80'000)));
    if (prng.below(2)) {
      set.insert(begin, end);
      std::fill(flags.begin() + begin, flags.begin() + end, true);
    } else {
      bool all = std::find(flags.begin() + begin, flags.begin() + end, false) == flags.begin() + end;
      full += all;
      ASSERT_EQ(set.contains(begin, end), all) << round;
    }
  }
  EXPECT_GT(full, 300);
}

}  // namespace
}  // namespace presil::chip
