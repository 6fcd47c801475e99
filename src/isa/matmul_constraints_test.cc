// Is every constraint of the tensor engine's products stated, and stated exactly?
#include "isa/rule_cases.h"

namespace presil::isa {
namespace {

using namespace testing;

constexpr DType kE4 = DType::fp8_e4m3, kE5 = DType::fp8_e5m2, kFn = DType::fp8_e4m3fn, kBf = DType::bf16;

std::function<void(Program&, Last)> factors(DType stationary, DType moving) {
  return [=](Program&, Last i) {
    i.operand("stationary", sbuf(32, {16}, stationary)).operand("moving", sbuf(32, {100}, moving));
  };
}

TEST(MatmulConstraints, Types) {
  expect_messages({
      {Opcode::nc_matmul, factors(kE4, kE5), {}},
      {Opcode::nc_matmul, factors(DType::fp8_e3m4, kBf), {}},
      {Opcode::nc_matmul, factors(kFn, kE5), {}, chip(128, 4)},
      {Opcode::nc_matmul,
       factors(kE4, kFn),
       {"nc_matmul moving: type is fp8_e4m3fn, stationary has fp8_e4m3; the two kinds of e4m3 do not mix"},
       chip(128, 4)},
      {Opcode::nc_matmul, factors(DType::tf32, DType::fp32), {}},
      {Opcode::nc_matmul,
       factors(DType::fp8_e8m0, kBf),
       {"nc_matmul stationary: type is fp8_e8m0, scales belong to nc_matmul_mx"},
       chip(128, 4)},
      {Opcode::nc_matmul,
       factors(DType::fp8_e4m3fn_x4, kBf),
       {"nc_matmul stationary: type is fp8_e4m3fn_x4, expected one number per element",
        "nc_matmul stationary: type is fp8_e4m3fn_x4, expected a float"},
       chip(128, 4)},
  });
}

// Generation 4: all banks at once, 4096 fp32 or 8192 bf16 columns.
TEST(MatmulConstraints, MovingColumnsOfGeneration4) {
  const auto columns = [](uint32_t n, DType dst) {
    return [=](Program&, Last i) { i.operand("moving", sbuf(32, {n})).operand("dst", psum(16, {n}, dst)); };
  };
  const spec::ChipSpec wide = with([](spec::ChipSpec& s) { s.tensor.moving_max = 4096; }, 128, 4);
  expect_messages({
      {Opcode::nc_matmul, columns(4096, DType::fp32), {}, wide},
      {Opcode::nc_matmul, columns(8192, kBf), {}, wide},
      {Opcode::nc_matmul,
       columns(8193, kBf),
       {"nc_matmul dst: bytes 0 to 16385, a partition of psum has 16384",
        "nc_matmul moving: 8193 elements per partition, from 1 to 8192"},
       wide},
      {Opcode::nc_matmul,
       columns(4097, DType::fp32),
       {"nc_matmul dst: bytes 0 to 16387, a partition of psum has 16384",
        "nc_matmul moving: 4097 elements per partition, from 1 to 4096"},
       wide},
  });
}

TEST(MatmulConstraints, DoubleRow) {
  const auto doubled = [](
                           DType stationary, DType moving, std::function<void(Last)> change = [](Last) {}) {
    return [=](Program&, Last i) {
      i.operand("stationary", sbuf(32, {2, 16}, stationary)).operand("moving", sbuf(32, {2, 100}, moving));
      i.word("perf_mode", static_cast<uint32_t>(MatmulMode::double_row));
      change(i);
    };
  };
  expect_messages({
      {Opcode::nc_matmul, doubled(kE4, kE5), {}},
      {Opcode::nc_matmul, doubled(kFn, kFn), {}, chip(128, 4)},
      {Opcode::nc_matmul, doubled(kE4, kE4), {"nc_matmul perf_mode: double_row needs generation 3"}, chip(128, 2)},
      {Opcode::nc_matmul, doubled(kBf, kE4), {"nc_matmul stationary: type is bf16; legal: fp8_e4m3, fp8_e5m2"}},
      {Opcode::nc_matmul,
       doubled(kE5, DType::fp8_e3m4),
       {"nc_matmul moving: type is fp8_e3m4; legal: fp8_e4m3, fp8_e5m2, fp8_e4m3fn"},
       chip(128, 4)},
      {Opcode::nc_matmul,
       doubled(kE4, kFn),
       {"nc_matmul moving: type is fp8_e4m3fn, stationary has fp8_e4m3; the two kinds of e4m3 do not mix"},
       chip(128, 4)},
      {Opcode::nc_matmul,
       doubled(kE4, kE4,
               [](Last i) {
                 i.operand("stationary", sbuf(32, {3, 16}, kE4));
               }),
       {"nc_matmul stationary: first dimension has count 3, double_row takes a multiple of 2"}},
      {Opcode::nc_matmul,
       doubled(kE4, kE4,
               [](Last i) {
                 i.operand("moving", sbuf(32, {1, 1}, kE4));
               }),
       {"nc_matmul moving: 1 element per partition, double_row takes a multiple of 2"}},
      {Opcode::nc_matmul,
       doubled(kE4, kE4, [](Last i) { i.operand("dst", psum(16, {200})); }),
       {"nc_matmul dst: 200 elements per partition, moving has 100"}},
      {Opcode::nc_matmul,
       doubled(kE4, kE4,
               [](Last i) {
                 i.operand("stationary", sbuf(32, {2, 129}, kE4));
               }),
       {"nc_matmul stationary: 258 elements per partition, from 2 to 256",
        "nc_matmul dst: 16 partitions, stationary has 129 columns"}},
      {Opcode::nc_matmul,
       doubled(kE4, kE4, [](Last i) { i.word("tile_rows", 128).word("tile_columns", 64); }),
       {"nc_matmul perf_mode: double_row does not combine with column tiles"}},
      {Opcode::nc_matmul, doubled(kE4, kE4, [](Last i) { i.word("tile_rows", 32).word("tile_columns", 128); }), {}},
      {Opcode::nc_matmul,
       doubled(kE4, kE4, [](Last i) { i.word("is_transpose", 1); }),
       {"nc_matmul perf_mode: double_row does not combine with is_transpose",
        "nc_matmul stationary: type is fp8_e4m3; legal: fp32, bf16, fp16",
        "nc_matmul dst: type is fp32, stationary has fp8_e4m3"}},
      {Opcode::nc_matmul,
       [](Program&, Last i) { i.word("perf_mode", 2); },
       {"nc_matmul perf_mode: value 2 has no meaning"}},
  });
}

TEST(MatmulConstraints, Tiles) {
  const auto tile = [](uint32_t row, uint32_t column, uint32_t rows, uint32_t columns) {
    return [=](Program& p, Last i) {
      i.word("tile_row", row).word("tile_column", column).word("tile_rows", rows).word("tile_columns", columns);
      p.views[0].partition = static_cast<uint16_t>(column < 128 ? column : 0);
      p.views[1].partition = p.views[2].partition = static_cast<uint16_t>(row < 128 ? row : 0);
    };
  };
  const spec::ChipSpec old = with([](spec::ChipSpec& s) { s.tensor.tile_min = 64; }, 128, 2);
  expect_messages({
      {Opcode::nc_matmul, tile(96, 32, 32, 32), {}},
      {Opcode::nc_matmul, tile(64, 0, 64, 128), {}},
      {Opcode::nc_matmul, tile(64, 64, 64, 64), {}, old},
      {Opcode::nc_matmul, tile(32, 0, 32, 128), {"nc_matmul tile_rows: 32 is not one of 128, 64"}, old},
      {Opcode::nc_matmul, tile(0, 0, 16, 128), {"nc_matmul tile_rows: 16 is not one of 128, 64, 32"}},
      {Opcode::nc_matmul, tile(0, 0, 128, 96), {"nc_matmul tile_columns: 96 is not one of 128, 64, 32"}},
      {Opcode::nc_matmul,
       tile(32, 0, 64, 128),
       {"nc_matmul tile_row: 32 is not a multiple of the tile's 64 below 128"}},
      {Opcode::nc_matmul,
       tile(0, 128, 128, 64),
       {"nc_matmul tile_column: 128 is not a multiple of the tile's 64 below 128",
        "nc_matmul dst: starts at partition 0, the tile at column 128"}},
      {Opcode::nc_matmul,
       tile(0, 0, 0, 64),
       {"nc_matmul tile_rows: 0, the other size is set; a tile has both, the whole array none"}},
      {Opcode::nc_matmul,
       tile(0, 0, 64, 0),
       {"nc_matmul tile_columns: 0, the other size is set; a tile has both, the whole array none"}},
      {Opcode::nc_matmul, tile(32, 0, 0, 0), {"nc_matmul tile_row: 32 without a tile size"}},
      {Opcode::nc_matmul, tile(0, 64, 0, 0), {"nc_matmul tile_column: 64 without a tile size"}},
      {Opcode::nc_matmul,
       [&](Program& p, Last i) {
         i.operand("stationary", sbuf(64, {64})).operand("moving", sbuf(64, {100})).operand("dst", psum(64, {100}));
         tile(0, 0, 32, 32)(p, i);
       },
       {"nc_matmul stationary: 64 partitions, the tile has 32", "nc_matmul stationary: 64 columns, the tile has 32"}},
      {Opcode::nc_matmul,
       [&](Program& p, Last i) {
         tile(32, 32, 32, 32)(p, i);
         p.views[0].partition = 64, p.views[2].partition = 0;
       },
       {"nc_matmul dst: starts at partition 64, the tile at column 32",
        "nc_matmul moving: starts at partition 0, the tile at row 32"}},
  });
}

TEST(MatmulConstraints, Mx) {
  const auto change = [](std::string_view name, View v) { return [=](Program&, Last i) { i.operand(name, v); }; };
  constexpr DType kPacked = DType::fp8_e4m3fn_x4, kScale = DType::fp8_e8m0;
  const spec::ChipSpec trn3 = chip(128, 4);
  expect_messages({
      {Opcode::nc_matmul_mx, [](Program&, Last) {}, {}, trn3},
      {Opcode::nc_matmul_mx, change("dst", psum(16, {100}, kBf)), {}, trn3},
      {Opcode::nc_matmul_mx,
       [](Program& p, Last i) {
         p.views.resize(5);
         i.operand("stationary", sbuf(32, {16}, kBf));
       },
       {"nc_matmul_mx stationary: type is bf16; legal: fp8_e4m3fn_x4, fp8_e5m2_x4, fp4_e2m1fn_x4"},
       trn3},
      {Opcode::nc_matmul_mx,
       [=](Program&, Last i) {
         i.operand("stationary", sbuf(48, {16}, kPacked)).operand("moving", sbuf(48, {100}, kPacked));
         i.operand("stationary_scale", sbuf(36, {16}, kScale)).operand("moving_scale", sbuf(36, {100}, kScale));
       },
       {"nc_matmul_mx stationary: 48 partitions, expected a multiple of 32",
        "nc_matmul_mx moving: 48 partitions, expected a multiple of 32"},
       trn3},
      {Opcode::nc_matmul_mx,
       [=](Program&, Last i) {
         i.operand("stationary", sbuf(32, {15}, kPacked)).operand("stationary_scale", sbuf(4, {15}, kScale));
         i.operand("dst", psum(15, {100}));
       },
       {"nc_matmul_mx stationary: 15 columns, expected an even number"},
       trn3},
      {Opcode::nc_matmul_mx,
       change("dst", psum(16, {100}, DType::fp16)),
       {"nc_matmul_mx dst: type is fp16; legal: fp32, bf16"},
       trn3},
      {Opcode::nc_matmul_mx,
       change("moving_scale", sbuf(4, {100}, DType::int8)),
       {"nc_matmul_mx moving_scale: type is int8; legal: fp8_e8m0, uint8"},
       trn3},
      {Opcode::nc_matmul_mx,
       change("moving_scale", sbuf(4, {99}, kScale)),
       {"nc_matmul_mx moving_scale: 99 elements per partition, expected 100"},
       trn3},
      {Opcode::nc_matmul_mx,
       change("stationary_scale", sbuf(3, {16}, kScale)),
       {"nc_matmul_mx stationary_scale: 3 partitions, the scales of 32 partitions take 4 to 32"},
       trn3},
      {Opcode::nc_matmul_mx, [](Program& p, Last) { p.views[3].partition = 12; }, {}, trn3},
      {Opcode::nc_matmul_mx,
       [](Program& p, Last) { p.views[3].partition = 16; },
       {"nc_matmul_mx stationary_scale: starts 16 partitions into a quadrant; legal: 0, 4, 8, 12"},
       trn3},
      {Opcode::nc_matmul_mx,
       [](Program& p, Last) { p.views[4].partition = 36; },
       {"nc_matmul_mx moving_scale: starts in quadrant 1, its data in quadrant 0"},
       trn3},
      {Opcode::nc_matmul_mx,
       [](Program&, Last i) { i.word("tile_rows", 16); },
       {"nc_matmul_mx tile_rows: 16 is not one of 128, 64, 32"},
       trn3},
      {Opcode::nc_matmul_mx,
       [](Program&, Last i) { i.word("tile_row", 32); },
       {"nc_matmul_mx tile_row: 32 without a tile size"},
       trn3},
      {Opcode::nc_matmul_mx,
       [](Program&, Last i) { i.word("tile_row", 32).word("tile_rows", 32); },
       {"nc_matmul_mx stationary: starts at partition 0, the tile at row 32",
        "nc_matmul_mx moving: starts at partition 0, the tile at row 32"},
       trn3},
  });
  Program p = legal(Opcode::nc_matmul_mx);
  EXPECT_EQ(findings_of(p, chip())[0], "instruction 0: nc_matmul_mx: needs generation 4, test is generation 3");
}

TEST(MatmulConstraints, QuantizeMx) {
  const spec::ChipSpec trn3 = chip(128, 4);
  expect_messages({
      {Opcode::quantize_mx, [](Program&, Last) {}, {}, trn3},
      {Opcode::quantize_mx,
       [](Program&, Last i) { i.operand("src", sbuf(32, {20})); },
       {"quantize_mx src: type is fp32; legal: bf16, fp16"},
       trn3},
      {Opcode::quantize_mx,
       [](Program&, Last i) { i.operand("dst", sbuf(32, {5}, DType::fp4_e2m1fn_x4)); },
       {"quantize_mx dst: type is fp4_e2m1fn_x4; legal: fp8_e4m3fn_x4, fp8_e5m2_x4"},
       trn3},
      {Opcode::quantize_mx,
       [](Program&, Last i) { i.operand("src", sbuf(32, {22}, kBf)); },
       {"quantize_mx src: 22 elements per partition, expected a multiple of 4"},
       trn3},
      {Opcode::quantize_mx,
       [](Program&, Last i) { i.operand("src", sbuf(32, {24}, kBf)); },
       {"quantize_mx dst: 5 elements per partition, expected 6",
        "quantize_mx dst_scale: 5 elements per partition, expected 6"},
       trn3},
      {Opcode::quantize_mx,
       [](Program&, Last i) { i.operand("dst", sbuf(64, {5}, DType::fp8_e5m2_x4)); },
       {"quantize_mx dst: 64 partitions, src has 32"},
       trn3},
      {Opcode::quantize_mx,
       [](Program&, Last i) { i.operand("dst_scale", sbuf(3, {5}, DType::uint8)); },
       {"quantize_mx dst_scale: 3 partitions, the scales of 32 partitions take 4 to 32"},
       trn3},
      {Opcode::quantize_mx,
       [](Program&, Last i) { i.operand("dst_scale", psum(4, {5}, DType::uint8)); },
       {"quantize_mx dst_scale: is in psum; legal: sbuf"},
       trn3},
  });
}

TEST(MatmulConstraints, Sparse) {
  const auto pattern = [](uint32_t kept, uint32_t of) {
    return [=](Program&, Last i) {
      i.word("kept", kept).word("of", of).operand("moving", sbuf(32, {of / kept, 100}, kBf));
    };
  };
  std::vector<Case> cases;
  for (auto [kept, of] : {std::pair{4u, 16u}, {4u, 12u}, {4u, 8u}, {2u, 8u}, {2u, 4u}, {1u, 4u}, {1u, 2u}})
    cases.push_back({Opcode::nc_matmul_sparse, pattern(kept, of), {}});
  expect_messages(cases);
  expect_messages({
      {Opcode::nc_matmul_sparse,
       pattern(3, 12),
       {"nc_matmul_sparse kept: 3:12 is not one of 4:16, 4:12, 4:8, 2:8, 2:4, 1:4, 1:2"}},
      {Opcode::nc_matmul_sparse,
       [](Program&, Last i) {
         i.operand("moving", sbuf(32, {3, 100}, kBf));
       },
       {"nc_matmul_sparse moving: first dimension has count 3, the pattern takes a multiple of 4"}},
      {Opcode::nc_matmul_sparse,
       [](Program&, Last i) { i.operand("stationary", sbuf(32, {16})); },
       {"nc_matmul_sparse stationary: type is fp32; legal: tf32, bf16, fp16, fp8_e4m3, fp8_e5m2",
        "nc_matmul_sparse moving: type is bf16, stationary has fp32; fp32 and tf32 do not mix with narrower types"}},
      {Opcode::nc_matmul_sparse,
       [](Program&, Last i) { i.operand("stationary", sbuf(32, {16}, kE4)); },
       {"nc_matmul_sparse stationary: type is fp8_e4m3; legal: tf32, bf16, fp16"},
       chip(128, 4)},
      {Opcode::nc_matmul_sparse,
       [](Program&, Last i) {
         i.operand("stationary", sbuf(30, {16}, kBf)).operand("moving", sbuf(30, {4, 100}, kBf));
         i.operand("tags", sbuf(30, {4}, DType::uint16));
       },
       {"nc_matmul_sparse stationary: 30 partitions, expected a multiple of the pattern's 4"}},
      {Opcode::nc_matmul_sparse,
       [](Program&, Last i) { i.operand("tags", sbuf(16, {5}, DType::uint8)); },
       {"nc_matmul_sparse tags: type is uint8; legal: uint16",
        "nc_matmul_sparse tags: 16 partitions, stationary has 32",
        "nc_matmul_sparse tags: 5 elements per partition, expected 4"}},
      {Opcode::nc_matmul_sparse,
       [](Program&, Last i) { i.operand("dst", psum(16, {100}, kBf)); },
       {"nc_matmul_sparse dst: type is bf16; legal: fp32"}},
  });
  Program p = legal(Opcode::nc_matmul_sparse);
  EXPECT_EQ(findings_of(p, chip(128, 2)),
            Strings{"instruction 0: nc_matmul_sparse: needs generation 3, test is generation 2"});
}

}  // namespace
}  // namespace presil::isa
