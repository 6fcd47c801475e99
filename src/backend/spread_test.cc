// Do several engines of a kind share the work, and keep what belongs together?
#include "backend/spread.h"

#include <gtest/gtest.h>

#include <map>

#include "backend/random_program.h"
#include "backend/test_chip.h"

namespace presil::backend {
namespace {

TEST(Spread, OneOfEachKindChangesNothing) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    tile::TileProgram program = testing::RandomProgram(seed, {}).make();
    const isa::Program before = program.code;
    spread_engines(program, testing::chip());
    EXPECT_EQ(program.code, before) << "seed " << seed;
  }
}

TEST(Spread, WhatTheProgramDealsItselfStays) {
  spec::ChipSpec spec = testing::chip();
  spec.vector.count = 2;
  tile::TileProgram program = testing::RandomProgram(3, {.vector_engines = 2}).make();
  const isa::Program before = program.code;
  spread_engines(program, spec);
  EXPECT_EQ(program.code, before);
}

// Every tile has one engine of a kind that writes it, and no engine is left out.
TEST(Spread, TilesAreDealt) {
  spec::ChipSpec spec = testing::chip();
  spec.tensor.count = 4, spec.vector.count = 3;
  std::map<isa::EngineKind, uint32_t> most;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    tile::TileProgram program = testing::RandomProgram(seed, {}).make();
    spread_engines(program, spec);
    std::map<std::pair<isa::EngineKind, uint32_t>, uint8_t> engine_of;
    for (const isa::Instruction& i : program.code.code) {
      if (isa::is_dma(i.opcode) || i.operand_count == 0) continue;
      const auto [own, fresh] = engine_of.try_emplace({i.engine, program.code.operand(i, 0).base}, i.engine_index);
      EXPECT_EQ(own->second, i.engine_index) << "seed " << seed;
      most[i.engine] = std::max<uint32_t>(most[i.engine], i.engine_index);
    }
  }
  EXPECT_EQ(most[isa::EngineKind::tensor], 3u);
  EXPECT_EQ(most[isa::EngineKind::vector], 2u);
  EXPECT_EQ(most[isa::EngineKind::scalar], 0u);
}

}  // namespace
}  // namespace presil::backend
