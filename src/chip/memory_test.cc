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

std::vector<std::byte> counted(size_t bytes, int first) {
  std::vector<std::byte> out(bytes);
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>(first + static_cast<int>(i));
  return out;
}

TEST(CoreMemory, WhatIsLentIsReadInPlaceAndNeverWritten) {
  CoreMemory memory(spec_of(2, 64), 100);
  const std::vector<std::byte> lent = counted(20, 1), before = lent;
  memory.lend(40, lent);
  EXPECT_EQ(memory.hbm_at(45, 60, false), lent.data() + 5);
  EXPECT_EQ(memory.hbm_at(60, 70, false), memory.hbm().data() + 60);  // begins where the loan ends
  std::byte* own = memory.hbm_at(45, 46, true);
  EXPECT_EQ(own, memory.hbm().data() + 45);
  *own = std::byte{99};
  EXPECT_EQ(memory.hbm_at(40, 60, false), memory.hbm().data() + 40);
  EXPECT_EQ(memory.hbm()[44], lent[4]);
  EXPECT_EQ(memory.hbm()[45], std::byte{99});
  EXPECT_EQ(lent, before);
}

TEST(CoreMemory, ReadsAcrossLoansSeeOnePiece) {
  CoreMemory memory(spec_of(2, 64), 100);
  const std::vector<std::byte> a = counted(10, 10), b = counted(10, 50), late = counted(4, 90);
  memory.lend(20, b);
  memory.lend(10, a);
  memory.lend(18, late);  // replaces the ends of both
  const std::byte* all = memory.hbm_at(9, 31, false);
  EXPECT_EQ(all, memory.hbm().data() + 9);
  const int expected[] = {0, 10, 11, 12, 13, 14, 15, 16, 17, 90, 91, 92, 93, 52, 53, 54, 55, 56, 57, 58, 59, 0};
  for (size_t i = 0; i < std::size(expected); ++i) EXPECT_EQ(all[i], static_cast<std::byte>(expected[i])) << i;
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

// What an ended run leaves is used again, and zero again, at every byte, also where it touched little.
TEST(CoreMemory, OfAnEndedRunIsZeroForTheNext) {
  const spec::ChipSpec spec = spec_of(6, 200000);
  for (const std::byte left : {std::byte{1}, std::byte{2}}) {
    CoreMemory memory(spec, 4096);
    for (const isa::Memory m : {isa::Memory::sbuf, isa::Memory::psum}) {
      for (uint32_t p = 0; p < memory.plane(m).partitions; ++p) {
        const auto bytes = memory.partition(m, p);
        EXPECT_TRUE(std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; })) << p;
        if (p % 3 == 0) std::ranges::fill(bytes, left);
      }
      memory.partition(m, 1).back() = left;
    }
  }
}

// Memories that live at the same time never share, whatever ended before.
TEST(CoreMemory, TwoAtOnceAreApart) {
  const spec::ChipSpec spec = spec_of(6, 200000);
  { const CoreMemory ended(spec, 4096); }
  const CoreMemory a(spec, 4096), b(spec, 4096);
  EXPECT_NE(a.plane(isa::Memory::sbuf).data, b.plane(isa::Memory::sbuf).data);
  EXPECT_NE(a.plane(isa::Memory::psum).data, b.plane(isa::Memory::psum).data);
}

}  // namespace
}  // namespace presil::chip
