#include "system/feeds.h"

#include <gtest/gtest.h>

#include "chip/assemble.h"

namespace presil::system {
namespace {

using namespace chip::testing;
using Q = EngineKind;

View word_in_hbm(int64_t address) { return view(Memory::hbm, 0, 1, address, {}, DType::int32); }

void load_register(Assembler& a, const View& from) { a.append(Q::sync, Opcode::register_load).operand(0, from); }

std::vector<bool> of(const isa::Executable& exe, Q engine) { return feeds_registers(exe)[static_cast<size_t>(engine)]; }

TEST(Feeds, NothingWhereNoRegisterIsLoaded) {
  Assembler a;
  a.memset(Q::vector, sbuf(1, 0, 4));
  a.dma(Q::sync, hbm(0, 4), sbuf(1, 0, 4));
  EXPECT_EQ(of(a.exe, Q::vector), std::vector<bool>{false});
  EXPECT_EQ(of(a.exe, Q::sync), std::vector<bool>{false});
}

// A word in HBM comes from `copied`, which comes from `made`, through three queues; what lies beside does not matter.
TEST(Feeds, BackThroughMemoryAndQueues) {
  Assembler a;
  const View made = sbuf(1, 0, 4), copied = sbuf(1, 64, 4), beside = sbuf(1, 16, 4), other = sbuf(1, 80, 4);
  a.memset(Q::gpsimd, made);
  a.memset(Q::gpsimd, beside);
  a.copy(Q::vector, other, beside);
  a.copy(Q::vector, copied, made);
  a.dma(Q::sync, hbm(100, 4), copied);
  a.dma(Q::sync, hbm(116, 4), other);
  load_register(a, word_in_hbm(112));
  EXPECT_EQ(of(a.exe, Q::gpsimd), (std::vector<bool>{true, false}));
  EXPECT_EQ(of(a.exe, Q::vector), (std::vector<bool>{false, true}));
  EXPECT_EQ(of(a.exe, Q::sync), (std::vector<bool>{true, false, false}));
}

// Iteration 3 of the first repeat writes the word, no iteration of the second does.
TEST(Feeds, AnyIterationOfARepeat) {
  Assembler a;
  a.memset(Q::vector, sbuf(1, 0, 4)).grow(isa::Delta::Target::operand, 0, 0, 16);
  a.repeat(Q::vector, 1, 4);
  a.memset(Q::vector, sbuf(1, 64, 4)).grow(isa::Delta::Target::operand, 0, 0, 16);
  a.repeat(Q::vector, 1, 4);
  load_register(a, view(Memory::sbuf, 0, 1, 60, {}, DType::int32));
  EXPECT_EQ(of(a.exe, Q::vector), (std::vector<bool>{true, false}));
}

// What a register moves may lie anywhere in its memory, and nowhere else.
TEST(Feeds, AMovingOperandMayBeAnywhere) {
  Assembler a;
  for (const View& dst : {sbuf(1, 4096, 4), psum(1, 4096, 4)}) {
    a.memset(Q::vector, dst);
    a.queue(Q::vector).deltas.push_back({isa::Delta::Target::operand, 0, 3, 16});
    a.queue(Q::vector).deltas.back().of_register = true;
    a.queue(Q::vector).code.back().delta_count = 1;
  }
  load_register(a, view(Memory::sbuf, 0, 1, 0, {}, DType::int32));
  EXPECT_EQ(of(a.exe, Q::vector), (std::vector<bool>{true, false}));
}

// Of a pair, each core has its own SBUF; what one writes into the other's counts there.
TEST(Feeds, TheOtherCoresMemory) {
  Assembler first, second;
  first.memset(Q::vector, sbuf(1, 0, 4));
  first.dma(Q::scalar, of_peer(sbuf(1, 0, 4)), sbuf(1, 64, 4));
  first.memset(Q::vector, sbuf(1, 64, 4));
  load_register(second, view(Memory::sbuf, 0, 1, 0, {}, DType::int32));
  const isa::Executable pair = pair_of(first, second);
  EXPECT_EQ(of(pair, Q::vector), (std::vector<bool>{false, true}));
  EXPECT_EQ(of(pair, Q::scalar), (std::vector<bool>{true}));
}

}  // namespace
}  // namespace presil::system
