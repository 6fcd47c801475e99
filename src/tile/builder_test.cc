#include "tile/builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "isa/slots.h"
#include "tile/print.h"
#include "tile/structure.h"
#include "tile/verify.h"

namespace presil::tile {
namespace {

using isa::Memory;
using isa::TensorRole;
using ::testing::HasSubstr;

spec::ChipSpec chip() {
  spec::ChipSpec s;
  s.name = "test";
  s.generation = 3;
  s.tensor.reads = {"sbuf"}, s.tensor.writes = {"psum"};
  s.vector.reads = s.vector.writes = s.scalar.reads = s.scalar.writes = {"sbuf", "psum"};
  s.gpsimd.reads = s.gpsimd.writes = {"sbuf"};
  s.sbuf = {.partitions = 128, .bytes_per_partition = 196608};
  s.psum = {.partitions = 128, .bytes_per_partition = 16384, .banks = 8};
  s.hbm.bytes = 1ull << 30;
  return s;
}

struct Copy {
  Builder b{"copy"};
  uint32_t x = b.tensor("x", DType::fp32, {128, 512}, TensorRole::input);
  uint32_t y = b.tensor("y", DType::fp32, {128, 512}, TensorRole::output);
  uint32_t t = b.sbuf(128, 2048, "x");
  uint32_t u = b.sbuf(128, 2048, "y");
  Copy() {
    b.begin_layer("layer", "elementwise", 0, 2 * 128 * 2048);
    b.set_source("load", "node");
  }
  View in() const { return b.tile_view(t, DType::fp32); }
  View out() const { return b.tile_view(u, DType::fp32); }
};

std::vector<std::string> texts(const std::vector<isa::Finding>& findings) {
  std::vector<std::string> out;
  for (const isa::Finding& f : findings) out.push_back(f.text());
  return out;
}

TEST(Builder, AppendsWhatItIsGiven) {
  Copy c;
  c.b.dma(c.in(), c.b.whole(c.x));
  c.b.set_source("scale");
  uint32_t scale = c.b.tensor_scalar({.dst = c.out(), .data = c.in(), .op0 = AluOp::multiply, .operand0 = 0.5f});
  c.b.set_source("store");
  uint32_t store = c.b.dma(c.b.whole(c.y), c.out());
  const isa::Program& code = c.b.program.code;
  EXPECT_EQ(code.code[0].engine, EngineKind::sync);
  EXPECT_EQ(code.code[0].dma_queue, kAnyQueue);
  EXPECT_EQ(code.f32(code.code[scale], isa::slots::tensor_scalar::imm0), 0.5f);
  EXPECT_FALSE(code.operand(code.code[scale], isa::slots::tensor_scalar::operand0).present());
  EXPECT_EQ(code.code[store].engine, EngineKind::gpsimd);
  EXPECT_EQ(c.b.program.sources[code.code[store].source].tile_op, "store");
  EXPECT_THAT(texts(verify(c.b.program, chip())), ::testing::IsEmpty());
}

TEST(Builder, EqualSourcesShareARow) {
  Copy c;
  for (int k = 0; k < 3; ++k) c.b.set_source("a"), c.b.set_source("b", "n");
  EXPECT_EQ(c.b.program.sources.size(), 3u);  // "load" of the fixture, "a", "b"
}

TEST(Builder, WholeMergesLeadingAxesBeyondTheRankOfAView) {
  Builder b;
  uint32_t t = b.tensor("t", DType::bf16, {2, 3, 4, 5, 6, 7}, TensorRole::input);
  View v = b.whole(t);
  EXPECT_EQ(v.rank, 5);
  EXPECT_EQ(v.elements(), 5040u);
  EXPECT_EQ(v.dims[0], (Dim{840, 6}));
  EXPECT_EQ(isa::simplified(v).rank, 1);
  uint32_t scalar = b.tensor("s", DType::fp32, {}, TensorRole::input);
  EXPECT_EQ(b.whole(scalar).elements(), 1u);
}

TEST(BuilderDeathTest, ViewsStayInside) {
  Copy c;
  EXPECT_DEATH(c.b.tile_view(c.t, DType::fp32, 0, 128, 4, {{1, 512}}), "bytes 4..2052 of tile 'x' with 2048");
  EXPECT_DEATH(c.b.tile_view(c.t, DType::fp32, 1, 128, 0, {{1, 512}}), "partitions 1\\+128 of tile 'x' with 128");
  EXPECT_DEATH(c.b.hbm_view(c.x, 1, {{512, 128}, {1, 512}}), "bytes 4..262148 of tensor 'x' with 262144");
  EXPECT_DEATH(c.b.dma(c.in(), c.b.hbm_view(c.x, 0, {{1, 512}})), "a transfer moves 512 elements into 65536");
}

TEST(Verify, ReadsOfWhatNothingHasWritten) {
  Copy c;
  c.b.tensor_copy({.dst = c.out(), .src = c.in()});
  c.b.dma(c.in(), c.b.whole(c.y));
  EXPECT_THAT(texts(verify(c.b.program, chip())),
              ::testing::ElementsAre("instruction 0: tensor_copy src: reads 'x', which nothing has written",
                                     "instruction 1: dma_copy src: reads 'y', which nothing has written"));
}

TEST(Verify, CustomFunctionsHaveTables) {
  Copy c;
  c.b.dma(c.in(), c.b.whole(c.x));
  c.b.activation({.dst = c.out(), .data = c.in(), .op = Activation::custom1});
  EXPECT_THAT(texts(verify(c.b.program, chip())),
              ::testing::ElementsAre("instruction 1: activation op: custom1, there are 0 tables"));
  c.b.program.activations.assign(2, {"f", {{-INFINITY, 0, {}}}});
  EXPECT_THAT(texts(verify(c.b.program, chip())), ::testing::IsEmpty());
}

TEST(Verify, TilesMustFitTheChip) {
  Builder b("tiles");
  b.sbuf(129, 4, "tall");
  b.sbuf(1, 200000, "long");
  b.psum(128, 2052, "bank");
  b.sbuf(40, 4, "start", {.partition = 32});
  b.sbuf(32, 4, "quarter", {.partition = 32});
  EXPECT_THAT(
      texts(verify(b.program, chip())),
      ::testing::ElementsAre("tile 'tall': takes partitions 0 to 128, sbuf has 128",
                             "tile 'long': has 200000 bytes per partition, SBUF has 196608",
                             "tile 'bank': has 2052 bytes per partition, a PSUM bank has 2048",
                             "tile 'start': is fixed to partition 32, 40 partitions start at a multiple of 64"));
}

TEST(Verify, EngineOperandsStartAtAQuarterOfTheirTile) {
  Copy c;
  c.b.dma(c.in(), c.b.whole(c.x));
  c.b.tensor_copy({.dst = c.b.tile_view(c.u, DType::fp32, 32, 32, 0, {{1, 4}}),
                   .src = c.b.tile_view(c.t, DType::fp32, 16, 32, 0, {{1, 4}})});
  EXPECT_THAT(
      texts(verify(c.b.program, chip())),
      ::testing::ElementsAre("instruction 1: tensor_copy src: starts at partition 16 of 'x', 32 partitions start "
                             "at a multiple of 32"));
}

TEST(Verify, TheRulesOfInstructionsApply) {
  Copy c;
  c.b.dma(c.in(), c.b.whole(c.x));
  c.b.tensor_copy({.dst = c.out(), .src = c.in(), .engine = EngineKind::tensor});
  std::vector<std::string> found = texts(verify(c.b.program, chip()));
  ASSERT_FALSE(found.empty());
  EXPECT_THAT(found[0], HasSubstr("instruction 1: tensor_copy: does not run on the tensor engine"));
}

TEST(Print, ShowsEverything) {
  Copy c;
  c.b.sbuf(32, 4, "fixed", {.partition = 32, .offset = 64});
  c.b.dma(c.in(), c.b.whole(c.x));
  c.b.tensor_copy({.dst = c.out(), .src = c.in()});
  c.b.order(0, 1);
  EXPECT_EQ(print(c.b.program), R"(tile_program "copy" precision=fp32
tensor %0 input fp32[128 512] "x"
tensor %1 output fp32[128 512] "y"
tile %0 sbuf 128x2048 "x"
tile %1 sbuf 128x2048 "y"
tile %2 sbuf 32x4 p32 @64 "fixed"
layer 0 elementwise macs=0 bytes=524288 "layer"
source 0 layer=0 "load" "node"
order 0 before 1
code
sync dma_copy dst=sbuf.fp32[%0 p0+128 512] src=hbm.fp32[%0 128 512] queue=255 source=0
vector tensor_copy dst=sbuf.fp32[%1 p0+128 512] src=sbuf.fp32[%0 p0+128 512] source=0
)");
}

// y[k] = 2 x[k] for as many rows as `n` says, at most 8; nothing where it says 0.
struct Rows : Copy {
  uint32_t n = b.tensor("n", DType::int32, {1}, TensorRole::input);
  Register count = b.load_register(b.whole(n));
  void body(Register counter) {
    const View row = b.hbm_view(x, 0, {{512, 4}, {1, 512}});
    View in = c_in(), out = c_out();
    b.dma(in, b.moving(row, counter, 4 * 2048));
    b.tensor_scalar({.dst = out, .data = in, .op0 = AluOp::multiply, .operand0 = 2.0f});
    b.dma(b.moving(b.hbm_view(y, 0, {{512, 4}, {1, 512}}), counter, 4 * 2048), out);
  }
  View c_in() const { return b.tile_view(t, DType::fp32, 0, 4, 0, {{1, 512}}); }
  View c_out() const { return b.tile_view(u, DType::fp32, 0, 4, 0, {{1, 512}}); }
};

TEST(Builder, LoopsAndChoicesHaveTheirTextForm) {
  Rows r;
  r.b.loop(0, r.count, 1, [&](Register counter) { r.body(counter); });
  r.b.begin_if(AluOp::lt, r.count, 8);
  const Register more = r.b.compute(AluOp::add, r.count, 1);
  r.b.store_register(r.b.whole(r.n), more);
  r.b.begin_else();
  r.b.end_if();
  EXPECT_TRUE(texts(verify(r.b.program, chip())).empty()) << texts(verify(r.b.program, chip()))[0];
  EXPECT_THAT(print(r.b.program), HasSubstr(R"(registers 3
code
sync register_load src=hbm.int32[%2 1] dst=r0 source=0
sync loop counter=r1 until=r0 to=6 source=0
sync dma_copy dst=sbuf.fp32[%0 p0+4 512] src=hbm.fp32[%0 4 512]{r1+8192} queue=255 source=0
vector tensor_scalar dst=sbuf.fp32[%1 p0+4 512] data=sbuf.fp32[%0 p0+4 512] op0=multiply imm0=2 source=0
gpsimd dma_copy dst=hbm.fp32[%1 4 512]{r1+8192} src=sbuf.fp32[%1 p0+4 512] queue=255 source=0
sync loop_end to=1 source=0
sync branch op=ge a=r0 imm=8 to=9 source=0
sync register_alu dst=r2 a=r0 imm=1 source=0
sync register_store dst=hbm.int32[%2 1] src=r2 source=0
)"));
}

TEST(Structure, IsATreeOfWhatTheBuilderMade) {
  Rows r;
  const Register go = r.b.make_register(1);
  r.b.while_loop(go, [&] {
    r.b.begin_if(AluOp::eq, r.count, 3);
    r.b.assign(go, 0);
    r.b.begin_else();
    r.b.loop(0, 4, 1, [&](Register counter) { r.body(counter); });
    r.b.end_if();
    r.b.leave_unless(go);
  });
  std::vector<isa::Finding> findings;
  const std::vector<Region> regions = structure(r.b.program.code, &findings);
  ASSERT_TRUE(findings.empty()) << findings[0].text();
  ASSERT_EQ(regions.size(), 2u);
  const Region& loop = regions[1];
  EXPECT_EQ(loop.kind, Region::Kind::loop);
  EXPECT_EQ(loop.body_first, loop.first + 2);  // behind the branch that leaves
  EXPECT_EQ(loop.body_last, loop.last - 2);
  ASSERT_EQ(loop.body.size(), 1u);
  const Region& choice = loop.body[0];
  EXPECT_EQ(choice.kind, Region::Kind::choice);
  ASSERT_EQ(choice.body.size(), 1u);
  EXPECT_EQ(choice.body[0].kind, Region::Kind::straight);
  ASSERT_EQ(choice.otherwise.size(), 1u);
  EXPECT_EQ(choice.otherwise[0].kind, Region::Kind::loop);
}

TEST(Verify, SaysWhatRegistersAndLoopsMayNotDo) {
  Rows r;
  const Register unset{r.b.program.registers++};
  r.b.loop(0, 4, 1, [&](Register counter) {
    r.b.assign(counter, 2);
    r.b.load_register(unset, r.b.whole(r.n));
  });
  r.b.compute(AluOp::add, unset, 1);
  r.b.compute(AluOp::power, r.count, 1);
  r.b.assign(Register{77}, r.count);
  EXPECT_EQ(texts(verify(r.b.program, chip())),
            (std::vector<std::string>{
                "instruction 2: register_move: changes register 2, which counts a loop around it",
                "instruction 5: register_alu: reads register 1, which may hold nothing yet",
                "instruction 6: register_alu: power is not an operator of registers",
                "instruction 7: register_move: register 77, the program has 5",
            }));
  Rows crossing;
  crossing.b.begin_if(AluOp::eq, crossing.count, 1);
  crossing.b.begin_loop(0, 3);
  crossing.b.assign(crossing.count, 1);
  crossing.b.end_loop();
  crossing.b.end_if();
  isa::Program& code = crossing.b.program.code;
  code.attributes[code.code[1].attribute_begin + isa::slots::branch::to] = 4;
  EXPECT_THAT(texts(verify(crossing.b.program, chip())),
              ::testing::Contains("instruction 2: loop: is no part of a loop or a choice that nests with the others"));
}

}  // namespace
}  // namespace presil::tile
