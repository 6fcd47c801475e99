#include "nki/recording.h"

#include <gtest/gtest.h>

#include "spec/chip_file.h"

namespace presil::nki {
namespace {

using isa::EngineKind;
using isa::Memory;
using isa::Opcode;
using isa::View;

View tile_view(Memory memory, uint32_t base, uint16_t partitions, int64_t offset, uint32_t count) {
  View v{.memory = memory, .dtype = DType::fp32, .rank = 1};
  v.base = base, v.partitions = partitions, v.offset = offset, v.dims[0] = {1, count};
  return v;
}

struct Kernel {
  Recording recording{"kernel"};
  uint32_t x = recording.tensor("x", DType::fp32, {128, 4}, isa::TensorRole::input);
  uint32_t y = recording.tensor("y", DType::fp32, {128, 4}, isa::TensorRole::output);
  uint32_t tile = recording.tile(Memory::sbuf, 128, 16, "tile", {});

  Result<void> copy(const View& dst, const View& src, const std::string& line) {
    const Operand operands[] = {{dst}, {src}, {}};
    static constexpr uint32_t kAttributes[4] = {};
    TRY(recording.append(Opcode::dma_copy, EngineKind::sync, operands, kAttributes, line));
    return {};
  }
  View whole(uint32_t tensor) const {
    View v{.memory = Memory::hbm, .dtype = DType::fp32, .rank = 1};
    v.base = tensor, v.dims[0] = {1, 512};
    return v;
  }
};

TEST(Recording, CompilesForEveryGeneration) {
  for (const char* chip : {"trn1", "trn2", "trn3"}) {
    Kernel k;
    ASSERT_TRUE(k.copy(tile_view(Memory::sbuf, k.tile, 128, 0, 4), k.whole(k.x), "k.py:1"));
    ASSERT_TRUE(k.copy(k.whole(k.y), tile_view(Memory::sbuf, k.tile, 128, 0, 4), "k.py:2"));
    EXPECT_EQ(k.recording.instructions(), 2u);
    const auto workload = k.recording.compile(*spec::load_chip(chip), nullptr);
    ASSERT_TRUE(workload.has_value()) << workload.error().text();
    EXPECT_EQ(workload->executable.sources.at(0).graph_node, "k.py:1");
    EXPECT_TRUE(workload->compile_for(*spec::load_chip("trn2"), nullptr).has_value());
  }
}

TEST(Recording, OperandsStayInside) {
  Kernel k;
  EXPECT_EQ(k.copy(tile_view(Memory::sbuf, k.tile, 128, 4, 4), k.whole(k.x), "k.py:3").error().text(),
            "k.py:3: dst reaches bytes 4 to 20 of 'tile', which has 16 per partition");
  View low = tile_view(Memory::sbuf, k.tile, 64, 0, 4);
  low.partition = 96;
  EXPECT_EQ(k.copy(low, k.whole(k.x), "k.py:4").error().text(),
            "k.py:4: dst reaches partition 159 of 'tile', which has 128");
  View far = k.whole(k.x);
  far.offset = 4;
  EXPECT_EQ(k.copy(tile_view(Memory::sbuf, k.tile, 128, 0, 4), far, "k.py:5").error().text(),
            "k.py:5: src reaches bytes 4 to 2052 of tensor 'x', which has 2048");
  EXPECT_EQ(k.recording.instructions(), 0u);
}

TEST(Recording, AllBrokenRulesAreNamedAtTheirLines) {
  Kernel k;
  ASSERT_TRUE(k.copy(k.whole(k.y), tile_view(Memory::sbuf, k.tile, 128, 0, 4), "k.py:6"));
  View three = tile_view(Memory::sbuf, k.tile, 3, 0, 4);
  three.partition = 7;
  const Operand operands[] = {{three}, {three}};
  ASSERT_TRUE(k.recording.append(Opcode::reciprocal, EngineKind::vector, operands, {}, "k.py:7"));
  const std::string text = k.recording.compile(*spec::load_chip("trn2"), nullptr).error().text();
  EXPECT_NE(text.find("k.py:6: dma_copy src: reads 'tile', which nothing has written"), std::string::npos) << text;
  EXPECT_NE(text.find("k.py:7: reciprocal"), std::string::npos) << text;
}

TEST(Recording, WhatMovesStaysInsideForEveryTurnOfALoop) {
  for (int32_t until : {4, 5}) {
    Kernel k;
    const uint32_t turn = k.recording.begin_loop(0, until, 1, "k.py:1");
    View quarter = k.whole(k.x);
    quarter.dims[0].count = 128;
    const Operand operands[] = {{tile_view(Memory::sbuf, k.tile, 128, 0, 1)}, {quarter, {{turn, 512}}}, {}};
    static constexpr uint32_t kAttributes[4] = {};
    const auto done = k.recording.append(Opcode::dma_copy, EngineKind::sync, operands, kAttributes, "k.py:2");
    EXPECT_EQ(done.has_value(), until == 4);
    if (!done) {
      EXPECT_EQ(done.error().text(), "k.py:2: src reaches bytes 0 to 2560 of tensor 'x', which has 2048");
    }
  }
}

}  // namespace
}  // namespace presil::nki
