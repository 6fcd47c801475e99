#include "chip/memory.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace presil::chip {
namespace {

spec::ChipSpec spec_of(uint32_t partitions, uint64_t bytes) {
  spec::ChipSpec spec;
  spec.sbuf = {partitions, bytes, 1};
  spec.psum = {partitions, 16384, 8};
  return spec;
}

TEST(CoreMemory, StartsZeroAndKeepsPartitionsApart) {
  const CoreMemory memory(spec_of(128, 196608), 1000);
  for (isa::Memory m : {isa::Memory::sbuf, isa::Memory::psum, isa::Memory::hbm}) {
    const Plane& plane = memory.plane(m);
    for (uint32_t p = 0; p < plane.partitions; ++p) {
      auto bytes = memory.partition(m, p);
      ASSERT_EQ(bytes.size(), plane.bytes_per_partition);
      ASSERT_EQ(bytes.front(), std::byte{0});
      bytes.front() = bytes.back() = static_cast<std::byte>(p);
    }
    for (uint32_t p = 0; p < plane.partitions; ++p) {
      ASSERT_EQ(memory.partition(m, p).front(), static_cast<std::byte>(p));
      ASSERT_EQ(memory.partition(m, p).back(), static_cast<std::byte>(p));
    }
  }
  EXPECT_EQ(memory.hbm().size(), 1000u);
}

TEST(CoreMemory, PartitionsVisitEverySetOfACache) {
  const CoreMemory memory(spec_of(128, 196608), 0);
  EXPECT_EQ(memory.plane(isa::Memory::sbuf).pitch % 128, 64u);
  EXPECT_GE(memory.plane(isa::Memory::sbuf).pitch, 196608u);
}

TEST(CoreMemory, HugeUnusedHbmCostsNothing) {
  const CoreMemory memory(spec_of(1, 64), 96ull << 30);
  memory.hbm()[(96ull << 30) - 1] = std::byte{1};
  EXPECT_EQ(memory.hbm()[(96ull << 30) - 1], std::byte{1});
}

TEST(CoreMemory, ClearBringsBackZero) {
  CoreMemory memory(spec_of(4, 4096), 4096);
  std::fill(memory.hbm().begin(), memory.hbm().end(), std::byte{5});
  memory.partition(isa::Memory::sbuf, 3)[7] = std::byte{5};
  memory.clear();
  EXPECT_EQ(memory.hbm()[100], std::byte{0});
  EXPECT_EQ(memory.partition(isa::Memory::sbuf, 3)[7], std::byte{0});
}

TEST(CoreMemory, MovesLeaveNothingBehind) {
  CoreMemory first(spec_of(4, 4096), 64);
  first.hbm()[0] = std::byte{9};
  const CoreMemory second(std::move(first));
  EXPECT_EQ(second.hbm()[0], std::byte{9});
}

}  // namespace
}  // namespace presil::chip
