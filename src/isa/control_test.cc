// Is every rule of registers and branches stated exactly, and is a register operation what it says?
#include "isa/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "isa/parse.h"
#include "isa/print.h"

namespace presil::isa {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> findings(std::string_view text, uint32_t registers = 64) {
  Result<Program> p = parse_program(text, "a.txt");
  EXPECT_TRUE(p) << p.error().text();
  EXPECT_EQ(print(*p), text);
  std::vector<std::string> out;
  for (const Finding& f : check_control(*p, registers)) out.push_back(f.text());
  return out;
}

TEST(Control, SoundProgramsPass) {
  EXPECT_THAT(findings("vector register_move dst=r1 imm=7\n"
                       "vector loop counter=r0 until=r1 step=2 to=4\n"
                       "repeat 3 {\n"
                       "  vector memset dst=sbuf.fp32[p0+128 4]{L0+16 r0+64} wait=s0>=1{r1+1}\n"
                       "}\n"
                       "vector loop_end to=1\n"
                       "vector branch op=ne a=r0 imm=3 to=2\n"
                       "vector halt\n"),
              IsEmpty());
  EXPECT_THAT(findings("sync branch to=2\nsync halt\n"), IsEmpty());
}

TEST(Control, EveryRuleHasItsMessage) {
  EXPECT_THAT(findings("sync register_move imm=1\n"), ElementsAre("instruction 0: register_move: has no dst"));
  EXPECT_THAT(findings("sync register_move dst=r8 imm=1\n", 8),
              ElementsAre("instruction 0: register_move: register 8, a sequencer has 8"));
  EXPECT_THAT(findings("sync register_move dst=r1\nsync register_alu dst=r0 op=power a=r1\n"),
              ElementsAre("instruction 1: register_alu: power is not an operator of registers"));
  EXPECT_THAT(findings("sync branch to=2\n"),
              ElementsAre("instruction 0: branch: goes to instruction 2, the queue has 1"));
  EXPECT_THAT(findings("repeat 2 {\n  sync wait\n  sync wait\n}\nsync branch to=1\n"),
              ElementsAre("instruction 2: branch: goes to instruction 1, which lies in another repeat"));
  EXPECT_THAT(findings("repeat 2 {\n  sync branch to=1\n}\nsync wait\n"),
              ElementsAre("instruction 0: branch: goes to instruction 1, which lies in another repeat"));
  EXPECT_THAT(findings("sync loop_end\n"), ElementsAre("instruction 0: loop_end: ends no loop"));
  EXPECT_THAT(findings("sync loop counter=r0\n"), ElementsAre("instruction 0: loop: has no end"));
  EXPECT_THAT(findings("sync loop counter=r0 step=0 to=2\nsync loop_end\n"),
              ElementsAre("instruction 0: loop: step 0, at least 1"));
  EXPECT_THAT(findings("sync register_move dst=r0 imm=1\nsync loop counter=r0 until=r0 to=3\nsync loop_end to=1\n"),
              ElementsAre("instruction 1: loop: counts in register 0, which bounds it"));
  EXPECT_THAT(findings("sync loop counter=r0 to=1\nsync loop_end to=1\n"),
              ElementsAre("instruction 1: loop_end: names instruction 1, the loop that it ends begins at 0",
                          "instruction 0: loop: goes to instruction 1, its end is followed by 2"));
  EXPECT_THAT(findings("repeat 2 {\n  sync loop counter=r0 to=2\n}\nsync loop_end\n"),
              ElementsAre("instruction 0: loop: ends at instruction 1, which lies in another repeat"));
  EXPECT_THAT(findings("sync wait wait=s0>=1{r3+2}\n"),
              ElementsAre("instruction 0: wait: waits for register 3 times 2, a wait adds a register as it is"));
}

TEST(Control, AnAddressFromARegisterIsControlToo) {
  const Program p = *parse_program("sync wait wait=s0>=1{r200+1}\n", "a.txt");
  EXPECT_TRUE(has_control(p));
  EXPECT_THAT(findings("sync wait wait=s0>=1{r200+1}\n"),
              ElementsAre("instruction 0: wait: register 200, a sequencer has 64"));
}

TEST(Control, RegistersAreWrittenOnEveryWayToTheirReader) {
  constexpr std::string_view one_way =
      "sync register_load src=hbm.int32[@8] dst=r0\n"
      "sync branch op=eq a=r0 to=3\n"
      "sync register_move dst=r1 imm=4\n"
      "sync register_store dst=hbm.int32[] src=r1\n";
  EXPECT_THAT(findings(one_way),
              ElementsAre("instruction 3: register_store: reads register 1, which may hold nothing yet"));
  // A loop that may not run at all, and one whose counter is there behind it.
  EXPECT_THAT(findings("sync loop counter=r0 until_imm=4 to=3\n"
                       "sync register_move dst=r1 imm=1\n"
                       "sync loop_end\n"
                       "sync register_move dst=r2 src=r0\n"
                       "sync register_move dst=r3 src=r1\n"),
              ElementsAre("instruction 4: register_move: reads register 1, which may hold nothing yet"));
}

TEST(Control, RegisterOperations) {
  constexpr uint32_t minus = ~0u;
  EXPECT_EQ(register_apply(AluOp::add, minus, 3), 2u);
  EXPECT_EQ(register_apply(AluOp::subtract, 1, 3), minus - 1);
  EXPECT_EQ(register_apply(AluOp::multiply, 1u << 31, 2), 0u);
  EXPECT_EQ(register_apply(AluOp::max, minus, 0), 0u);
  EXPECT_EQ(register_apply(AluOp::min, minus, 0), minus);
  EXPECT_EQ(register_apply(AluOp::lt, minus, 0), 1u);
  EXPECT_EQ(register_apply(AluOp::ge, minus, 0), 0u);
  EXPECT_EQ(register_apply(AluOp::bit_xor, 6, 3), 5u);
  EXPECT_EQ(register_apply(AluOp::shift_left, 3, 31), 1u << 31);
  EXPECT_EQ(register_apply(AluOp::shift_left, 3, 32), 0u);
  EXPECT_EQ(register_apply(AluOp::shift_right, minus, 28), 15u);
  EXPECT_EQ(register_apply(AluOp::divide, 4, 2), std::nullopt);
}

}  // namespace
}  // namespace presil::isa
