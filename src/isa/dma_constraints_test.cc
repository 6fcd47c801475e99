// What transfers demand of indices, descriptors and service classes, one case per message.
#include <gtest/gtest.h>

#include "isa/rule_cases.h"

namespace presil::isa {
namespace {

using namespace testing;

constexpr DType B = DType::bf16, U = DType::uint32;

uint32_t word_of(DgeMode m) { return static_cast<uint32_t>(m); }

// A legal gather, scatter, transposing gather, sum of and into rows.
void gathers(Program& p, Last i) {
  p.code[0].engine = EngineKind::gpsimd;
  i.operand("dst", sbuf(32, {20})).operand("src", hbm({50, 20})).operand("index", sbuf(32, {1}, U));
}
void scatters(Program& p, Last i) {
  p.code[0].engine = EngineKind::gpsimd;
  i.operand("dst", hbm({50, 20})).operand("src", sbuf(32, {20})).operand("index", sbuf(32, {1}, U)).word("scatter", 1);
}
void turns(Program& p, Last i) {
  p.code[0].engine = EngineKind::gpsimd;
  i.operand("dst", sbuf(20, {48}, B)).operand("src", hbm({50, 20}, B)).operand("index", sbuf(64, {1}, U));
}
void adds_rows(Program& p, Last i) {
  p.code[0].engine = EngineKind::gpsimd;
  i.operand("dst", sbuf(32, {20})).operand("src0", sbuf(32, {20})).operand("src1", hbm({50, 20}, B));
  i.operand("index", sbuf(32, {1}, U));
}
void adds_into_rows(Program& p, Last i) {
  p.code[0].engine = EngineKind::gpsimd;
  i.operand("dst", hbm({50, 20})).operand("src0", hbm({50, 20})).operand("src1", sbuf(32, {20}, B));
  i.operand("index", sbuf(32, {1}, U));
}

TEST(Constraints, RowsByIndex) {
  expect_messages({
      {Opcode::dma_copy, gathers, {}},
      {Opcode::dma_copy, scatters, {}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         gathers(p, i);
         i.operand("src", hbm({1, 4, 5})).operand("dst", hbm({32, 20})).word("oob_mode", 1).word("dge_mode", 1);
       },
       {}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         gathers(p, i);
         i.operand("src", hbm({50, 20}, B));
       },
       {"dma_copy src: type is bf16, dst has fp32"}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         gathers(p, i);
         i.operand("src", hbm({50, 21}));
       },
       {"dma_copy src: 21 elements per row, dst has 20"}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         scatters(p, i);
         i.operand("dst", hbm({50, 21}));
       },
       {"dma_copy dst: 21 elements per row, src has 20"}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         scatters(p, i);
         View table = hbm({50, 20});
         table.dims[0].step = 19;
         i.operand("dst", table);
       },
       {"dma_copy dst: rows share elements: a step of 19 behind 20 elements"}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         gathers(p, i);
         i.operand("src", hbm({}));
       },
       {"dma_copy src: 0 dimensions, the first counts the rows of the table"}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         gathers(p, i);
         i.operand("src", sbuf(32, {20}));
       },
       {"dma_copy src: is in sbuf, a table is in hbm"}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         gathers(p, i);
         i.operand("index", sbuf(31, {2}, DType::int64));
       },
       {"dma_copy index: type is int64; legal: uint32, int32", "dma_copy index: 2 elements per partition, from 1 to 1",
        "dma_copy index: 31 partitions, dst has 32 rows"}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         gathers(p, i);
         p.code[0].engine = EngineKind::sync;
       },
       {"dma_copy index: needs gpsimd, which makes the descriptors; this is sync"}},
      {Opcode::dma_copy, gathers, {"dma_copy index: needs generation 3, test is generation 2"}, chip(128, 2)},
      {Opcode::dma_copy,
       [](Program&, Last i) { i.word("scatter", 1).word("oob_mode", 1); },
       {"dma_copy oob_mode: skip, but there is no index", "dma_copy scatter: there is no index"}},
  });
}

TEST(Constraints, TransposesOfRows) {
  expect_messages({
      {Opcode::dma_transpose, turns, {}},
      {Opcode::dma_transpose,
       [](Program& p, Last i) {
         turns(p, i);
         i.operand("dst", sbuf(20, {240}, B)).operand("index", sbuf(128, {2}, U));
       },
       {}},
      {Opcode::dma_transpose,
       [](Program& p, Last i) {
         turns(p, i);
         i.operand("dst", sbuf(20, {48})).operand("src", hbm({50, 20})).operand("index", sbuf(64, {1}, DType::int32));
       },
       {"dma_transpose index: type is int32; legal: uint32",
        "dma_transpose src: type is fp32, rows by index have "
        "2-byte elements"}},
      {Opcode::dma_transpose,
       [](Program& p, Last i) {
         turns(p, i);
         i.operand("src", hbm({50, 129}, B));
       },
       {"dma_transpose src: 129 elements per row, at most 128",
        "dma_transpose dst: 20 partitions, a row of src has "
        "129"}},
      {Opcode::dma_transpose,
       [](Program& p, Last i) {
         turns(p, i);
         i.operand("dst", sbuf(20, {49}, B)).operand("index", sbuf(40, {1}, U));
       },
       {"dma_transpose dst: 49 elements per partition, expected a multiple of 16",
        "dma_transpose index: 40 partitions, expected a multiple of 16 up to 128",
        "dma_transpose index: 40 indices, dst has 49 columns"}},
      {Opcode::dma_transpose,
       [](Program& p, Last i) {
         turns(p, i);
         i.operand("index", sbuf(64, {2}, U));
       },
       {"dma_transpose index: 64 partitions, several columns need 128"}},
      {Opcode::dma_transpose, turns, {"dma_transpose index: needs generation 3, test is generation 2"}, chip(128, 2)},
  });
}

