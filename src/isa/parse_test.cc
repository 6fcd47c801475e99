// Does the text form read well, come back exactly, and explain what is wrong with it?
#include "isa/parse.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/hash.h"
#include "isa/print.h"
#include "isa/random_programs.h"
#include "isa/test_programs.h"

namespace presil::isa {
namespace {

using namespace testing;

const char kExample[] = R"(presil executable 1
chip "trn2" 00000000deadbeef
model "a \"b\"\x0a"
precision "bf16"
semaphores 2
hbm_bytes 8192
queue {
  repeat 4 {
    sync dma_copy dst=sbuf.fp32[p0+32 20]{L0+128} src=hbm.bf16[@64 32 20]{L0-64} queue=3 signal=s0 source=0
    repeat 2 {
      vector.1 nc_stream_shuffle dst=sbuf.fp32[p64+32 20] src=sbuf.fp32[%7 p0+32 4:512 5:-1] mask7=0xffffffff
    }
  }
}
queue {
  repeat 4 {
    scalar activation dst=sbuf.fp32[%] data=psum.fp32[%] op=exp scale_imm=0.1 bias_imm=-0 alpha=0x7fc00000 ~
  }
}
layer 0 "conv" "conv" macs=10 bytes=20
source 0 layer=0 "load" "n"
tensor input "x" bf16[32 20] address=0 bytes=1280
tensor constant "w" fp32[] address=4608 bytes=4 data=4 xxh3=@@ {
  KLUv/SAEIQAAAAAAAA==
}
)";

Executable example() {
  Executable e;
  e.spec_hash = 0xdeadbeef;
  e.chip = "trn2", e.model = "a \"b\"\n", e.precision = "bf16";
  e.semaphores = 2, e.hbm_bytes = 8192;
  Program load = legal(Opcode::dma_copy), use = legal(Opcode::activation);
  load.code[0].engine = EngineKind::sync;
  load.code[0].dma_queue = 3, load.code[0].signal = 0, load.code[0].source = 0, load.code[0].delta_count = 2;
  load.views[slots::dma_copy::src].offset = 64;
  load.deltas = {{Delta::Target::operand, slots::dma_copy::src, 0, -64},
                 {Delta::Target::operand, slots::dma_copy::dst, 0, 128}};
  append(load, Opcode::nc_stream_shuffle, EngineKind::vector).operand("dst", sbuf(32, {20})).word("mask7", UINT32_MAX);
  View src = sbuf(32, {4, 5});
  src.base = 7, src.dims[0].step = 512, src.dims[1].step = -1;
  Last{load}.operand("src", src);
  load.code[1].engine_index = 1;
  load.views[load.code[1].operand_begin].partition = 64;
  load.repeats = {{0, 2, 4}, {1, 2, 2}};
  Last{use}.operand("bias", View{}).operand("reduce_res", View{}).f32("scale_imm", 0.1f).f32("bias_imm", -0.0f);
  Last{use}.word("alpha", 0x7fc00000);
  use.code[0].signal = 1, use.code[0].wait_count = 2, use.code[0].delta_count = 1;
  use.waits = {{0, 16}, {1, 0}};
  use.deltas = {{Delta::Target::wait, 0, 0, 16}};
  use.repeats = {{0, 1, 4}};
  e.queues = {load, use};
  e.tensors = {{"x", DType::bf16, {32, 20}, TensorRole::input, 0, 1280, {}},
               {"w", DType::fp32, {}, TensorRole::constant, 4608, 4, std::vector<std::byte>(4)}};
  e.layers = {{"conv", "conv", 10, 20}};
  e.sources = {{0, "load", "n"}};
  return e;
}

std::string example_text() {
  std::string text = kExample;
  auto replace = [&](std::string_view from, std::string_view to) { text.replace(text.find(from), from.size(), to); };
  replace("[%]", "[p0+32 20]");
  replace("[%]", "[p0+32 20]");
  replace("~", "wait=s0>=16{L0+16} wait=s1>=0 signal=s1");
  replace("@@", hash_name(hash_bytes(std::vector<std::byte>(4))));
  return text;
}

TEST(Text, PrintsAsDocumented) { EXPECT_EQ(print(example()), example_text()); }

TEST(Text, ReadsWhatItPrints) {
  Result<Executable> e = parse_executable(example_text());
  ASSERT_TRUE(e) << e.error().text();
  EXPECT_EQ(*e, example());
}

TEST(Text, SpacesCommentsAndOrderAreFree) {
  Result<Program> p = parse_program(
      "\n# nothing\n  repeat   2   {  # twice\r\nvector memset value = 1.5 dst=sbuf . fp32[ p0+32   20 ] { L0 +80 "
      "}\n}");
  ASSERT_TRUE(p) << p.error().text();
  EXPECT_EQ(print(*p), "repeat 2 {\n  vector memset dst=sbuf.fp32[p0+32 20]{L0+80} value=1.5\n}\n");
}

TEST(Text, RandomProgramsComeBackExactly) {
  RandomPrograms random(11);
  for (int trial = 0; trial < 300; ++trial) {
    Program p = random.program(30);
    Result<Program> back = parse_program(print(p));
    ASSERT_TRUE(back) << back.error().text() << "\n" << print(p);
    EXPECT_EQ(*back, p);
    EXPECT_EQ(print(*back), print(p));
  }
}

TEST(Text, EveryInstructionComesBackWithFieldsAtBothEnds) {
  RandomPrograms random(12);
  for (const InstructionRow& r : all_rows()) {
    for (int trial = 0; trial < 200; ++trial) {
      Program p;
      random.instruction(p, r.opcode, 0);
      Result<Program> back = parse_program(print(p));
      ASSERT_TRUE(back) << back.error().text() << "\n" << print(p);
      EXPECT_EQ(*back, p) << print(p);
    }
  }
}

TEST(Text, EveryImmediateComesBackBitByBit) {
  Prng random(13);
  for (int trial = 0; trial < 20000; ++trial) {
    Program p = legal(Opcode::memset);
    p.attributes[0] = static_cast<uint32_t>(random.next());
    Result<Program> back = parse_program(print(p));
    ASSERT_TRUE(back) << back.error().text() << "\n" << print(p);
    EXPECT_EQ(back->attributes[0], p.attributes[0]) << print(p);
  }
}

TEST(Text, ValuesWithoutANameComeBackAsNumbers) {
  Program p = legal(Opcode::tensor_tensor);
  p.attributes[0] = 999;
  EXPECT_EQ(
      print(p),
      "vector tensor_tensor dst=sbuf.fp32[p0+32 20] data1=sbuf.fp32[p0+32 20] data2=psum.fp32[p0+32 20] op=999\n");
  EXPECT_EQ(parse_program(print(p)).value(), p);
}

TEST(Text, RandomExecutablesComeBackExactly) {
  RandomPrograms random(14);
  for (int trial = 0; trial < 200; ++trial) {
    Executable e = random.executable();
    Result<Executable> back = parse_executable(print(e));
    ASSERT_TRUE(back) << back.error().text() << "\n" << print(e);
    EXPECT_EQ(*back, e);
  }
}

// Fields of an instruction's line have names of their own.
TEST(Text, KeywordsAreNoOperandsOrAttributes) {
  for (const InstructionRow& r : all_rows()) {
    for (std::string_view keyword : {"queue", "wait", "signal", "source"}) {
      for (const OperandRow& o : r.operands) EXPECT_NE(o.name, keyword) << r.name;
      for (const AttributeRow& a : r.attributes) EXPECT_NE(a.name, keyword) << r.name;
    }
  }
}

std::string program_error(std::string_view text) {
  Result<Program> p = parse_program(text, "f.isa");
  return p ? "parsed" : p.error().text();
}

TEST(Text, ErrorsOfInstructions) {
  const std::pair<const char*, const char*> cases[] = {
      {"vectr memset", "f.isa:1: expected an engine or 'repeat', found 'vectr' (did you mean 'vector'?)"},
      {"\n\nvector memsett", "f.isa:3: expected an instruction, found 'memsett' (did you mean 'memset'?)"},
      {"vector", "f.isa:1: expected an instruction, found the end of the line"},
      {"vector memset dts=sbuf.fp32[]", "f.isa:1: memset has no 'dts' (did you mean 'dst'?)"},
      {"vector memset dst", "f.isa:1: expected '=', found the end of the line"},
      {"vector memset dst=sbfu.fp32[]", "f.isa:1: expected a memory, found 'sbfu.fp32[]' (did you mean 'sbuf'?)"},
      {"vector memset dst=none.fp32[]", "f.isa:1: an operand in memory none; leave it out instead"},
      {"vector memset dst=sbuf.fp23[]", "f.isa:1: expected a type, found 'fp23[]' (did you mean 'fp32'?)"},
      {"vector memset dst=sbuf.fp32[p70000+1]", "f.isa:1: expected a partition from 0 to 65535, found '70000+1]'"},
      {"vector memset dst=sbuf.fp32[p0-1]", "f.isa:1: expected '+', found '-1]'"},
      {"vector memset dst=sbuf.fp32[-3]", "f.isa:1: expected a count or ], found '-3]'"},
      {"vector memset dst=sbuf.fp32[1 2 3 4 5 6]", "f.isa:1: expected ] after 5 dimensions, found '6]'"},
      {"vector memset dst=sbuf.fp32[2 4000000000]", "f.isa:1: dimension 0 needs its step: 4000000000 does not fit"},
      {"vector memset dst=sbuf.fp32[] dst=sbuf.fp32[]", "f.isa:1: 'dst' twice"},
      {"vector memset value=x", "f.isa:1: expected a number, found 'x'"},
      {"vector memset value=1e99", "f.isa:1: expected a number that fp32 can hold, found '1e99'"},
      {"vector memset value=0x12", "f.isa:1: expected eight hexadecimal digits after 0x, found '12'"},
      {"vector memset value=1 ]", "f.isa:1: expected a field, found ']'"},
      {"vector tensor_tensor op=ad", "f.isa:1: expected an operator, found 'ad' (did you mean 'add'?)"},
      {"gpsimd iota offset=3000000000",
       "f.isa:1: expected an integer from -2147483648 to 2147483647, found '3000000000'"},
      {"vector nc_stream_shuffle mask0=5", "f.isa:1: expected 0x and eight hexadecimal digits, found '5'"},
      {"sync wait wait=s1", "f.isa:1: expected '>=', found the end of the line"},
      {"sync wait wait=s1>=2{L0+3}", "f.isa:1: repeat level 0, 0 are around the instruction"},
      {"repeat 0 {", "f.isa:1: expected a number of iterations from 1 to 4294967295, found '0'"},
      {"repeat 2 {\n}", "f.isa:2: a repeat without instructions"},
      {"repeat 2 {\nrepeat 3 {\nsync wait\n}", "f.isa:1: this repeat is not closed"},
      {"}", "f.isa:1: } closes nothing"},
  };
  for (auto [text, message] : cases) EXPECT_EQ(program_error(text), message);
}

std::string executable_error(std::string_view text) {
  Result<Executable> e = parse_executable(text, "f.isa");
  return e ? "parsed" : e.error().text();
}

TEST(Text, ErrorsOfExecutables) {
  auto with = [](std::string_view rest) { return executable_error(fmt::format("presil executable 1\n{}", rest)); };
  EXPECT_EQ(executable_error(""), "f.isa:0: expected 'presil executable' and a version, found the end of the line");
  EXPECT_EQ(executable_error("presil executable 7"), "f.isa:1: text is version 7, this presil reads up to 1");
  EXPECT_EQ(with("chips"), "f.isa:2: expected an item of an executable, found 'chips' (did you mean 'chip'?)");
  EXPECT_EQ(with("chip \"a\" 12"), "f.isa:2: expected 16 hexadecimal digits, found '12'");
  EXPECT_EQ(with("model \"a"), "f.isa:2: expected a closing \", found the end of the line");
  EXPECT_EQ(with("model \"\\q\""), "f.isa:2: expected one of \\\\ \\\" \\x, found 'q\"'");
  EXPECT_EQ(with("semaphores 1 2"), "f.isa:2: expected the end of the line, found '2'");
  EXPECT_EQ(with("queue {\nsync wait"), "f.isa:2: this queue is not closed");
  EXPECT_EQ(with("queue {\nrepeat 2 {\nsync wait\n}"), "f.isa:2: this queue is not closed");
  EXPECT_EQ(with("layer 1 \"a\" \"b\" macs=1 bytes=2"), "f.isa:2: index 1, expected 0");
  EXPECT_EQ(with("source 0 layer=-1 \"a\" \"b\""), "f.isa:2: expected a number, found '-1'");
  EXPECT_EQ(with("tensor inptu"), "f.isa:2: expected a role, found 'inptu' (did you mean 'input'?)");
  EXPECT_EQ(with("tensor input \"x\" fp32[2 x"), "f.isa:2: expected a dimension or ], found 'x'");
  std::string tensor = "tensor constant \"w\" fp32[] address=0 bytes=4 data=";
  EXPECT_EQ(with(tensor + "4 xxh3=0123456789abcdef {\nAAA"), "f.isa:2: this data is not closed");
  EXPECT_EQ(with(tensor + "4 xxh3=0123456789abcdef {\nAAA\n}"), "f.isa:2: 3 base64 digits, expected a multiple of 4");
  EXPECT_EQ(with(tensor + "4 xxh3=0123456789abcdef {\nAA-A\n}"), "f.isa:2: '-' is no base64 digit");
  EXPECT_EQ(with(tensor + "4 xxh3=0123456789abcdef {\nAAAA\n}"),
            "f.isa:2: compressed data does not begin with a zstd frame of known size");
  std::string wrong = example_text();
  wrong.replace(wrong.find("xxh3=") + 5, 16, "0123456789abcdef");
  EXPECT_EQ(executable_error(wrong), fmt::format("f.isa:23: data has hash {}, expected 0123456789abcdef",
                                                 hash_name(hash_bytes(std::vector<std::byte>(4)))));
}

TEST(Parse, PairsOfCores) {
  const std::string text = R"(presil executable 1
chip "" 0000000000000000
model ""
precision "fp32"
lnc 2
semaphores 3
hbm_bytes 0
queue {
  sync dma_copy dst=sbuf.fp32[peer p0+32 20] src=sbuf.fp32[p0+32 20] signal=both.s1
}
queue core=1 {
  vector wait wait=s1>=16 signal=peer.s2
}
)";
  const Result<Executable> e = parse_executable(text, "a");
  ASSERT_TRUE(e) << e.error().text();
  EXPECT_EQ(e->lnc, 2u);
  EXPECT_EQ(e->queues[1].core, 1);
  EXPECT_EQ(e->queues[0].views[0].peer, 1);
  EXPECT_EQ(e->queues[0].code[0].signal_to, SignalTo::both);
  EXPECT_EQ(e->queues[1].code[0].signal_to, SignalTo::peer);
  EXPECT_EQ(print(*e), text);
}

}  // namespace
}  // namespace presil::isa
