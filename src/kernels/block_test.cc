// Where the elements of a Block lie, through its views; reshapes and slices against moving the elements one by one.
#include "kernels/block.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "base/prng.h"
#include "kernels/hbm.h"

namespace presil::kernels {
namespace {

using testing::ElementsAre;
using Extents = std::vector<int64_t>;

spec::ChipSpec chip(uint32_t partitions = 128) {
  spec::ChipSpec spec;
  spec.sbuf = {.partitions = partitions, .bytes_per_partition = 192 << 10, .banks = 1};
  return spec;
}

struct Place {
  uint32_t tile;
  int64_t partition, byte;
  auto operator<=>(const Place&) const = default;
};

// Places of the elements of a view, in its order.
std::vector<Place> places(const isa::View& v) {
  std::vector<Place> out;
  for (int64_t p = 0; p < v.partitions; ++p) {
    std::function<void(int, int64_t)> walk = [&](int d, int64_t offset) {
      if (d == v.rank) return out.push_back({v.base, v.partition + p, offset});
      const isa::Dim& dim = v.dims[static_cast<size_t>(d)];
      for (uint32_t i = 0; i < dim.count; ++i) {
        walk(d + 1, offset + int64_t{i} * dim.step * static_cast<int64_t>(dtype_bytes(v.dtype)));
      }
    };
    walk(0, v.offset);
  }
  return out;
}

// Place of one logical element.
Place place(const Block& b, Extents index) {
  const auto p = static_cast<size_t>(b.partition_axis);
  size_t g = 0;
  while (index[p] >= b.groups[g].partitions) index[p] -= b.groups[g++].partitions;
  std::vector<Range> ranges;
  for (int64_t i : index) ranges.push_back({i, 1, 1});
  return places(view(b, g, ranges))[0];
}

// Calls fn with every index of `shape` in row-major order.
void for_each(const Extents& shape, const std::function<void(const Extents&)>& fn) {
  Extents index(shape.size(), 0);
  while (true) {
    fn(index);
    size_t axis = shape.size();
    while (axis > 0 && ++index[axis - 1] == shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

std::vector<Place> row_major_places(const Block& b) {
  std::vector<Place> out;
  for_each(b.shape, [&](const Extents& index) { out.push_back(place(b, index)); });
  return out;
}

TEST(Block, GroupsAreFullBeforeTheLast) {
  tile::Builder build;
  spec::ChipSpec spec = chip();
  Context context{build, spec};
  Block b = allocate(context, DType::bf16, {2, 300, 5, 7}, 1, "x");
  ASSERT_EQ(b.groups.size(), 3u);
  EXPECT_EQ(b.groups[2].partitions, 44);
  EXPECT_EQ(build.program.tiles[b.groups[2].tile].partitions, 44);
  EXPECT_EQ(build.program.tiles[b.groups[0].tile].bytes, 140u);
  EXPECT_EQ(b.free_elements(), 70);
  EXPECT_THAT(b.strides, ElementsAre(35, 0, 7, 1));
  EXPECT_EQ(b.full_rows, 5);
}

TEST(Block, ViewMergesContiguousAxes) {
  tile::Builder build;
  spec::ChipSpec spec = chip();
  Context context{build, spec};
  Block b = allocate(context, DType::fp32, {2, 3, 5, 7}, 1, "x");
  EXPECT_EQ(view(b, 0).rank, 1);
  isa::View v = view(b, 0, {{1, 1}, {1, 2}, {1, 2, 2}, {6, 4, -2}});
  EXPECT_EQ(v.rank, 2);
  EXPECT_EQ(v.partition, 1);
  EXPECT_EQ(v.partitions, 2);
  EXPECT_EQ(v.dims[0], (isa::Dim{14, 2}));
  EXPECT_EQ(v.dims[1], (isa::Dim{-2, 4}));
  EXPECT_EQ(v.offset, (35 + 7 + 6) * 4);
  isa::View repeated = view(b, 0, {{0, 1}, {0, 3}, {0, 5}, {3, 6, 0}});
  EXPECT_EQ(repeated.dims[1], (isa::Dim{0, 6}));
}

TEST(BlockDeathTest, ViewOutsideIsOurBug) {
  tile::Builder build;
  spec::ChipSpec spec = chip();
  Context context{build, spec};
  Block b = allocate(context, DType::fp32, {2, 5}, 0, "x");
  EXPECT_DEATH((void)view(b, 0, {{0, 2}, {1, 5}}), "elements 1 to 5 of an axis of 5");
}

TEST(Block, ReshapeKeepsEveryElementOrRefuses) {
  tile::Builder build;
  spec::ChipSpec spec = chip(4);
  Context context{build, spec};
  struct Case {
    Extents from;
    int axis;
    Extents to;
    bool possible;
  };
  const Case cases[] = {
      {{2, 6, 3, 4}, 1, {2, 6, 12}, true}, {{2, 6, 12}, 1, {2, 6, 2, 3, 2}, true},
      {{2, 6, 3, 4}, 1, {12, 12}, false},  {{1, 6, 3, 4}, 1, {6, 12}, true},
      {{6, 2, 1, 5}, 0, {6, 10}, true},    {{6, 10}, 0, {1, 1, 6, 1, 10, 1}, true},
      {{2, 3, 6}, 2, {6, 6}, true},        {{2, 3, 6}, 2, {6, 3, 2}, false},
      {{4, 1, 5}, 1, {1, 4, 5}, false},    {{4, 1, 5}, 1, {2, 2, 1, 5}, true},
      {{1, 1, 1}, 0, {1}, true},           {{3, 4}, 0, {4, 3}, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(testing::PrintToString(c.from) + " to " + testing::PrintToString(c.to));
    Block b = allocate(context, DType::fp32, c.from, c.axis, "x");
    std::optional<Block> r = reshaped(b, c.to);
    ASSERT_EQ(r.has_value(), c.possible);
    if (r) {
      EXPECT_EQ(row_major_places(*r), row_major_places(b));
    }
  }
}

TEST(Block, ReshapeOfStridedBlocks) {
  tile::Builder build;
  spec::ChipSpec spec = chip();
  Context context{build, spec};
  Block b = allocate(context, DType::fp32, {3, 4, 5, 6}, 0, "x");
  Block t = transposed(b, {2, 0, 1, 3});
  EXPECT_EQ(t.partition_axis, 1);
  EXPECT_FALSE(reshaped(transposed(b, {0, 2, 1, 3}), {3, 20, 6}));
  std::optional<Block> s = sliced(b, 3, {1, 2, 3});
  ASSERT_TRUE(s);
  std::optional<Block> r = reshaped(*s, {3, 20, 2});
  ASSERT_TRUE(r);
  EXPECT_EQ(row_major_places(*r), row_major_places(*s));
  EXPECT_EQ(place(*s, {1, 2, 3, 1}), place(b, {1, 2, 3, 4}));
  EXPECT_EQ(place(t, {3, 1, 2, 5}), place(b, {1, 2, 3, 5}));
}

TEST(Block, SliceOfPartitionsBeginsWithAGroup) {
  tile::Builder build;
  spec::ChipSpec spec = chip(4);
  Context context{build, spec};
  Block b = allocate(context, DType::fp32, {2, 10, 3}, 1, "x");
  for (int64_t begin = 0; begin < 10; ++begin) {
    for (int64_t count = 1; begin + count <= 10; ++count) {
      std::optional<Block> s = sliced(b, 1, {begin, count, 1});
      ASSERT_EQ(s.has_value(), begin % 4 == 0);
      if (s) {
        EXPECT_EQ(place(*s, {1, count - 1, 2}), place(b, {1, begin + count - 1, 2}));
      }
    }
  }
  EXPECT_FALSE(sliced(b, 1, {0, 2, 2}));
}

TEST(Block, JoinedListsTheGroups) {
  tile::Builder build;
  spec::ChipSpec spec = chip(4);
  Context context{build, spec};
  Block a = allocate(context, DType::fp32, {2, 6, 3}, 1, "a"), b = allocate(context, DType::fp32, {2, 5, 3}, 1, "b");
  std::optional<Block> j = joined({a, b});
  ASSERT_TRUE(j);
  EXPECT_THAT(j->shape, ElementsAre(2, 11, 3));
  EXPECT_EQ(place(*j, {1, 7, 2}), place(b, {1, 1, 2}));
  EXPECT_FALSE(joined({a, transposed(allocate(context, DType::fp32, {3, 5, 2}, 1, "c"), {2, 1, 0})}));
  EXPECT_FALSE(joined({a, allocate(context, DType::bf16, {2, 5, 3}, 1, "d")}));
}

// Runs the DMAs of a program over places and HBM element numbers.
std::map<Place, int64_t> run_loads(const tile::TileProgram& program) {
  std::map<Place, int64_t> held;
  for (const isa::Instruction& i : program.code.code) {
    EXPECT_EQ(i.opcode, isa::Opcode::dma_copy);
    isa::View dst = program.code.operand(i, 0), src = program.code.operand(i, 1);
    EXPECT_LE(dst.rank, 4);
    EXPECT_LE(dst.bytes(), 2u << 20);
    std::vector<Place> to = places(dst), from = places(src);
    for (size_t k = 0; k < to.size(); ++k) EXPECT_TRUE(held.emplace(to[k], from[k].byte / 4).second) << "loaded twice";
  }
  return held;
}

TEST(Transfer, EveryElementGoesWhereTheBlockSays) {
  const struct {
    Extents shape;
    int axis;
    int64_t row_begin = 0, rows = 0;
  } cases[] = {{{3, 5, 7, 11}, 1},
               {{2, 130, 3, 5}, 1},
               {{2, 13, 9, 5}, 1, 4, 3},
               {{7, 260}, 1},
               {{260, 7}, 0},
               {{1}, 0},
               {{2, 3, 2, 3, 2, 5, 3}, 3},
               {{4, 6, 10}, 2},
               {{1, 2, 700, 500}, 1, 100, 590},
               {{1, 200, 3, 40}, 2, 1, 2}};
  for (const auto& c : cases) {
    SCOPED_TRACE(testing::PrintToString(c.shape));
    tile::Builder build;
    spec::ChipSpec spec = chip();
    Context context{build, spec};
    Extents held = c.shape;
    if (c.rows > 0) held[2] = c.rows;
    Block b = allocate(context, DType::fp32, held, c.axis, "x");
    HbmView from = row_major(build.tensor("x", DType::fp32, c.shape, isa::TensorRole::input), DType::fp32, c.shape);
    if (c.rows > 0) from = sliced(from, 2, {c.row_begin, c.rows});
    load(context, from, b);
    std::map<Place, int64_t> loaded = run_loads(build.program);
    int64_t seen = 0;
    for_each(held, [&](const Extents& index) {
      int64_t element = 0;
      for (size_t axis = 0; axis < index.size(); ++axis) {
        element = element * c.shape[axis] + index[axis] + (axis == 2 ? c.row_begin : 0);
      }
      seen += loaded.at(place(b, index)) == element;
    });
    EXPECT_EQ(seen, static_cast<int64_t>(loaded.size()));
    EXPECT_EQ(seen, b.free_elements() * held[static_cast<size_t>(c.axis)]);
  }
}

TEST(Transfer, StoreIsLoadReversed) {
  tile::Builder build;
  spec::ChipSpec spec = chip();
  Context context{build, spec};
  const Extents shape = {2, 200, 5, 3};
  Block b = allocate(context, DType::fp32, shape, 1, "x");
  const HbmView x = row_major(build.tensor("x", DType::fp32, shape, isa::TensorRole::input), DType::fp32, shape);
  load(context, x, b);
  store(context, b, x);
  const isa::Program& code = build.program.code;
  ASSERT_EQ(code.code.size(), 4u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(code.operand(code.code[i], 0), code.operand(code.code[i + 2], 1));
    EXPECT_EQ(code.operand(code.code[i], 1), code.operand(code.code[i + 2], 0));
  }
}

TEST(Transfer, LargeLoadsAreCut) {
  tile::Builder build;
  spec::ChipSpec spec = chip();
  Context context{build, spec};
  const Extents shape = {128, 96, 256};  // 12 MiB
  const HbmView x = row_major(build.tensor("x", DType::fp32, shape, isa::TensorRole::input), DType::fp32, shape);
  load(context, x, allocate(context, DType::fp32, shape, 0, "x"));
  EXPECT_EQ(build.program.code.code.size(), 12u);
}

}  // namespace
}  // namespace presil::kernels
