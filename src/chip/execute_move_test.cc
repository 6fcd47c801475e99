// Instructions that move or select elements against the plain reference, on random operands: sizes from 1 to the
// maxima, strided and reversed patterns, all types, in place and partly overlapping. All of memory is compared
// afterwards.
#include <array>

#include "chip/execute_fixture.h"

namespace presil::chip {
namespace {

using namespace testing;

TEST(Execute, TensorCopyAndDmaCopy) {
  Fixture b(1);
  for (int i = 0; i < 400; ++i) {
    const Shape s = b.shape();
    const View dst = b.row_view(b.pick(kOnChip), type_for(b, s), s, 0, true);
    const View src = input_view(b, s, b.chance(50) ? dst.dtype : type_for(b, s), 1, dst);
    b.start(b.chance(50) ? Opcode::tensor_copy : Opcode::dma_copy, EngineKind::vector, {dst, src});
    ASSERT_TRUE(b.matches());
  }
}

// Elements meet in order, whatever the shapes: rows of HBM on partitions, broadcasts, patterns without common loops.
TEST(Execute, DmaCopyBetweenHbmAndSbuf) {
  Fixture b(2);
  for (int i = 0; i < 300; ++i) {
    const Shape s = b.shape();
    const DType t = type_for(b, s);
    const View chip = b.row_view(Memory::sbuf, t, s, 0, true);
    View hbm;
    hbm.memory = Memory::hbm;
    hbm.dtype = b.chance(80) ? t : type_for(b, s);
    hbm.offset = static_cast<int64_t>(dtype_bytes(hbm.dtype) * b.random.below(100));
    const auto counts = b.factors(s.partitions * s.row, 5);
    hbm.rank = static_cast<uint8_t>(counts.size());
    int32_t step = 1;
    for (size_t d = counts.size(); d-- > 0;) {
      hbm.dims[d] = {step, counts[d]};
      step *= static_cast<int32_t>(counts[d]);
      if (b.chance(30)) step += 1;
    }
    const bool load = b.chance(50);
    if (load && b.chance(20)) hbm.dims[0].step = 0;
    b.start(Opcode::dma_copy, EngineKind::sync, {load ? chip : hbm, load ? hbm : chip});
    ASSERT_TRUE(b.matches());
  }
}

// Where the destination overlaps itself, the last element in order stays.
TEST(Execute, CopiesIntoAPatternThatOverlapsItself) {
  Fixture b(22);
  const std::vector<isa::Dim> patterns[] = {{{0, 16}, {1, 2}}, {{1, 40}, {1, 40}}, {{1, 2}, {0, 16}}, {{3, 9}, {2, 9}}};
  for (const auto& dims : patterns) {
    View dst = b.view(Memory::sbuf, DType::fp32, 5, 0, {1}, 0, true);
    dst.rank = 2;
    std::copy(dims.begin(), dims.end(), dst.dims.begin());
    View src = b.view(Memory::sbuf, DType::fp32, 5, 0, {1}, 2, true);
    src.rank = 2;
    src.dims[0] = {1, dims[0].count};
    src.dims[1] = {static_cast<int32_t>(dims[0].count), dims[1].count};
    for (Opcode opcode : {Opcode::tensor_copy, Opcode::dma_copy}) {
      b.start(opcode, EngineKind::vector, {dst, src});
      ASSERT_TRUE(b.matches());
    }
  }
}

// An image of twice the width and height: every element four times.
TEST(Execute, ElementsThatComeTwice) {
  Fixture b(23);
  for (DType from : {DType::fp32, DType::bf16, DType::int8, DType::uint16}) {
    for (DType to : {from, DType::fp32, DType::bf16}) {
      for (uint32_t columns : {1u, 2u, 15u, 40u, 300u}) {
        const int32_t width = static_cast<int32_t>(columns + b.random.below(3));
        View dst = b.view(Memory::sbuf, to, 7, 0, {1}, 0, true), src = b.view(Memory::sbuf, from, 7, 0, {1}, 5, true);
        dst.rank = 1, dst.dims[0] = {1, 3 * 2 * columns * 2};
        src.rank = 4;
        const isa::Dim dims[] = {{width, 3}, {0, 2}, {1, columns}, {0, 2}};
        std::copy(std::begin(dims), std::end(dims), src.dims.begin());
        b.start(b.chance(50) ? Opcode::tensor_copy : Opcode::dma_copy, EngineKind::vector, {dst, src});
        ASSERT_TRUE(b.matches());
      }
    }
  }
}

TEST(Execute, Transposes) {
  Fixture b(3);
  for (int i = 0; i < 200; ++i) {
    static constexpr uint32_t kSides[] = {1, 2, 13, 32, 64, 97, 128};
    const uint32_t p = b.pick(kSides), f = b.pick(kSides);
    const DType t = b.pick(kFloats), result = b.chance(20) ? DType::fp32 : t;
    const View dst = b.view(b.pick(kOnChip), result, p, b.start_for(p), b.factors(f, 2), 0, true);
    const bool overlap = b.chance(20);
    const View src =
        b.view(overlap ? dst.memory : b.pick(kOnChip), t, f, b.start_for(f), b.factors(p, 2), overlap ? 0 : 1, false);
    b.start(Opcode::nc_transpose, EngineKind::tensor, {dst, src});
    ASSERT_TRUE(b.matches());
    View hbm;
    hbm.memory = Memory::hbm;
    hbm.dtype = t;
    hbm.rank = 2;
    hbm.dims[0] = {static_cast<int32_t>(p + 5), f};
    hbm.dims[1] = {1, p};
    if (result != t) continue;
    b.start(Opcode::dma_transpose, EngineKind::sync, {dst, hbm});
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, Selections) {
  Fixture b(12);
  static constexpr ReduceCommand kCommands[] = {ReduceCommand::idle, ReduceCommand::reset, ReduceCommand::reduce,
                                                ReduceCommand::reset_reduce};
  static constexpr DType kMasks[] = {DType::uint8, DType::uint16, DType::uint32, DType::int8};
  static constexpr AluOp kCompare[] = {AluOp::eq, AluOp::lt, AluOp::le, AluOp::gt, AluOp::ge};
  for (int i = 0; i < 300; ++i) {
    const Shape s = b.shape(256);
    const View dst = b.row_view(b.pick(kOnChip), b.pick(kFloats), s, 0, true),
               on_true = input_view(b, s, b.pick(kFloats), 1, dst);
    const View mask = b.row_view(Memory::sbuf, b.pick(kMasks), s, 2, false);
    const View other = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 3) : View{};
    const View result = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 4) : View{};
    const auto fill_mask = [&] { b.fill(mask, [&](size_t) { return b.random.below(2) * b.random.next(); }); };
    b.start(Opcode::select_reduce, EngineKind::vector, {dst, mask, on_true, other, result});
    fill_mask();
    b.set(slots::select_reduce::imm, b.value());
    b.set(slots::select_reduce::reduce_cmd, b.pick(kCommands));
    b.set(slots::select_reduce::reverse_pred, static_cast<uint32_t>(b.chance(50)));
    ASSERT_TRUE(b.matches());

    b.start(Opcode::tensor_copy_predicated, EngineKind::vector, {dst, b.chance(70) ? on_true : View{}, mask});
    fill_mask();
    b.set(slots::tensor_copy_predicated::imm, b.value());
    b.set(slots::tensor_copy_predicated::reverse_pred, static_cast<uint32_t>(b.chance(50)));
    ASSERT_TRUE(b.matches());

    const View low = b.column(Memory::sbuf, DType::fp32, s, 3), high = b.column(Memory::sbuf, DType::fp32, s, 5);
    b.start(Opcode::range_select, EngineKind::vector, {dst, on_true, low, high, result});
    for (const View& v : {low, high})
      b.fill(v,
             [&](size_t) { return numerics::from_fp32(DType::fp32, static_cast<float>(b.random.between(-5, 300))); });
    b.set(slots::range_select::comp_op0, b.pick(kCompare));
    b.set(slots::range_select::comp_op1, b.pick(kCompare));
    b.set(slots::range_select::range_start, static_cast<uint32_t>(b.random.between(-9, 99)));
    b.set(slots::range_select::reduce_cmd, b.pick(kCommands));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, IotaAndAffineSelect) {
  Fixture b(13);
  static constexpr AluOp kCompare[] = {AluOp::ge, AluOp::gt, AluOp::eq, AluOp::lt};
  for (int i = 0; i < 200; ++i) {
    const Shape s = b.shape(256);
    const View dst = b.row_view(Memory::sbuf, b.chance(40) ? DType::int32 : type_for(b, s), s, 0, true);
    const auto set_affine = [&](int first) {
      for (int k = 0; k < 6; ++k)
        b.set(first + k,
              static_cast<uint32_t>(b.chance(5) ? b.random.next() : static_cast<uint64_t>(b.random.between(-20, 20))));
    };
    b.start(Opcode::iota, EngineKind::gpsimd, {dst});
    set_affine(slots::iota::offset);
    ASSERT_TRUE(b.matches());
    b.start(Opcode::affine_select, EngineKind::gpsimd,
            {dst, input_view(b, s, b.chance(50) ? dst.dtype : type_for(b, s), 1, dst)});
    b.set(slots::affine_select::cmp_op, b.pick(kCompare));
    b.set(slots::affine_select::value, b.value());
    set_affine(slots::affine_select::offset);
    ASSERT_TRUE(b.matches());
  }
}

// Up to 40 rows of `row` elements, with gaps.
View random_table(Fixture& b, DType t, uint32_t row_elements) {
  View table;
  table.memory = Memory::hbm;
  table.dtype = t;
  table.offset = static_cast<int64_t>(dtype_bytes(t) * b.random.below(100));
  const std::vector<uint32_t> row = b.factors(row_elements, 3);
  table.rank = static_cast<uint8_t>(row.size() + 1);
  int32_t step = static_cast<int32_t>(1 + b.random.below(2));
  for (size_t d = row.size(); d-- > 0;) {
    table.dims[d + 1] = {step, row[d]};
    step = step * static_cast<int32_t>(row[d]) + static_cast<int32_t>(b.random.below(3));
  }
  table.dims[0] = {step, static_cast<uint32_t>(1 + b.random.below(40))};
  return table;
}

// Indices that name rows; with `skip` some that do not.
void fill_indices(Fixture& b, const View& index, const View& table, bool skip) {
  const uint32_t rows = table.dims[0].count;
  b.fill(index, [&](size_t) { return b.random.below(skip ? rows + 3 : rows); });
}

TEST(Execute, RowsOfATable) {
  namespace s = slots::dma_copy;
  Fixture b(19);
  for (int i = 0; i < 300; ++i) {
    const Shape shape = b.shape(256);
    const DType t = type_for(b, shape);
    const View index = b.column(Memory::sbuf, b.chance(50) ? DType::int32 : DType::uint32, shape, 1);
    const View table = random_table(b, t, shape.row);
    const bool scatter = b.chance(50), skip = b.chance(50);
    const View other = b.row_view(Memory::sbuf, t, shape, 0, true);
    b.start(Opcode::dma_copy, EngineKind::gpsimd, {scatter ? table : other, scatter ? other : table, index});
    b.set(s::scatter, uint32_t{scatter}), b.set(s::oob_mode, uint32_t{skip});
    fill_indices(b, index, table, skip);
    ASSERT_TRUE(b.matches());
  }
}

// An operand in HBM has rows, too: those of its first dimension.
TEST(Execute, RowsBetweenTensors) {
  Fixture b(23);
  View table{.memory = Memory::hbm, .dtype = DType::bf16, .rank = 2, .offset = 64, .dims = {{{7, 5}, {1, 7}}}};
  View rows = table;
  rows.offset = 1024, rows.dims[0].count = 9;
  const View index{.memory = Memory::sbuf, .dtype = DType::uint32, .partitions = 9};
  for (bool scatter : {false, true}) {
    b.start(Opcode::dma_copy, EngineKind::gpsimd, {scatter ? table : rows, scatter ? rows : table, index});
    b.set(slots::dma_copy::scatter, uint32_t{scatter});
    fill_indices(b, index, table, false);
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, RowsBecomeColumns) {
  namespace s = slots::dma_transpose;
  Fixture b(29);
  static constexpr DType kTypes[] = {DType::bf16, DType::fp16, DType::int16};
  for (int i = 0; i < 100; ++i) {
    const uint32_t partitions = 1 + static_cast<uint32_t>(b.random.below(128));
    const bool several = b.chance(40);
    const uint32_t across = several ? 128 : 16 * static_cast<uint32_t>(1 + b.random.below(8));
    const uint32_t down = several ? 1 + static_cast<uint32_t>(b.random.below(3)) : 1;
    const uint32_t columns = 16 * static_cast<uint32_t>(1 + b.random.below(across * down / 16));
    const View dst = b.view(Memory::sbuf, b.pick(kTypes), partitions, 0, b.factors(columns, 4), 0, true);
    const View index = b.view(Memory::sbuf, DType::uint32, across, 0, {down}, 1, false);
    const View table = random_table(b, dst.dtype, partitions);
    const bool skip = b.chance(50);
    b.start(Opcode::dma_transpose, EngineKind::gpsimd, {dst, table, index});
    b.set(s::oob_mode, uint32_t{skip});
    fill_indices(b, index, table, skip);
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, SumsIntoAndOfRows) {
  namespace s = slots::dma_compute;
  Fixture b(31);
  for (int i = 0; i < 200; ++i) {
    Shape shape = b.shape(256);
    shape.partitions = std::min(shape.partitions, 30u);
    DType t = type_for(b, shape), of_table = type_for(b, shape);
    if (t == DType::int64) t = DType::fp32;
    if (of_table == DType::int64) of_table = DType::bf16;
    View table = random_table(b, of_table, shape.row);
    const View index = b.column(Memory::sbuf, DType::uint32, shape, 1);
    const View other = b.row_view(Memory::sbuf, t, shape, 0, true);
    const bool scatter = b.chance(50);
    if (scatter) table.dims[0].count = 40;
    const View& dst = scatter ? table : other;
    b.start(Opcode::dma_compute, EngineKind::gpsimd, {dst, dst, scatter ? other : table});
    b.program.views[s::index] = index;
    b.set(s::oob_mode, 1u);
    const uint32_t first = static_cast<uint32_t>(b.random.below(12)), rows = table.dims[0].count;
    b.fill(index, [&](size_t p) { return scatter ? first + p : b.random.below(rows + 2); });  // some beyond the table
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, GatherAndShuffle) {
  Fixture b(17);
  static constexpr DType kIndex[] = {DType::uint32, DType::uint16, DType::int32};
  for (int i = 0; i < 150; ++i) {
    const Shape s = b.shape(256);
    Shape wanted = s;
    wanted.row = b.shape(256).row;
    const DType t = type_for(b, s);
    const View data = b.row_view(Memory::sbuf, t, s, 1, false),
               index = b.row_view(Memory::sbuf, b.pick(kIndex), wanted, 2, true);
    const View dst = b.row_view(Memory::sbuf, b.chance(80) ? t : DType::fp32, wanted, b.chance(15) ? 1 : 0, true);
    b.start(Opcode::nc_n_gather, EngineKind::gpsimd, {dst, data, index});
    b.fill(index, [&](size_t) { return b.random.below(s.row); });
    ASSERT_TRUE(b.matches());

    Shape quadrants = s;
    quadrants.partitions = 32 * static_cast<uint32_t>(1 + b.random.below(4));
    quadrants.start = 0;
    const View to = b.row_view(Memory::sbuf, t, quadrants, 0, true),
               from = b.chance(30) ? to : b.row_view(Memory::sbuf, t, quadrants, 1, false);
    b.start(Opcode::nc_stream_shuffle, EngineKind::vector, {to, from});
    for (int w = 0; w < 8; ++w) {
      uint32_t word = 0;
      for (int k = 0; k < 4; ++k) word |= static_cast<uint32_t>(b.chance(20) ? 255 : b.random.below(32)) << (8 * k);
      b.set(w, word);
    }
    ASSERT_TRUE(b.matches());
  }
}

}  // namespace
}  // namespace presil::chip