TEST(Constraints, SumsOfRows) {
  expect_messages({
      {Opcode::dma_compute, adds_rows, {}},
      {Opcode::dma_compute, adds_into_rows, {}},
      {Opcode::dma_compute,
       [](Program& p, Last i) {
         adds_rows(p, i);
         i.operand("src2", sbuf(32, {20}));
       },
       {"dma_compute index: takes exactly two sources"}},
      {Opcode::dma_compute,
       [](Program& p, Last i) {
         adds_rows(p, i);
         i.operand("src0", sbuf(32, {20}, B));
       },
       {"dma_compute src0: is not dst, which an indirect sum adds to"}},
      {Opcode::dma_compute,
       [](Program& p, Last i) {
         adds_into_rows(p, i);
         i.operand("src1", hbm({32, 20}));
       },
       {"dma_compute src1: is in hbm, expected sbuf: one of dst and src1 is a table in hbm"}},
      {Opcode::dma_compute,
       [](Program& p, Last i) {
         adds_into_rows(p, i);
         i.operand("src1", sbuf(31, {19}));
       },
       {"dma_compute index: 32 partitions, src1 has 31 rows", "dma_compute dst: 20 elements per row, src1 has 19"}},
  });
}

TEST(Constraints, WhoMakesDescriptors) {
  expect_messages({
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         p.code[0].engine = EngineKind::sync;
         i.operand("src", hbm({32, 20})).word("dge_mode", word_of(DgeMode::hwdge));
       },
       {}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         p.code[0].engine = EngineKind::vector;
         i.word("dge_mode", word_of(DgeMode::hwdge));
       },
       {"dma_copy dge_mode: hwdge is commanded by scalar and sync, this is vector",
        "dma_copy dge_mode: hwdge converts nothing, dst is fp32 and src bf16"}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         p.code[0].engine = EngineKind::scalar;
         i.operand("src", hbm({32, 20})).word("dge_mode", word_of(DgeMode::hwdge));
       },
       {"dma_copy dge_mode: hwdge needs generation 3, test is generation 2"},
       chip(128, 2)},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         p.code[0].engine = EngineKind::sync;
         i.word("dge_mode", word_of(DgeMode::swdge));
       },
       {"dma_copy dge_mode: swdge is commanded by gpsimd, this is sync"}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         gathers(p, i);
         i.word("dge_mode", word_of(DgeMode::none));
       },
       {"dma_copy dge_mode: none, an index needs swdge"}},
      {Opcode::dma_copy,
       [](Program& p, Last i) {
         i.word("dge_mode", word_of(DgeMode::none));
         Delta follows(Delta::Target::operand, 1, 5, 64);
         follows.of_register = true;
         p.deltas.push_back(follows);
         p.code[0].delta_count = 1;
       },
       {"dma_copy dge_mode: none, but an address follows a register"}},
      {Opcode::dma_copy,  // a wait that does is no address
       [](Program& p, Last i) {
         i.word("dge_mode", word_of(DgeMode::none));
         p.waits.push_back({0, 1}), p.code[0].wait_count = 1;
         Delta counts(Delta::Target::wait, 0, 5, 1);
         counts.of_register = true;
         p.deltas.push_back(counts);
         p.code[0].delta_count = 1;
       },
       {}},
      {Opcode::dma_transpose,
       [](Program& p, Last i) {
         p.code[0].engine = EngineKind::sync;
         i.operand("dst", sbuf(128, {16}, B)).operand("src", hbm({16, 128}, B));
         i.word("dge_mode", word_of(DgeMode::hwdge));
       },
       {}},
      {Opcode::dma_transpose,
       [](Program& p, Last i) {
         p.code[0].engine = EngineKind::sync;
         i.word("dge_mode", word_of(DgeMode::hwdge));
       },
       {"dma_transpose src: 20 x 32 elements, hwdge transposes 16 rows of at most 128",
        "dma_transpose src: type is fp32, hwdge transposes 2-byte elements"}},
      {Opcode::dma_transpose,
       [](Program&, Last i) { i.word("dge_mode", word_of(DgeMode::none)); },
       {"dma_transpose dge_mode: none, a transpose without index is hwdge or unknown"}},
  });
}

TEST(Constraints, ServiceClasses) {
  expect_messages({
      {Opcode::dma_copy, [](Program&, Last i) { i.word("priority", 3); }, {}, chip(128, 4)},
      {Opcode::dma_compute, [](Program&, Last i) { i.word("priority", 3); }, {}, chip(128, 4)},
      {Opcode::dma_copy,
       [](Program&, Last i) { i.word("priority", 4); },
       {"dma_copy priority: 4, from 0 to 3"},
       chip(128, 4)},
      {Opcode::dma_transpose,
       [](Program&, Last i) { i.word("priority", static_cast<uint32_t>(-1)); },
       {"dma_transpose priority: -1, from 0 to 3"},
       chip(128, 4)},
      {Opcode::dma_copy,
       [](Program&, Last i) { i.word("priority", 1); },
       {"dma_copy priority: 1 needs generation 4, test is generation 3"}},
  });
}

}  // namespace
}  // namespace presil::isa
