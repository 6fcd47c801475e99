#include "backend/place.h"

#include <gtest/gtest.h>

#include "backend/sbuf_map.h"
#include "backend/test_chip.h"
#include "base/prng.h"

namespace presil::backend {
namespace {

using tile::Builder;

// A tile that is written by one instruction and read by a later one: live from `first` to `last` memsets.
struct Lifetimes {
  Builder b;
  struct Life {
    uint32_t tile, first, last;
  };
  std::vector<Life> lives;
  void add(uint32_t partitions, uint32_t bytes, uint32_t first, uint32_t last, Builder::Place place = {}) {
    lives.push_back({b.sbuf(partitions, bytes, "t" + std::to_string(lives.size()), place), first, last});
  }
  Placement place(const spec::ChipSpec& spec) {
    std::vector<LiveRange> ranges(b.program.tiles.size());
    uint32_t end = 0;
    for (const Life& l : lives) ranges[l.tile] = {l.first, l.last}, end = std::max(end, l.last + 1);
    while (b.program.code.code.size() < end) b.program.code.append(isa::Opcode::wait, isa::EngineKind::sync);
    Placement out;
    place_sbuf(b.program, ranges, spec, out);
    return out;
  }
};

TEST(Place, ReusesWhatHasBeenFreeForLongest) {
  spec::ChipSpec spec = testing::chip();
  spec.sbuf.bytes_per_partition = 4 * 1024;
  Lifetimes l;
  for (uint32_t k = 0; k < 10; ++k) l.add(128, 1024, k, k + 1);
  Placement p = l.place(spec);
  ASSERT_FALSE(p.misfit);
  for (uint32_t k = 0; k < 10; ++k) {
    EXPECT_EQ(p.places[k].offset, 1024 * (k % 4)) << k;
    EXPECT_EQ(p.places[k].previous, k < 4 ? std::vector<uint32_t>{} : std::vector<uint32_t>{k - 4}) << k;
  }
}

TEST(Place, SmallTilesShareAColumn) {
  Lifetimes l;
  for (int k = 0; k < 4; ++k) l.add(32, 4096, 0, 5);
  l.add(64, 4096, 0, 5), l.add(33, 4096, 0, 5), l.add(65, 4096, 0, 5);
  Placement p = l.place(testing::chip());
  ASSERT_FALSE(p.misfit);
  for (uint32_t k = 0; k < 4; ++k) {
    EXPECT_EQ(p.places[k].partition, 32 * k);
    EXPECT_EQ(p.places[k].offset, p.places[0].offset);
  }
  EXPECT_EQ(p.places[4].partition, 0u);
  EXPECT_EQ(p.places[5].partition, 64u);
  EXPECT_EQ(p.places[5].offset, p.places[4].offset);
  EXPECT_EQ(p.places[6].partition, 0u);
}

TEST(Place, AMixThatScattersIsPacked) {
  spec::ChipSpec spec = testing::chip();
  spec.sbuf.bytes_per_partition = 8 * 1024;
  Lifetimes l;
  // Every second kilobyte stays, the others go; then a tile of 4 KiB needs them to be neighbours.
  for (uint32_t k = 0; k < 8; ++k) l.add(128, 1024, k, k % 2 ? 20 : 9);
  l.add(128, 4096, 10, 20);
  Placement p = l.place(spec);
  EXPECT_FALSE(p.misfit);
}

TEST(Place, FixedPlacesAreKept) {
  Lifetimes l;
  l.add(32, 100, 0, 9, {.partition = 64, .offset = 1000});
  l.add(128, 65536, 0, 9);
  l.add(128, 65536, 2, 9, {.offset = 65536});
  Placement p = l.place(testing::chip());
  ASSERT_FALSE(p.misfit);
  EXPECT_EQ(p.places[0].partition, 64u);
  EXPECT_EQ(p.places[0].offset, 1000u);
  EXPECT_EQ(p.places[2].offset, 65536u);
  EXPECT_EQ(p.places[1].offset, 131072u);
}

TEST(Place, SaysWhichTileFindsNoRoom) {
  Lifetimes l;
  l.add(128, 100000, 0, 9);
  l.add(128, 100000, 3, 9);
  Placement p = l.place(testing::chip());
  ASSERT_TRUE(p.misfit);
  EXPECT_EQ(p.misfit->tile, 1u);
  EXPECT_EQ(p.misfit->instruction, 3u);
}

// Whatever is placed: nothing that lives at the same time shares a byte, starts are legal, `previous` tells the truth.
TEST(Place, RandomLifetimesNeverCollide) {
  spec::ChipSpec spec = testing::chip();
  spec.sbuf.bytes_per_partition = 16 * 1024;
  int placed = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Prng random(seed);
    Lifetimes l;
    for (int k = 0; k < 60; ++k) {
      auto first = static_cast<uint32_t>(random.below(100));
      l.add(static_cast<uint32_t>(1 + random.below(128)), static_cast<uint32_t>(1 + random.below(4096)), first,
            first + static_cast<uint32_t>(random.below(12)));
    }
    Placement p = l.place(spec);
    if (p.misfit) continue;
    ++placed;
    for (const auto& a : l.lives) {
      const tile::Tile& ta = l.b.program.tiles[a.tile];
      const Place& pa = p.places[a.tile];
      uint32_t step = ta.partitions > 64 ? 128 : ta.partitions > 32 ? 64 : 32;
      ASSERT_EQ(pa.partition % step, 0u);
      ASSERT_LE(pa.partition + ta.partitions, 128u);
      ASSERT_LE(pa.offset + ta.bytes, 16u * 1024);
      ASSERT_EQ(pa.offset % kSbufAlignment, 0u);
      for (const auto& b : l.lives) {
        const tile::Tile& tb = l.b.program.tiles[b.tile];
        const Place& pb = p.places[b.tile];
        bool bytes = pa.offset < pb.offset + tb.bytes && pb.offset < pa.offset + ta.bytes;
        bool partitions = pa.partition < pb.partition + tb.partitions && pb.partition < pa.partition + ta.partitions;
        bool times = a.first <= b.last && b.first <= a.last;
        ASSERT_FALSE(a.tile != b.tile && bytes && partitions && times) << a.tile << " and " << b.tile;
      }
    }
  }
  EXPECT_GT(placed, 100);
}

TEST(Place, PsumTilesTakeBanksInTurn) {
  Builder b;
  std::vector<LiveRange> ranges;
  for (uint32_t k = 0; k < 12; ++k) b.psum(128, 2048, "p"), ranges.push_back({k, k + 2});
  Placement p;
  place_psum(b.program, ranges, testing::chip(), p);
  ASSERT_FALSE(p.misfit);
  for (uint32_t k = 0; k < 12; ++k) EXPECT_EQ(p.places[k].offset, 2048 * (k % 8)) << k;
  for (LiveRange& r : ranges) r.last = 20;
  place_psum(b.program, ranges, testing::chip(), p);
  ASSERT_TRUE(p.misfit);
  EXPECT_EQ(p.misfit->tile, 8u);
}

}  // namespace
}  // namespace presil::backend
