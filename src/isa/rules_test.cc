// Is every rule stated, and stated exactly? One legal instance per instruction, then one broken field per rule.
#include "isa/rules.h"

#include "base/prng.h"
#include "isa/rule_cases.h"

namespace presil::isa {
namespace {

using namespace testing;

// A chip that has the instruction.
spec::ChipSpec able(const InstructionRow& r, uint32_t array = 128) {
  return chip(array, std::max(3u, r.first_generation));
}

TEST(Rules, LegalInstancesAreLegalOnEveryArraySize) {
  for (const InstructionRow& r : all_rows()) {
    for (uint32_t array : {32u, 64u, 128u, 256u}) {
      EXPECT_EQ(findings_of(legal(r.opcode), able(r, array)), Strings{}) << r.name << " on " << array;
    }
  }
}

TEST(Rules, EveryOperandThatIsNotOptionalMustBePresent) {
  for (const InstructionRow& r : all_rows()) {
    for (const OperandRow& o : r.operands) {
      Program p = legal(r.opcode);
      Last{p}.operand(o.name, View{});
      Strings expected;
      if (!o.optional) expected = {fmt::format("instruction 0: {} {}: is missing", r.name, o.name)};
      EXPECT_EQ(findings_of(p, able(r)), expected);
    }
  }
}

TEST(Rules, OperandsStayInTheMemoriesOfTheTable) {
  for (const InstructionRow& r : all_rows()) {
    for (size_t k = 0; k < r.operands.size(); ++k) {
      if (r.operands[k].memories & memory_bit(Memory::hbm)) continue;
      Program p = legal(r.opcode);
      p.views[k] = hbm({4});
      Strings found = findings_of(p, able(r));
      ASSERT_FALSE(found.empty());
      EXPECT_EQ(found[0].find(fmt::format("instruction 0: {} {}: is in hbm; legal: ", r.name, r.operands[k].name)), 0u)
          << found[0];
    }
  }
}

TEST(Rules, Engines) {
  expect_messages({
      {Opcode::activation,
       [](Program& p, Last) { p.code[0].engine = EngineKind::vector; },
       {"activation: does not run on the vector engine; legal: scalar"}},
      {Opcode::tensor_copy,
       [](Program& p, Last) { p.code[0].engine_index = 1; },
       {"tensor_copy: vector engine 1 does not exist, the core has 1"}},
      {Opcode::range_select,
       [](Program&, Last) {},
       {"range_select: needs generation 3, test is generation 2"},
       chip(128, 2)},
      {Opcode::dma_copy, [](Program& p, Last) { p.code[0].dma_queue = 16; }, {"dma_copy: DMA queue 16, there are 16"}},
      {Opcode::dma_copy, [](Program& p, Last) { p.code[0].dma_queue = 15; }, {}},
      {Opcode::iota, [](Program& p, Last) { p.code[0].dma_queue = 1; }, {"iota: DMA queue 1, it uses none"}},
      {Opcode::tensor_copy,
       [](Program& p, Last) { p.code[0].engine = EngineKind::gpsimd; },
       {"tensor_copy src: is in psum; the gpsimd engine reads only sbuf"}},
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.operand("dst", sbuf(16, {100})); },
       {"nc_matmul dst: is in sbuf; legal: psum"}},
      {Opcode::tensor_copy,
       [](Program&, Last i) { i.operand("dst", psum(32, {20})); },
       {"tensor_copy dst: is in psum; the vector engine writes only sbuf"},
       with([](spec::ChipSpec& s) { s.vector.writes = {"sbuf"}; })},
  });
}

TEST(Rules, Semaphores) {
  expect_messages({
      {Opcode::wait,
       [](Program& p, Last) {
         p.waits = {{256, 1}};
         p.code[0].wait_count = 1;
       },
       {"wait wait: semaphore 256, the core has 256"}},
      {Opcode::wait,
       [](Program& p, Last) {
         p.waits = {{255, 1}};
         p.code[0].wait_count = 1;
       },
       {}},
      {Opcode::wait,
       [](Program& p, Last) { p.code[0].signal = 300; },
       {"wait signal: semaphore 300, the core has 256"}},
      {Opcode::wait,
       [](Program& p, Last) {
         p.waits = {{0, 1001}};
         p.code[0].wait_count = 1;
       },
       {"wait wait: values 1001 to 1001, a semaphore counts to 1000"},
       with([](spec::ChipSpec& s) { s.semaphores.maximum = 1000; })},
  });
}

