// Offsets of repeats, and what a faulty instruction reports.
#include <array>

#include "chip/execute_fixture.h"

namespace presil::chip {
namespace {

using namespace testing;

TEST(Execute, OffsetDeltasMoveOperands) {
  Fixture b(19);
  View dst = b.view(Memory::sbuf, DType::fp32, 4, 0, {8}, 0, true),
       src = b.view(Memory::hbm, DType::fp32, 1, 0, {32}, 0, true);
  dst.offset = 0, dst.dims[0].step = 1;
  src.offset = 0, src.dims[0].step = 1;
  b.start(Opcode::dma_copy, EngineKind::sync, {dst, src});
  View moved = src;
  moved.offset += 64;
  b.fill(moved, [](size_t i) { return i; });
  const int64_t deltas[] = {128, 64};
  execute(b.program, b.program.code[0], deltas, b.memory, b.state);
  uint32_t word = 0;
  std::memcpy(&word, b.memory.partition(Memory::sbuf, 1).data() + 128, 4);
  EXPECT_EQ(word, 8u);
  std::memcpy(&word, b.memory.partition(Memory::sbuf, 3).data() + 128 + 28, 4);
  EXPECT_EQ(word, 31u);
  EXPECT_EQ(b.state.fault, "");
}

struct FaultCase {
  std::string expected;
  std::function<void(Fixture&)> build;
};

TEST(Execute, FaultsSayWhatIsWrongAndStopTheMachine) {
  const auto plain = [](Memory m, DType t, uint16_t partitions, std::initializer_list<uint32_t> counts,
                        int64_t offset = 0) {
    View v;
    v.memory = m;
    v.dtype = t;
    v.partitions = partitions;
    v.offset = offset;
    int32_t step = 1;
    for (uint32_t c : counts) v.dims[v.rank++] = {step, c};
    if (v.rank == 2) v.dims[0].step = static_cast<int32_t>(v.dims[1].count);
    return v;
  };
  const Memory S = Memory::sbuf, P = Memory::psum;
  const DType f = DType::fp32;
  const FaultCase cases[] = {
      {"tensor_copy: operand src leaves sbuf",
       [&](Fixture& b) {
         b.program.append(Opcode::tensor_copy, EngineKind::vector);
         b.program.views = {plain(S, f, 1, {4}),
                            plain(S, f, 1, {4}, static_cast<int64_t>(kRegionBytes * kRegions) - 12)};
       }},
      {"tensor_copy: operand dst leaves sbuf",
       [&](Fixture& b) {
         b.program.append(Opcode::tensor_copy, EngineKind::vector);
         b.program.views = {plain(S, f, 129, {4}), plain(S, f, 1, {4})};
       }},
      {"tensor_copy: operand dst leaves sbuf",
       [&](Fixture& b) {
         b.program.append(Opcode::tensor_copy, EngineKind::vector);
         b.program.views = {plain(S, f, 1, {4}, -4), plain(S, f, 1, {4})};
       }},
      {"tensor_copy: dst and src have different numbers of elements",
       [&](Fixture& b) {
         b.program.append(Opcode::tensor_copy, EngineKind::vector);
         b.program.views = {plain(S, f, 1, {4}), plain(S, f, 1, {5}, 64)};
       }},
      {"nc_matmul: stationary [2, 3] and moving [2, 4] do not give dst [3, 5]",
       [&](Fixture& b) {
         b.program.append(Opcode::nc_matmul, EngineKind::tensor);
         b.program.views = {plain(P, f, 3, {5}), plain(S, f, 2, {3}), plain(S, f, 2, {4}, 64)};
       }},
      {"nc_n_gather: index 0 of partition 0 is 9, the row has 4 elements",
       [&](Fixture& b) {
         b.start(Opcode::nc_n_gather, EngineKind::gpsimd,
                 {plain(S, f, 1, {1}), plain(S, f, 1, {4}, 64), plain(S, DType::uint32, 1, {1}, 128)});
         b.fill(plain(S, DType::uint32, 1, {1}, 128), [](size_t) { return 9; });
       }},
      {"dma_copy: index 1 is -1, the table has 4 rows",
       [&](Fixture& b) {
         b.start(Opcode::dma_copy, EngineKind::gpsimd,
                 {plain(S, f, 2, {1}), plain(Memory::hbm, f, 1, {4, 1}), plain(S, DType::int32, 2, {1}, 128)});
         b.fill(plain(S, DType::int32, 2, {1}, 128), [](size_t p) { return p == 0 ? 3 : UINT32_MAX; });
       }},
      {"dma_copy: index 0 is 4, the table has 4 rows",
       [&](Fixture& b) {
         b.start(Opcode::dma_copy, EngineKind::gpsimd,
                 {plain(Memory::hbm, f, 1, {4, 1}), plain(S, f, 1, {1}), plain(S, DType::uint32, 1, {1}, 128)});
         b.set(isa::slots::dma_copy::scatter, 1u);
         b.fill(plain(S, DType::uint32, 1, {1}, 128), [](size_t) { return 4; });
       }},
      {"dma_transpose: index 5 is 4, the table has 4 rows",
       [&](Fixture& b) {
         const View index = plain(S, DType::uint32, 16, {1}, 128);
         b.start(Opcode::dma_transpose, EngineKind::gpsimd,
                 {plain(S, DType::bf16, 2, {16}), plain(Memory::hbm, DType::bf16, 1, {4, 2}), index});
         b.fill(index, [](size_t p) { return p == 5 ? 4 : 1; });
       }},
      {"dma_compute: row 2 is named twice, the indices of a sum are unique",
       [&](Fixture& b) {
         const View table = plain(Memory::hbm, f, 1, {4, 1}), index = plain(S, DType::uint32, 3, {1}, 128);
         b.start(Opcode::dma_compute, EngineKind::gpsimd, {table, table, plain(S, f, 3, {1})});
         b.program.views[isa::slots::dma_compute::index] = index;
         b.fill(index, [](size_t p) { return p == 1 ? 0 : 2; });
       }},
      {"dma_compute: index 2 is 7, the table has 4 rows",
       [&](Fixture& b) {
         const View table = plain(Memory::hbm, f, 1, {4, 1}), index = plain(S, DType::uint32, 3, {1}, 128);
         b.start(Opcode::dma_compute, EngineKind::gpsimd, {plain(S, f, 3, {1}), plain(S, f, 3, {1}), table});
         b.program.views[isa::slots::dma_compute::index] = index;
         b.fill(index, [](size_t p) { return p == 2 ? 7 : 1; });
       }},
      {"dma_copy: rows of the table are not as long as those of the other operand",
       [&](Fixture& b) {
         b.start(Opcode::dma_copy, EngineKind::gpsimd,
                 {plain(S, f, 2, {1}), plain(Memory::hbm, f, 1, {4, 2}), plain(S, DType::int32, 2, {1}, 128)});
       }},
      {"nc_n_gather: indices are integers",
       [&](Fixture& b) {
         b.start(Opcode::nc_n_gather, EngineKind::gpsimd,
                 {plain(S, f, 1, {1}), plain(S, f, 1, {4}, 64), plain(S, f, 1, {1}, 128)});
       }},
      {"nc_transpose: dst is not shaped like the transposed source",
       [&](Fixture& b) {
         b.start(Opcode::nc_transpose, EngineKind::vector, {plain(S, f, 4, {4}), plain(S, f, 3, {4}, 64)});
       }},
      {"nc_matmul: is_transpose: column 0 of moving has two nonzeros, it must be a permutation",
       [&](Fixture& b) {
         b.start(Opcode::nc_matmul, EngineKind::tensor,
                 {plain(P, f, 1, {1}), plain(S, f, 2, {1}), plain(S, f, 2, {1}, 64)});
         b.fill(plain(S, f, 2, {1}, 64), [](size_t) { return numerics::bits_of(1.0f); });
         b.set(slots::nc_matmul::is_transpose, 1u);
       }},
      {"activation: load_reduce is not available here",
       [&](Fixture& b) {
         b.start(Opcode::activation, EngineKind::scalar, {plain(S, f, 1, {1}), plain(S, f, 1, {1}, 64)});
         b.set(slots::activation::reduce_cmd, ReduceCommand::load_reduce);
       }},
      {"tensor_scalar: bitvec and arithmetic operators do not mix",
       [&](Fixture& b) {
         b.start(Opcode::tensor_scalar, EngineKind::vector,
                 {plain(S, DType::int32, 1, {1}), plain(S, DType::int32, 1, {1}, 64)});
         b.set(slots::tensor_scalar::op0, AluOp::bit_and);
         b.set(slots::tensor_scalar::op1, AluOp::add);
       }},
      {"tensor_scalar: a value operand has one element for each of dst's partitions",
       [&](Fixture& b) {
         b.start(Opcode::tensor_scalar, EngineKind::vector,
                 {plain(S, f, 2, {4}), plain(S, f, 2, {4}, 64), plain(S, f, 2, {4}, 128)});
       }},
      {"tensor_reduce: axes counts trailing free dimensions of data",
       [&](Fixture& b) {
         b.start(Opcode::tensor_reduce, EngineKind::vector, {plain(S, f, 1, {1}), plain(S, f, 1, {4}, 64)});
         b.set(slots::tensor_reduce::axes, 2u);
       }},
      {"tensor_reduce: dst does not have one element for each that is left of data",
       [&](Fixture& b) {
         b.start(Opcode::tensor_reduce, EngineKind::vector, {plain(S, f, 1, {3}), plain(S, f, 1, {2, 4}, 64)});
       }},
      {"bn_aggr: data has 4 elements per partition, expected triples",
       [&](Fixture& b) {
         b.start(Opcode::bn_aggr, EngineKind::vector, {plain(S, f, 1, {2}), plain(S, f, 1, {4}, 64)});
       }},
      {"max8: src has 7 elements per partition, expected 8 or more",
       [&](Fixture& b) {
         b.start(Opcode::max8, EngineKind::vector, {plain(S, f, 1, {8}), plain(S, f, 1, {7}, 64)});
       }},
      {"bn_stats: dst has 5 elements in 1 partitions, expected 6 in 1",
       [&](Fixture& b) {
         b.start(Opcode::bn_stats, EngineKind::vector, {plain(S, f, 1, {5}), plain(S, f, 1, {7}, 64)});
       }},
      {"nc_stream_shuffle: mask entry 0 names partition 9 of 4",
       [&](Fixture& b) {
         b.start(Opcode::nc_stream_shuffle, EngineKind::vector, {plain(S, f, 4, {2}), plain(S, f, 4, {2}, 64)});
         b.set(0, 9u);
       }},
  };
  for (const FaultCase& c : cases) {
    Fixture b(20);
    c.build(b);
    execute(b.program, b.program.code[0], {}, b.memory, b.state);
    EXPECT_EQ(b.state.fault, c.expected);
    const std::byte before = b.memory.partition(S, 0)[0];
    b.program = {};
    b.program.append(Opcode::memset, EngineKind::vector);
    b.program.views = {plain(S, DType::uint8, 1, {1})};
    b.set(slots::memset::value, before == std::byte{7} ? 8.0f : 7.0f);
    execute(b.program, b.program.code[0], {}, b.memory, b.state);
    EXPECT_EQ(b.memory.partition(S, 0)[0], before) << "a faulted machine does nothing";
  }
}

}  // namespace
}  // namespace presil::chip
