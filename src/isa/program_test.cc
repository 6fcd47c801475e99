// Do appended instructions own their slots, and do repeats multiply?
#include "isa/program.h"

#include "isa/slots.h"
#include "numerics/activation.h"

namespace presil::isa {
namespace {

TEST(Program, AppendCreatesEverySlotAbsentAndInitial) {
  Program p;
  p.append(Opcode::nc_matmul, EngineKind::tensor);
  Instruction& i = p.append(Opcode::activation, EngineKind::scalar);
  EXPECT_EQ(i.engine, EngineKind::scalar);
  EXPECT_EQ(i.operand_begin, 3u);
  EXPECT_EQ(i.operand_count, 5);
  EXPECT_EQ(i.attribute_begin, row(Opcode::nc_matmul).attributes.size());
  EXPECT_EQ(i.attribute_count, 5);
  for (const View& v : p.operands(i)) EXPECT_FALSE(v.present());
  EXPECT_EQ(p.word(i, slots::activation::op), static_cast<uint32_t>(Activation::copy));
  EXPECT_EQ(p.f32(i, slots::activation::scale_imm), 1.0f);
  EXPECT_EQ(p.f32(i, slots::activation::bias_imm), 0.0f);
  EXPECT_EQ(i.signal, kNoSemaphore);
  EXPECT_EQ(i.source, kNoSource);
}

TEST(Program, ExecutedCountMultipliesNestedRepeats) {
  Program p;
  EXPECT_EQ(executed_count(p), 0u);
  for (int k = 0; k < 10; ++k) p.append(Opcode::wait, EngineKind::sync);
  EXPECT_EQ(executed_count(p), 10u);
  // [0 1 (2 3 (4))x5)x3 5 (6 7)x7 8 9: two repeats that start together, one beside them.
  p.repeats = {{2, 5, 3}, {4, 5, 5}, {6, 8, 7}};
  EXPECT_EQ(executed_count(p), 2u + 3 * (2 + 5) + 1 + 7 * 2 + 2);
  p.repeats = {{0, 10, 2}, {0, 10, 3}, {0, 1, 4}};
  EXPECT_EQ(executed_count(p), 2u * 3 * (4 + 9));
  p.repeats = {{0, 10, 0}};
  EXPECT_EQ(executed_count(p), 0u);
  p.repeats = {{0, 10, UINT32_MAX}, {0, 10, UINT32_MAX}, {0, 10, UINT32_MAX}};
  EXPECT_EQ(executed_count(p), UINT64_MAX);
}

TEST(Program, AccumulatingMatmulAndKeepingShuffleReadTheirDestination) {
  Program p;
  p.append(Opcode::nc_matmul, EngineKind::tensor);
  EXPECT_EQ(access_of(p, p.code[0], slots::nc_matmul::dst), Access::write);
  p.attributes[slots::nc_matmul::accumulate] = 1;
  EXPECT_EQ(access_of(p, p.code[0], slots::nc_matmul::dst), Access::read_write);
  EXPECT_EQ(access_of(p, p.code[0], slots::nc_matmul::moving), Access::read);
  p.append(Opcode::nc_stream_shuffle, EngineKind::vector);
  EXPECT_EQ(access_of(p, p.code[1], slots::nc_stream_shuffle::dst), Access::write);
  p.attributes[p.code[1].attribute_begin + 7] = 0xff000000u;
  EXPECT_EQ(access_of(p, p.code[1], slots::nc_stream_shuffle::dst), Access::read_write);
  p.append(Opcode::tensor_copy_predicated, EngineKind::vector);
  EXPECT_EQ(access_of(p, p.code[2], slots::tensor_copy_predicated::dst), Access::read_write);
}

TEST(Program, EqualityIsOfMeaningNotOfLayout) {
  Program p, q;
  p.append(Opcode::memset, EngineKind::vector);
  p.append(Opcode::reciprocal, EngineKind::vector);
  q.views.resize(7);  // unused slots before the first instruction's
  q.attributes.resize(3);
  q.append(Opcode::memset, EngineKind::vector);
  q.append(Opcode::reciprocal, EngineKind::vector);
  q.views[7].offset = 12;  // absent anyway
  EXPECT_EQ(p, q);
  q.code[1].signal = 0;
  EXPECT_NE(p, q);
  q.code[1].signal = kNoSemaphore;
  p.deltas = {{Delta::Target::operand, 0, 0, 4}, {Delta::Target::operand, 1, 0, 8}};
  q.deltas = {p.deltas[1], p.deltas[0]};
  p.code[0].delta_count = q.code[0].delta_count = 2;
  EXPECT_EQ(p, q);
  q.deltas[0].step = 9;
  EXPECT_NE(p, q);
  q.deltas[0].step = 8;
  q.repeats = {{0, 1, 2}};
  EXPECT_NE(p, q);
}

}  // namespace
}  // namespace presil::isa