TEST(Rules, AccessPatterns) {
  auto pattern = [](std::vector<Dim> dims, DType type = DType::fp32) {
    return [=](Program&, Last i) {
      View v = sbuf(32, {}, type);
      v.rank = static_cast<uint8_t>(dims.size());
      std::copy(dims.begin(), dims.end(), v.dims.begin());
      i.operand("dst", v);
    };
  };
  expect_messages({
      {Opcode::memset, pattern({{1, 0}}), {"memset dst: dimension 0 has count 0, at least 1"}},
      {Opcode::memset, pattern({{0, 65536}}), {"memset dst: dimension 0 has count 65536, at most 65535"}},
      {Opcode::memset, pattern({{0, 65535}}), {}},
      {Opcode::memset,
       pattern({{0, 2}, {0, 40000}}),
       {"memset dst: 80000 elements per partition, at most 65536 in sbuf"}},
      {Opcode::memset,
       pattern({{32768, 2}}, DType::uint8),
       {"memset dst: dimension 0 has step 32768, from -32768 to 32767"}},
      {Opcode::memset, pattern({{32767, 2}}), {}},
      {Opcode::memset,
       pattern({{100, 2}, {40, 2}, {16, 2}, {6, 2}, {2, 2}}),
       {"memset dst: 5 dimensions, an engine walks at most 4"}},
      {Opcode::memset, pattern({{100, 2}, {40, 2}, {16, 2}, {6, 2}, {2, 1}}), {}},
      {Opcode::memset,
       pattern({{0, 65535}, {0, 65535}, {0, 65535}}),
       {"memset dst: 2.81e+14 elements, at most 1.1e+12"}},
      {Opcode::iota, pattern({{1, 4}}, DType::int64), {"iota dst: type is int64, the engines work on up to 32 bits"}},
      {Opcode::memset, [](Program& p, Last) { p.views[0].partitions = 0; }, {"memset dst: 0 partitions, at least 1"}},
      {Opcode::memset,
       [](Program& p, Last) { p.views[0].offset = 6; },
       {"memset dst: offset 6 is not a multiple of the element's 4 bytes"}},
      {Opcode::memset,
       [](Program&, Last i) { i.operand("dst", psum(32, {4097}, DType::uint8)).f32("value", 1); },
       {"memset dst: 4097 elements per partition, at most 4096 in psum"}},
  });
}

TEST(Rules, Places) {
  auto at = [](uint16_t partition, uint16_t partitions) {
    return [=](Program& p, Last) { p.views[0].partition = partition, p.views[0].partitions = partitions; };
  };
  auto offset = [](int64_t bytes) { return [=](Program& p, Last) { p.views[0].offset = bytes; }; };
  expect_messages({
      {Opcode::memset, at(0, 129), {"memset dst: partitions 0 to 128, sbuf has 128"}},
      {Opcode::memset, at(0, 128), {}},
      {Opcode::memset, at(32, 65), {"memset dst: starts at partition 32, 65 partitions start at partition 0"}},
      {Opcode::memset, at(32, 33), {"memset dst: starts at partition 32, 33 partitions start at a multiple of 64"}},
      {Opcode::memset, at(64, 64), {}},
      {Opcode::memset, at(16, 32), {"memset dst: starts at partition 16, 32 partitions start at a multiple of 32"}},
      {Opcode::memset, at(96, 32), {}},
      {Opcode::memset,
       at(96, 32),
       {"memset dst: starts at partition 96, 32 partitions start at a multiple of 64"},
       chip(256)},
      {Opcode::memset, at(128, 128), {}, chip(256)},
      {Opcode::memset, at(16, 16), {}, chip(64)},
      {Opcode::memset, offset(196608 - 80), {}},
      {Opcode::memset, offset(196608 - 76), {"memset dst: bytes 196532 to 196611, a partition of sbuf has 196608"}},
      {Opcode::memset, offset(-4), {"memset dst: bytes -4 to 75, a partition of sbuf has 196608"}},
      {Opcode::dma_copy,
       [](Program& p, Last) { p.views[1].offset = (1 << 30) - 1278; },
       {"dma_copy src: bytes 1073740546 to 1073741825, hbm has 1073741824"}},
      {Opcode::dma_copy,
       [](Program& p, Last) { p.views[1].partitions = 2, p.views[0].dims[0].count = 40; },
       {"dma_copy src: partition 0 and 2 partitions, hbm has no partitions"}},
      {Opcode::dma_copy, at(3, 32), {}},
      {Opcode::nc_matmul,
       [](Program& p, Last) { p.views[0].offset = 2048 - 396; },
       {"nc_matmul dst: bytes 1652 to 2051 cross a PSUM bank, banks have 2048 bytes"}},
      {Opcode::nc_matmul, [](Program& p, Last) { p.views[0].offset = 2048 - 400; }, {}},
      {Opcode::nc_matmul, [](Program& p, Last) { p.views[0].offset = 2048 - 396; }, {}, chip(128, 4)},
  });
}

TEST(Rules, VirtualViewsHaveNoPlaceYet) {
  Program p = legal(Opcode::memset);
  p.views[0].base = 7, p.views[0].partition = 5, p.views[0].offset = 1 << 20;
  EXPECT_EQ(findings_of(p, chip()), Strings{});
}

