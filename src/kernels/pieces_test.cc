// Loop nests cut into instructions: every element once, in order, and every piece encodable; limits are tight.
#include "kernels/pieces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/prng.h"

namespace presil::kernels {
namespace {

using testing::ElementsAre;

isa::View start(DType dtype, int64_t offset, isa::Memory memory = isa::Memory::sbuf) {
  return {.memory = memory, .dtype = dtype, .base = 0, .offset = offset};
}

// Byte offsets of a view's elements, in order.
std::vector<int64_t> offsets(const isa::View& v) {
  std::vector<int64_t> out = {v.offset};
  for (const isa::Dim& dim : v.pattern()) {
    std::vector<int64_t> next;
    for (int64_t at : out) {
      for (uint32_t i = 0; i < dim.count; ++i) {
        next.push_back(at + int64_t{dim.step} * i * static_cast<int64_t>(dtype_bytes(v.dtype)));
      }
    }
    out = std::move(next);
  }
  return out;
}

struct Pieces {
  size_t count = 0;
  uint64_t largest = 0;
  std::vector<std::vector<int64_t>> visited;  // per operand
};
Pieces cut(const std::vector<isa::View>& operands, const std::vector<Loop>& loops, const Limits& limits = {}) {
  Pieces out{.visited = std::vector<std::vector<int64_t>>(operands.size())};
  for_each_piece(operands, loops, limits, [&](std::span<const isa::View> views) {
    ++out.count;
    for (size_t k = 0; k < views.size(); ++k) {
      out.largest = std::max(out.largest, views[k].elements_per_partition());
      EXPECT_LE(views[k].rank, 4);
      for (const isa::Dim& dim : views[k].pattern()) {
        if (!limits.engine) continue;
        EXPECT_LE(dim.count, 65535u);
        EXPECT_LE(std::abs(dim.step), 32767);
      }
      for (int64_t at : offsets(views[k])) out.visited[k].push_back(at);
    }
  });
  return out;
}

TEST(Pieces, OneWhereOneFits) {
  EXPECT_EQ(cut({start(DType::fp32, 0)}, {{2, {40}}, {3, {10}}, {5, {1}}}).count, 1u);
  EXPECT_EQ(cut({start(DType::fp32, 0)}, {}).count, 1u);
  EXPECT_EQ(cut({start(DType::fp32, 0)}, {{256, {256}}, {255, {1}}}).count, 1u);
  EXPECT_EQ(cut({start(DType::fp32, 0)}, {{2, {32768}}, {32768, {1}}}, {.elements = 65536}).count, 2u)
      << "a count of 65536 has 17 bits";
}

TEST(Pieces, ElementsOfAnInstruction) {
  const Pieces even = cut({start(DType::bf16, 0)}, {{10, {100}}, {7, {1}}}, {.elements = 30});
  EXPECT_EQ(even.count, 3u) << "of four, four and two rows";
  EXPECT_EQ(even.largest, 28u);
  EXPECT_EQ(cut({start(DType::fp32, 0, isa::Memory::psum)}, {{8192, {1}}}).count, 2u);
  EXPECT_EQ(cut({start(DType::fp32, 0)}, {{8192, {1}}}).count, 1u);
}

TEST(Pieces, StepsBeyondTheEncodingAreUnrolled) {
  EXPECT_EQ(cut({start(DType::fp32, 0)}, {{3, {32767}}, {4, {2}}}).count, 1u);
  EXPECT_EQ(cut({start(DType::fp32, 0)}, {{3, {32768}}, {4, {2}}}).count, 3u);
  EXPECT_EQ(cut({start(DType::fp32, 0)}, {{3, {32768}}, {4, {8192}}}).count, 1u) << "the two merge";
  EXPECT_EQ(cut({start(DType::fp32, 0)}, {{3, {32768}}, {4, {2}}}, {.engine = false}).count, 1u);
}

// Five dims that do not merge: the shortest loop is unrolled.
TEST(Pieces, FourDimsAtMost) {
  const std::vector<Loop> loops = {{3, {10000}}, {4, {1000}}, {2, {300}}, {5, {20}}, {6, {2}}};
  EXPECT_EQ(cut({start(DType::fp32, 0)}, loops).count, 2u);
}

// Dims of the operand itself stay innermost and whole.
TEST(Pieces, OwnDimsAreKept) {
  isa::View own = start(DType::fp32, 0);
  own.rank = 2, own.dims[0] = {50, 3}, own.dims[1] = {1, 4};
  const isa::View dst = start(DType::fp32, 0);
  std::vector<uint8_t> ranks;
  for_each_piece({dst, own}, {{5, {6, 1000}}, {2, {3, 200}}, {3, {1, 2}}}, {}, [&](std::span<const isa::View> v) {
    ranks.push_back(v[1].rank);
    EXPECT_THAT(std::vector(v[1].dims.begin() + v[1].rank - 2, v[1].dims.begin() + v[1].rank),
                ElementsAre(isa::Dim{50, 3}, isa::Dim{1, 4}));
  });
  EXPECT_THAT(ranks, ElementsAre(4, 4)) << "loops of 5, 2 and 3 leave room for two; that of 2 is unrolled";
}

TEST(Pieces, RandomNestsVisitEveryElementInStep) {
  Prng prng(7);
  for (int trial = 0; trial < 300; ++trial) {
    const std::vector<isa::View> operands = {start(DType::fp32, 64), start(DType::bf16, 128)};
    std::vector<Loop> loops;
    std::vector<std::pair<int64_t, int64_t>> expected = {{64, 128}};
    for (int64_t depth = prng.between(0, 6); depth > 0; --depth) {
      Loop loop{.count = prng.between(1, 4)};
      for (size_t k = 0; k < 2; ++k) loop.steps[k] = prng.below(4) == 0 ? 0 : prng.between(-40000, 40000);
      loops.push_back(loop);
      std::vector<std::pair<int64_t, int64_t>> next;
      for (auto [a, b] : expected) {
        for (int64_t i = 0; i < loop.count; ++i)
          next.emplace_back(a + 4 * i * loop.steps[0], b + 2 * i * loop.steps[1]);
      }
      expected = std::move(next);
    }
    const Pieces pieces = cut(operands, loops, {.elements = prng.between(1, 200)});
    std::vector<std::pair<int64_t, int64_t>> visited;
    ASSERT_EQ(pieces.visited[0].size(), pieces.visited[1].size());
    for (size_t i = 0; i < pieces.visited[0].size(); ++i) {
      visited.emplace_back(pieces.visited[0][i], pieces.visited[1][i]);
    }
    // Unrolling may change the order of pieces, not which elements meet.
    std::sort(visited.begin(), visited.end());
    std::sort(expected.begin(), expected.end());
    ASSERT_EQ(visited, expected);
  }
}

TEST(Pieces, CutsOfThePartitionAxis) {
  Block block{.shape = {300}, .groups = {{0, 128}, {1, 20}, {2, 152}}};
  std::vector<int64_t> begins, counts;
  for (const Cut& c : cuts(block, 64)) begins.push_back(c.begin), counts.push_back(c.count);
  EXPECT_THAT(begins, ElementsAre(0, 64, 128, 148, 212, 276));
  EXPECT_THAT(counts, ElementsAre(64, 64, 20, 64, 64, 24));
}

}  // namespace
}  // namespace presil::kernels
