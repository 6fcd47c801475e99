#include "backend/lower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/repeats.h"
#include "backend/test_chip.h"
#include "isa/rules.h"
#include "isa/slots.h"

namespace presil::backend {
namespace {

using isa::EngineKind;
using isa::TensorRole;
using testing::chip;
using ::testing::IsEmpty;
using tile::Builder;

// y = 2 * x, tile by tile; each tile 128 x `bytes`.
tile::TileProgram doubling(int64_t tiles, uint32_t bytes) {
  Builder b("doubling");
  uint32_t n = bytes / 4;
  uint32_t x = b.tensor("x", DType::fp32, {tiles, 128, n}, TensorRole::input);
  uint32_t y = b.tensor("y", DType::fp32, {tiles, 128, n}, TensorRole::output);
  b.begin_layer("double", "elementwise");
  auto step = static_cast<int32_t>(n);
  for (int64_t k = 0; k < tiles; ++k) {
    uint32_t in = b.sbuf(128, bytes, "in"), out = b.sbuf(128, bytes, "out");
    b.set_source("load");
    b.dma(b.tile_view(in, DType::fp32), b.hbm_view(x, k * 128 * n, {{step, 128}, {1, n}}));
    b.set_source("double");
    b.tensor_scalar({.dst = b.tile_view(out, DType::fp32),
                     .data = b.tile_view(in, DType::fp32),
                     .op0 = AluOp::multiply,
                     .operand0 = 2.0f});
    b.set_source("store");
    b.dma(b.hbm_view(y, k * 128 * n, {{step, 128}, {1, n}}), b.tile_view(out, DType::fp32));
  }
  return b.take();
}

const isa::Program& queue(const isa::Executable& e, EngineKind kind) {
  for (const isa::Program& q : e.queues) {
    if (q.code[0].engine == kind) return q;
  }
  CHECK(false, "no such queue");
}

TEST(Lower, OneTileNeedsOneWaitPerDependence) {
  Statistics statistics;
  isa::Executable e = lower(doubling(1, 4096), chip(), {}, &statistics).value();
  EXPECT_THAT(isa::verify(e, chip()), IsEmpty());
  ASSERT_EQ(e.queues.size(), 3u);
  const isa::Program &load = queue(e, EngineKind::sync), &work = queue(e, EngineKind::vector),
                     &store = queue(e, EngineKind::gpsimd);
  EXPECT_THAT(load.waits, IsEmpty());
  ASSERT_EQ(work.waits.size(), 1u);
  EXPECT_EQ(work.waits[0], (isa::Wait{load.code[0].signal, 16}));
  ASSERT_EQ(store.waits.size(), 1u);
  EXPECT_EQ(store.waits[0], (isa::Wait{work.code[0].signal, 1}));
  EXPECT_EQ(statistics.waits, 2u);
  EXPECT_EQ(e.tensors[0].address, 0u);
  EXPECT_EQ(e.tensors[1].address, 524288u);
  EXPECT_EQ(e.hbm_bytes, 1048576u);
}

TEST(Lower, TensorsStartAtPages) {
  Builder b;
  for (int k = 0; k < 3; ++k) b.tensor("t", DType::uint8, {k == 1 ? 4097 : 1}, TensorRole::scratch);
  isa::Executable e = lower(b.take(), chip()).value();
  EXPECT_EQ(e.tensors[1].address, 4096u);
  EXPECT_EQ(e.tensors[2].address, 12288u);
  EXPECT_EQ(e.hbm_bytes, 16384u);
}

TEST(Lower, ConstantsKeepTheirBytes) {
  Builder b;
  std::vector<std::byte> bytes(512);
  for (size_t k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<std::byte>(k * 7);
  uint32_t w = b.tensor("w", DType::uint8, {128, 4}, TensorRole::constant, bytes);
  b.dma(b.tile_view(b.sbuf(128, 4, "w"), DType::uint8), b.whole(w));
  EXPECT_EQ(lower(b.take(), chip()).value().tensors[0].data, bytes);
}

// On one engine only a result that is read needs a wait; an accumulating matmul not even that.
TEST(Lower, OrderWithinAnEngine) {
  Builder b;
  uint32_t w = b.tensor("w", DType::fp32, {128, 128}, TensorRole::input);
  uint32_t t = b.sbuf(128, 512, "w"), p = b.psum(128, 512, "p"), s = b.sbuf(128, 512, "s"), u = b.sbuf(128, 512, "u");
  auto view = [&](uint32_t tile) { return b.tile_view(tile, DType::fp32); };
  b.dma(view(t), b.whole(w));
  b.matmul({.dst = view(p), .stationary = view(t), .moving = view(t)});
  b.matmul({.dst = view(p), .stationary = view(t), .moving = view(t), .accumulate = true});
  b.tensor_copy({.dst = view(s), .src = view(p)});
  b.tensor_copy({.dst = view(s), .src = view(p)});  // writes what it wrote: no wait
  b.tensor_copy({.dst = view(u), .src = view(s)});  // reads what it wrote
  b.tensor_copy({.dst = view(s), .src = view(p)});  // writes what it read: no wait
  isa::Executable e = lower(b.take(), chip()).value();
  auto counts = [&](EngineKind kind) {
    std::vector<int> out;
    isa::Program flat = expand(queue(e, kind));
    for (const isa::Instruction& i : flat.code) out.push_back(i.wait_count);
    return out;
  };
  EXPECT_EQ(counts(EngineKind::tensor), (std::vector<int>{1, 0}));
  EXPECT_EQ(counts(EngineKind::vector), (std::vector<int>{1, 0, 1, 0}));
}

// A trigger is complete at once, its transfer is not: overwriting what a store still reads needs the transfer's
// semaphore, and so does loading what was stored.
TEST(Lower, TransfersAreOrderedByTheirOwnSemaphores) {
  Builder b;
  uint32_t scratch = b.tensor("s", DType::fp32, {128, 128}, TensorRole::scratch);
  uint32_t t = b.sbuf(128, 512, "t"), u = b.sbuf(128, 512, "u");
  b.memset({.dst = b.tile_view(t, DType::fp32), .engine = EngineKind::gpsimd});
  uint32_t store = b.dma(b.whole(scratch), b.tile_view(t, DType::fp32));
  uint32_t again = b.memset({.dst = b.tile_view(t, DType::fp32), .value = 1, .engine = EngineKind::gpsimd});
  uint32_t load = b.dma(b.tile_view(u, DType::fp32), b.whole(scratch), {.engine = EngineKind::gpsimd});
  EXPECT_EQ(load, again + 1);
  isa::Executable e = lower(b.take(), chip(), {.reroll = false}).value();
  const isa::Program& q = e.queues[0];
  EXPECT_EQ(q.waits_of(q.code[store])[0], (isa::Wait{q.code[0].signal, 1}));
  ASSERT_EQ(q.code[again].wait_count, 1);
  EXPECT_EQ(q.waits_of(q.code[again])[0], (isa::Wait{q.code[store].signal, 16}));
  EXPECT_EQ(q.code[load].wait_count, 0);  // the memset before it has waited for the store
}

TEST(Lower, ColumnBlocksOfATensorDoNotWaitForEachOther) {
  Builder b;
  uint32_t y = b.tensor("y", DType::fp32, {128, 4096}, TensorRole::output);
  for (int64_t k = 0; k < 8; ++k) {
    uint32_t t = b.sbuf(128, 2048, "t");
    b.memset({.dst = b.tile_view(t, DType::fp32)});
    b.dma(b.hbm_view(y, k * 512, {{4096, 128}, {1, 512}}), b.tile_view(t, DType::fp32));
  }
  isa::Executable e = lower(b.take(), chip(), {.reroll = false}).value();
  const isa::Program& stores = queue(e, EngineKind::gpsimd);
  for (const isa::Instruction& i : stores.code) EXPECT_EQ(i.wait_count, 1);
}

TEST(Lower, OrderEdgesWait) {
  Builder b;
  uint32_t t = b.sbuf(128, 64, "t"), u = b.sbuf(128, 64, "u");
  uint32_t first = b.memset({.dst = b.tile_view(t, DType::fp32)});
  uint32_t second = b.memset({.dst = b.tile_view(u, DType::fp32), .engine = EngineKind::gpsimd});
  b.order(first, second);
  isa::Executable e = lower(b.take(), chip()).value();
  EXPECT_EQ(queue(e, EngineKind::gpsimd).waits,
            (std::vector<isa::Wait>{{queue(e, EngineKind::vector).code[0].signal, 1}}));
}

TEST(Lower, LoadsRunAheadOfTheComputation) {
  spec::ChipSpec spec = chip();
  spec.sbuf.bytes_per_partition = 8 * 4096;
  isa::Executable e = lower(doubling(16, 4096), spec, {.reroll = false}).value();
  // Eight places: tiles 0 to 7 need none that was used before.
  const isa::Program &loads = queue(e, EngineKind::sync), &work = queue(e, EngineKind::vector);
  int free = 0;
  while (loads.code[static_cast<size_t>(free)].wait_count == 0) ++free;
  EXPECT_EQ(free, 4);  // four inputs and four outputs
  EXPECT_EQ(loads.waits_of(loads.code[4])[0].semaphore, work.code[0].signal);
  EXPECT_EQ(loads.waits_of(loads.code[4])[0].value, 1u);
}

TEST(Lower, ALongLoopIsStoredShort) {
  Statistics statistics;
  isa::Executable e = lower(doubling(2048, 16384), chip(), {}, &statistics).value();
  EXPECT_EQ(statistics.instructions, 3u * 2048);
  EXPECT_LT(statistics.stored, 600u);
  EXPECT_THAT(isa::verify(e, chip()), IsEmpty());
}

TEST(Lower, ANarrowSemaphoreIsFollowedByTheNext) {
  spec::ChipSpec spec = chip();
  spec.semaphores.maximum = 64;
  isa::Executable e = lower(doubling(300, 4096), spec).value();
  EXPECT_THAT(isa::verify(e, spec), IsEmpty());
  for (const isa::Program& q : e.queues) {
    isa::Program flat = expand(q);
    for (const isa::Wait& w : flat.waits) EXPECT_LE(w.value, 64u);
  }
}

std::string error_of(tile::TileProgram program, const spec::ChipSpec& spec) {
  Result<isa::Executable> e = lower(std::move(program), spec);
  return e ? "no error" : e.error().text();
}

TEST(LowerErrors, NameWhatDoesNotFit) {
  spec::ChipSpec spec = chip();
  spec.sbuf.bytes_per_partition = 6144;
  EXPECT_EQ(
      error_of(doubling(2, 4096), spec),
      "double: tensor_scalar needs 8.00 KiB per partition for its operands ('out' of 4.00 KiB, 'in' of 4.00 KiB), "
      "6.00 KiB of test are free for them");
  spec = chip();
  spec.hbm.bytes = 3 << 19;
  EXPECT_EQ(error_of(doubling(2, 4096), spec),
            "y: tensors need more than the 1.50 MiB of HBM that a core of test reaches");
  spec = chip();
  spec.semaphores.count = 4;
  EXPECT_EQ(error_of(doubling(2, 4096), spec),
            "doubling: 3 engines and 4 DMA queues need a semaphore each, the core has 4");
}

TEST(LowerErrors, NamePsumTiles) {
  Builder b;
  b.begin_layer("conv1", "conv");
  b.set_source("main");
  std::vector<uint32_t> tiles;
  for (int k = 0; k < 9; ++k) tiles.push_back(b.psum(128, 2048, "acc" + std::to_string(k)));
  for (uint32_t t : tiles) b.memset({.dst = b.tile_view(t, DType::fp32)});
  for (uint32_t t : tiles) b.memset({.dst = b.tile_view(t, DType::fp32)});
  EXPECT_EQ(error_of(b.take(), chip()),
            "conv1: tile 'acc8' needs 2.00 KiB in each of 128 partitions, all 8 PSUM banks of test are in use");
}

TEST(LowerErrors, ShowTheFirstFinding) {
  Builder b;
  b.begin_layer("layer", "copy");
  b.set_source("copy");
  uint32_t t = b.sbuf(128, 64, "t"), u = b.sbuf(128, 64, "u");
  b.tensor_copy({.dst = b.tile_view(t, DType::fp32), .src = b.tile_view(u, DType::fp32)});
  EXPECT_EQ(error_of(b.take(), chip()), "layer: instruction 0: tensor_copy src: reads 'u', which nothing has written");
}

}  // namespace
}  // namespace presil::backend