TEST(Rules, RepeatsAreCheckedInEveryIteration) {
  Program p = legal(Opcode::memset);
  p.code[0].delta_count = 2;
  p.deltas = {{Delta::Target::operand, 0, 0, 1000}, {Delta::Target::operand, 0, 1, -80}};
  p.repeats = {{0, 1, 196}, {0, 1, 5}};
  p.views[0].offset = 320;
  EXPECT_EQ(findings_of(p, chip()), Strings{});
  p.repeats[0].count = 198;
  EXPECT_EQ(findings_of(p, chip()),
            Strings{"instruction 0: memset dst: bytes 0 to 197399, a partition of sbuf has 196608"});
  p.repeats = {{0, 1, 2}, {0, 1, 6}};
  EXPECT_EQ(findings_of(p, chip()),
            Strings{"instruction 0: memset dst: bytes -80 to 1399, a partition of sbuf has 196608"});
  p.repeats = {{0, 1, 2}};
  p.deltas[1] = {Delta::Target::operand, 0, 0, 2};
  EXPECT_EQ(findings_of(p, chip()),
            Strings{"instruction 0: memset dst: repeat step 2 is not a multiple of the element's 4 bytes"});
}

TEST(Rules, BankIsKeptInEveryOfManyIterations) {
  Prng random(5);
  int crossings = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    Program p = legal(Opcode::nc_matmul);
    p.code[0].delta_count = 3;
    bool crossing = false;
    int64_t base = 4 * random.between(0, 600), width = 400;
    p.views[0].offset = base;
    for (uint8_t level = 0; level < 3; ++level) {
      p.repeats.push_back({0, 1, static_cast<uint32_t>(random.between(1, 4))});
      p.deltas.push_back({Delta::Target::operand, 0, level, 4 * random.between(0, 300)});
    }
    for (uint32_t i = 0; i < p.repeats[0].count; ++i) {
      for (uint32_t j = 0; j < p.repeats[1].count; ++j) {
        for (uint32_t k = 0; k < p.repeats[2].count; ++k) {
          int64_t at = base + i * p.deltas[0].step + j * p.deltas[1].step + k * p.deltas[2].step;
          crossing |= at / 2048 != (at + width - 1) / 2048;
        }
      }
    }
    crossings += crossing;
    EXPECT_EQ(findings_of(p, chip()).size(), crossing ? 1u : 0u);
  }
  EXPECT_GT(crossings, 200);
  EXPECT_LT(crossings, 1800);
}

TEST(Rules, BankIsKeptInEveryIteration) {
  Program p = legal(Opcode::nc_matmul);
  p.code[0].delta_count = 1;
  p.deltas = {{Delta::Target::operand, 0, 0, 2048}};
  p.repeats = {{0, 1, 8}};
  EXPECT_EQ(findings_of(p, chip()), Strings{});
  p.deltas[0].step = 400;
  p.repeats[0].count = 5;
  EXPECT_EQ(findings_of(p, chip()), Strings{});
  p.repeats[0].count = 6;
  EXPECT_EQ(findings_of(p, chip()),
            Strings{"instruction 0: nc_matmul dst: bytes 2000 to 2399 cross a PSUM bank, banks have 2048 bytes"});
}

// SBUF of the other core of a pair: for what the DMA engines move, on a chip that has pairs.
TEST(Rules, TheOtherCore) {
  const spec::ChipSpec pairs = chip(), alone = with([](spec::ChipSpec& s) { s.lnc_max = 1; });
  auto peer = [](std::string_view name) {
    return [name](Program& p, Last last) {
      View v = p.operand(p.code[0], operand_index(p.code[0].opcode, name));
      v.peer = 1;
      last.operand(name, v);
    };
  };
  auto gather = [&](std::string_view name) {
    return [peer, name](Program& p, Last last) {
      p.code[0].engine = EngineKind::gpsimd;
      last.operand("src", hbm({50, 20})).operand("index", sbuf(32, {1}, DType::uint32));
      peer(name)(p, last);
    };
  };
  expect_messages({
      {Opcode::dma_copy, peer("dst"), {}, pairs},
      {Opcode::dma_copy, gather("dst"), {}, pairs},
      {Opcode::dma_copy, peer("dst"), {"dma_copy dst: is in the other core of a pair, test has none"}, alone},
      {Opcode::dma_copy, peer("src"), {"dma_copy src: is in hbm of the other core; legal: sbuf"}, pairs},
      {Opcode::dma_copy,
       gather("index"),
       {"dma_copy index: is in the other core's sbuf, where only what is moved reaches"},
       pairs},
      {Opcode::max8, peer("src"), {"max8 src: is in the other core's sbuf, where only a DMA reaches"}, pairs},
      {Opcode::max8,
       [](Program& p, Last) { p.code[0].signal = 3, p.code[0].signal_to = SignalTo::peer; },
       {"max8 signal: goes to the other core of a pair, test has none"},
       alone},
  });
}

}  // namespace
}  // namespace presil::isa
