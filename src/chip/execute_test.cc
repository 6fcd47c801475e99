// Every instruction against the plain reference, on random operands: sizes from 1 to the maxima, strided and reversed
// patterns, all types, in place and partly overlapping. All of memory is compared afterwards.
#include "chip/execute.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>

#include "base/prng.h"
#include "chip/execute_reference.h"

namespace presil::chip {
namespace {

using isa::EngineKind;
using isa::Memory;
using isa::Opcode;
using isa::View;
namespace slots = isa::slots;

constexpr uint64_t kRegionBytes = 4096, kRegions = 6, kHbmBytes = 2 << 20;

spec::ChipSpec small_spec() {
  spec::ChipSpec spec;
  spec.sbuf = {128, kRegionBytes * kRegions, 1};
  spec.psum = {128, kRegionBytes * kRegions, 1};
  return spec;
}

struct Shape {
  uint32_t partitions, start, row;
};

class Bench {
 public:
  explicit Bench(uint64_t seed)
      : random(seed), memory(small_spec(), kHbmBytes), state(small_spec()), machine(small_spec(), kHbmBytes) {}

  template <class T, size_t N>
  T pick(const T (&options)[N]) {
    return options[random.below(N)];
  }
  bool chance(uint64_t percent) { return random.below(100) < percent; }

  Shape shape(uint32_t row_max = 512) {
    static constexpr uint32_t kPartitions[] = {1, 2, 7, 31, 32, 33, 64, 127, 128};
    static constexpr uint32_t kRows[] = {1, 2, 3, 8, 13, 16, 31, 60, 97, 128, 256, 512};
    Shape s{pick(kPartitions), 0, pick(kRows)};
    while (s.row > row_max) s.row = pick(kRows);
    s.start = start_for(s.partitions);
    return s;
  }
  uint32_t start_for(uint32_t partitions) {
    if (partitions > 64) return 0;
    return partitions > 32 ? 64 * static_cast<uint32_t>(random.below(2)) : 32 * static_cast<uint32_t>(random.below(4));
  }

  // Splits n into up to `rank_max` factors.
  std::vector<uint32_t> factors(uint32_t n, size_t rank_max) {
    std::vector<uint32_t> out;
    while (out.size() + 1 < rank_max && chance(60)) {
      std::vector<uint32_t> divisors;
      for (uint32_t d = 1; d <= n; ++d) {
        if (n % d == 0) divisors.push_back(d);
      }
      out.push_back(divisors[random.below(divisors.size())]);
      n /= out.back();
    }
    out.push_back(n);
    return out;
  }

  // A pattern over the counts that fits its region: packed, with gaps, transposed, reversed, or (inputs) repeated.
  View view(Memory m, DType t, uint32_t partitions, uint32_t start, const std::vector<uint32_t>& counts, int region,
            bool output) {
    View v;
    v.memory = m;
    v.dtype = t;
    v.partition = static_cast<uint16_t>(start);
    v.partitions = static_cast<uint16_t>(partitions);
    v.rank = static_cast<uint8_t>(counts.size());
    std::vector<size_t> order;  // innermost first
    for (size_t d = counts.size(); d-- > 0;) order.push_back(d);
    if (chance(30)) std::swap(order[random.below(order.size())], order[random.below(order.size())]);
    const auto bytes = static_cast<int64_t>(dtype_bytes(t));
    const int64_t capacity = static_cast<int64_t>(kRegionBytes) / bytes;
    int64_t step = 1, first = 0, left = 1;  // left: elements of this dim and those further out
    for (size_t d : order) left *= static_cast<int64_t>(counts[d]);
    for (size_t d : order) {
      const auto count = static_cast<int64_t>(counts[d]);
      if (chance(25) && step * 2 * left <= capacity) step *= 2;
      if (chance(15) && (step + 3) * left <= capacity) step += 3;
      left /= count;
      if (!output && chance(8)) {
        v.dims[d] = {0, counts[d]};
        continue;
      }
      const bool reversed = chance(10);
      v.dims[d] = {static_cast<int32_t>(reversed ? -step : step), counts[d]};
      if (reversed) first += step * (count - 1);
      step *= count;
    }
    EXPECT_LE(step, capacity);
    v.offset = static_cast<int64_t>(kRegionBytes) * region + first * bytes;
    return v;
  }
  View row_view(Memory m, DType t, const Shape& s, int region, bool output) {
    return view(m, t, s.partitions, s.start, factors(s.row, 4), region, output);
  }
  View column(Memory m, DType t, const Shape& s, int region) {
    return view(m, t, s.partitions, s.start, {1}, region, true);
  }

  void fill(const View& v, std::function<uint64_t(size_t)> word) {
    size_t i = 0;
    for (std::byte* p : reference::places(machine, v)) {
      const uint32_t partition = v.partition + static_cast<uint32_t>(i / v.elements_per_partition());
      const uint64_t w = word(i++);
      std::memcpy(p, &w, dtype_bytes(v.dtype));
      std::memcpy(memory.partition(v.memory, partition).data() + (p - machine.memory(v.memory)[partition].data()), &w,
                  dtype_bytes(v.dtype));
    }
  }
  void fill(const View& v) {
    fill(v, [&](size_t) { return numerics::from_fp32(v.dtype, value()); });
  }
  float value() {
    static constexpr float kSpecial[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 0x1p-149f, 3e38f, 1.0f, -1.0f};
    if (chance(3)) return pick(kSpecial);
    return chance(30) ? static_cast<float>(random.between(-130, 130)) : random.normal();
  }

  // The instruction under test, with the operands' places filled.
  isa::Instruction& start(Opcode opcode, EngineKind engine, std::initializer_list<View> views) {
    program = {};
    isa::Instruction& i = program.append(opcode, engine);
    size_t k = i.operand_begin;
    for (const View& v : views) program.views[k++] = v;
    for (const View& v : views) {
      if (v.present()) fill(v);
    }
    return i;
  }
  void set(int slot, uint32_t word) {
    program.attributes[program.code[0].attribute_begin + static_cast<uint32_t>(slot)] = word;
  }
  void set(int slot, AluOp op) { set(slot, static_cast<uint32_t>(op)); }
  void set(int slot, ReduceCommand command) { set(slot, static_cast<uint32_t>(command)); }
  void set(int slot, float x) { set(slot, numerics::bits_of(x)); }

  ::testing::AssertionResult matches() {
    execute(program, program.code[0], {}, memory, state);
    if (!state.fault.empty()) return ::testing::AssertionFailure() << state.fault;
    reference::Run(program, program.code[0], machine).execute();
    for (Memory m : {Memory::sbuf, Memory::psum, Memory::hbm}) {
      auto& rows = machine.memory(m);
      for (uint32_t p = 0; p < rows.size(); ++p) {
        const auto got = memory.partition(m, p);
        if (std::memcmp(got.data(), rows[p].data(), rows[p].size()) == 0) continue;
        size_t at = 0;
        while (got[at] == rows[p][at]) ++at;
        return ::testing::AssertionFailure()
               << isa::memory_name(m) << " partition " << p << " byte " << at << describe();
      }
    }
    for (size_t p = 0; p < 128; ++p) {
      if (numerics::bits_of(state.vector_accumulators[p]) != numerics::bits_of(machine.vector_lanes[p]) ||
          numerics::bits_of(state.scalar_accumulators[p]) != numerics::bits_of(machine.scalar_lanes[p])) {
        return ::testing::AssertionFailure() << "accumulator " << p << describe();
      }
    }
    return ::testing::AssertionSuccess();
  }
  std::string describe() const {
    std::string out = " of " + std::string(isa::row(program.code[0].opcode).name);
    for (const View& v : program.views) {
      out += "\n  " + std::string(isa::memory_name(v.memory)) + " " + std::string(dtype_name(v.dtype)) + " p" +
             std::to_string(v.partition) + "+" + std::to_string(v.partitions) + " @" + std::to_string(v.offset);
      for (const auto& d : v.pattern()) out += " [" + std::to_string(d.step) + "," + std::to_string(d.count) + "]";
    }
    for (uint32_t w : program.attributes) out += " " + std::to_string(w);
    return out;
  }

  Prng random;
  CoreMemory memory;
  ExecuteState state;
  reference::Machine machine;
  isa::Program program;
};

constexpr DType kFloats[] = {DType::fp32, DType::bf16, DType::fp16,     DType::fp32,
                             DType::bf16, DType::tf32, DType::fp8_e4m3, DType::fp8_e5m2};
constexpr DType kAny[] = {DType::fp32,   DType::fp32,     DType::bf16,   DType::bf16,  DType::fp16,
                          DType::tf32,   DType::fp8_e4m3, DType::int8,   DType::uint8, DType::int16,
                          DType::uint16, DType::int32,    DType::uint32, DType::int64, DType::boolean};
constexpr DType kIntegers[] = {DType::int8,  DType::uint8,  DType::int16, DType::uint16,
                               DType::int32, DType::uint32, DType::int64};
constexpr Memory kOnChip[] = {Memory::sbuf, Memory::sbuf, Memory::psum};
constexpr AluOp kArithmetic[] = {
    AluOp::bypass,      AluOp::add,        AluOp::subtract,    AluOp::multiply, AluOp::max,    AluOp::min,
    AluOp::eq,          AluOp::ne,         AluOp::ge,          AluOp::gt,       AluOp::le,     AluOp::lt,
    AluOp::logical_and, AluOp::logical_or, AluOp::logical_xor, AluOp::power,    AluOp::divide, AluOp::abs_max,
    AluOp::abs_min,     AluOp::abs,        AluOp::square,      AluOp::relu,     AluOp::rsqrt,  AluOp::reciprocal};
constexpr AluOp kCommon[] = {AluOp::add, AluOp::multiply, AluOp::subtract, AluOp::max, AluOp::min, AluOp::bypass};
constexpr AluOp kBits[] = {AluOp::bit_not, AluOp::bit_and,    AluOp::bit_or,
                           AluOp::bit_xor, AluOp::shift_left, AluOp::shift_right};

// Sometimes an input is the destination itself, or the destination's region in another pattern.
View input_view(Bench& b, const Shape& s, DType t, int region, const View& dst) {
  if (b.chance(12)) return dst;
  Memory m = b.pick(kOnChip);
  const bool overlap = b.chance(12);
  if (overlap) m = dst.memory;
  return b.row_view(m, t, s, overlap ? 0 : region, false);
}

DType type_for(Bench& b, const Shape& s) {
  DType t = b.pick(kAny);
  while (dtype_bytes(t) * s.row > kRegionBytes / 2) t = b.pick(kAny);
  return t;
}

TEST(Execute, TensorCopyAndDmaCopy) {
  Bench b(1);
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
  Bench b(2);
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

TEST(Execute, Transposes) {
  Bench b(3);
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

TEST(Execute, TensorTensor) {
  Bench b(4);
  for (int i = 0; i < 600; ++i) {
    const Shape s = b.shape();
    const View dst = b.row_view(b.pick(kOnChip), type_for(b, s), s, 0, true);
    b.start(Opcode::tensor_tensor, EngineKind::vector,
            {dst, input_view(b, s, type_for(b, s), 1, dst), input_view(b, s, type_for(b, s), 2, dst)});
    b.set(slots::tensor_tensor::op, b.pick(kArithmetic));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, TensorTensorOnBitsAndExactIntegers) {
  Bench b(5);
  static constexpr AluOp kExact[] = {AluOp::add, AluOp::subtract, AluOp::multiply, AluOp::max, AluOp::lt};
  for (int i = 0; i < 200; ++i) {
    const Shape s = b.shape(128);
    const bool exact = b.chance(50);
    const DType t = exact ? DType::int32 : b.pick(kIntegers);
    const View dst = b.row_view(Memory::sbuf, t, s, 0, true), data1 = input_view(b, s, t, 1, dst),
               data2 = input_view(b, s, t, 2, dst);
    b.start(Opcode::tensor_tensor, exact ? EngineKind::gpsimd : EngineKind::vector, {dst, data1, data2});
    for (const View& v : {data1, data2})
      b.fill(v, [&](size_t) { return b.chance(30) ? b.random.below(40) : b.random.next(); });
    b.set(slots::tensor_tensor::op, exact ? b.pick(kExact) : b.pick(kBits));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, TensorScalar) {
  Bench b(6);
  for (int i = 0; i < 600; ++i) {
    const Shape s = b.shape();
    const View dst = b.row_view(b.pick(kOnChip), type_for(b, s), s, 0, true);
    const View s0 = b.chance(50) ? b.column(Memory::sbuf, b.pick(kFloats), s, 2) : View{};
    const View s1 = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, b.chance(10) ? 0 : 3) : View{};
    b.start(Opcode::tensor_scalar, EngineKind::vector, {dst, input_view(b, s, type_for(b, s), 1, dst), s0, s1});
    b.set(slots::tensor_scalar::op0, b.chance(50) ? b.pick(kCommon) : b.pick(kArithmetic));
    b.set(slots::tensor_scalar::op1, b.chance(50) ? b.pick(kCommon) : b.pick(kArithmetic));
    b.set(slots::tensor_scalar::imm0, b.value());
    b.set(slots::tensor_scalar::imm1, b.value());
    b.set(slots::tensor_scalar::reverse0, static_cast<uint32_t>(b.chance(30)));
    b.set(slots::tensor_scalar::reverse1, static_cast<uint32_t>(b.chance(30)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, TensorScalarOnBits) {
  Bench b(7);
  for (int i = 0; i < 150; ++i) {
    const Shape s = b.shape(128);
    const DType t = b.pick(kIntegers);
    const View dst = b.row_view(Memory::sbuf, t, s, 0, true), data = input_view(b, s, t, 1, dst);
    const View s0 = b.chance(30) ? b.column(Memory::sbuf, t, s, 2) : View{};
    b.start(Opcode::tensor_scalar, EngineKind::vector, {dst, data, s0});
    b.fill(data, [&](size_t) { return b.random.next(); });
    if (s0.present()) b.fill(s0, [&](size_t) { return b.random.below(70); });
    b.set(slots::tensor_scalar::op0, b.pick(kBits));
    b.set(slots::tensor_scalar::op1, b.chance(50) ? AluOp::bypass : b.pick(kBits));
    b.set(slots::tensor_scalar::imm0, static_cast<uint32_t>(b.chance(50) ? b.random.below(9) : b.random.next()));
    b.set(slots::tensor_scalar::imm1, static_cast<uint32_t>(b.random.below(9)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, ScalarTensorTensor) {
  Bench b(8);
  for (int i = 0; i < 600; ++i) {
    const Shape s = b.shape();
    const View dst = b.row_view(b.pick(kOnChip), type_for(b, s), s, 0, true);
    const View s0 = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 3) : View{};
    b.start(Opcode::scalar_tensor_tensor, EngineKind::vector,
            {dst, input_view(b, s, type_for(b, s), 1, dst), s0, input_view(b, s, type_for(b, s), 2, dst)});
    b.set(slots::scalar_tensor_tensor::op0, b.chance(60) ? b.pick(kCommon) : b.pick(kArithmetic));
    b.set(slots::scalar_tensor_tensor::op1, b.chance(60) ? b.pick(kCommon) : b.pick(kArithmetic));
    b.set(slots::scalar_tensor_tensor::imm0, b.value());
    b.set(slots::scalar_tensor_tensor::reverse0, static_cast<uint32_t>(b.chance(30)));
    b.set(slots::scalar_tensor_tensor::reverse1, static_cast<uint32_t>(b.chance(30)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, Activation) {
  Bench b(9);
  static constexpr ReduceCommand kCommands[] = {ReduceCommand::idle, ReduceCommand::idle, ReduceCommand::reset,
                                                ReduceCommand::reduce, ReduceCommand::reset_reduce};
  for (int i = 0; i < 600; ++i) {
    const Shape s = b.shape();
    const View dst = b.row_view(b.pick(kOnChip), type_for(b, s), s, 0, true);
    const View scale = b.chance(40) ? b.column(Memory::sbuf, DType::fp32, s, 2) : View{};
    const View bias = b.chance(40) ? b.column(Memory::sbuf, b.pick(kFloats), s, 3) : View{};
    const View result = b.chance(40) ? b.column(Memory::sbuf, DType::fp32, s, 4) : View{};
    b.start(Opcode::activation, EngineKind::scalar,
            {dst, input_view(b, s, type_for(b, s), 1, dst), scale, bias, result});
    b.set(slots::activation::op, static_cast<uint32_t>(b.random.below(kActivationCount)));
    if (b.chance(50)) b.set(slots::activation::scale_imm, b.value());
    if (b.chance(50)) b.set(slots::activation::bias_imm, b.value());
    b.set(slots::activation::alpha, 0.01f);
    b.set(slots::activation::reduce_cmd, b.pick(kCommands));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, TensorReduce) {
  Bench b(10);
  static constexpr AluOp kOps[] = {AluOp::add, AluOp::max,     AluOp::min,      AluOp::multiply,   AluOp::add,
                                   AluOp::max, AluOp::abs_max, AluOp::subtract, AluOp::logical_and};
  for (int i = 0; i < 600; ++i) {
    const Shape s = b.shape();
    auto counts = b.factors(s.row, 5);
    const auto axes = static_cast<uint32_t>(1 + b.random.below(counts.size()));
    uint32_t kept = 1;
    for (size_t d = 0; d + axes < counts.size(); ++d) kept *= counts[d];
    const bool bits = b.chance(10);
    const View dst = b.view(b.pick(kOnChip), bits ? DType::int32 : type_for(b, s), s.partitions, s.start,
                            b.factors(kept, 3), 0, true);
    const bool overlap = b.chance(15);
    const View data = b.view(overlap ? dst.memory : b.pick(kOnChip), bits ? DType::int32 : type_for(b, s), s.partitions,
                             s.start, counts, overlap ? 0 : 1, false);
    b.start(Opcode::tensor_reduce, EngineKind::vector, {dst, data});
    b.set(slots::tensor_reduce::op, bits ? AluOp::bit_xor : b.pick(kOps));
    b.set(slots::tensor_reduce::axes, axes);
    b.set(slots::tensor_reduce::negate, static_cast<uint32_t>(!bits && b.chance(20)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, TensorPartitionReduce) {
  Bench b(11);
  static constexpr AluOp kOps[] = {AluOp::add, AluOp::max, AluOp::bit_or};
  for (int i = 0; i < 200; ++i) {
    const Shape s = b.shape();
    const AluOp op = b.pick(kOps);
    const bool bits = is_bitvec(op);
    const View dst = b.view(Memory::sbuf, bits ? DType::uint16 : type_for(b, s), 1, 0, b.factors(s.row, 3), 0, true);
    const View data = b.row_view(Memory::sbuf, bits ? DType::uint16 : type_for(b, s), s, b.chance(20) ? 0 : 1, false);
    b.start(Opcode::tensor_partition_reduce, EngineKind::gpsimd, {dst, data});
    b.set(slots::tensor_partition_reduce::op, op);
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, Selections) {
  Bench b(12);
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
  Bench b(13);
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

TEST(Execute, MatmulOfEveryTypeAndShape) {
  Bench b(14);
  static constexpr uint32_t kSides[] = {1, 2, 13, 32, 64, 127, 128};
  static constexpr uint32_t kColumns[] = {1, 7, 16, 60, 97, 128, 512};
  for (int i = 0; i < 150; ++i) {
    const uint32_t k = b.pick(kSides), m = b.pick(kSides), n = b.pick(kColumns);
    const DType t = b.pick(kFloats);
    const View dst = b.view(Memory::psum, b.chance(80) ? DType::fp32 : DType::bf16, m, b.start_for(m),
                            b.chance(50) ? std::vector{n} : b.factors(n, 3), 0, true);
    const View stationary = b.view(Memory::sbuf, t, k, b.start_for(k), b.factors(m, 2), 1, false);
    const View moving =
        b.view(Memory::sbuf, t, k, b.start_for(k), b.chance(50) ? std::vector{n} : b.factors(n, 3), 2, false);
    b.start(Opcode::nc_matmul, EngineKind::tensor, {dst, stationary, moving});
    b.set(slots::nc_matmul::accumulate, static_cast<uint32_t>(b.chance(50)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, MatmulTransposeMovesBits) {
  Bench b(15);
  for (uint32_t k : {1u, 13u, 128u}) {
    for (uint32_t m : {1u, 31u, 128u}) {
      for (DType t : {DType::fp32, DType::bf16, DType::fp8_e4m3}) {
        const View dst = b.view(Memory::psum, t == DType::fp8_e4m3 ? DType::uint16 : t, m, 0, {k}, 0, true);
        const View stationary = b.view(Memory::sbuf, t, k, 0, {m}, 1, true),
                   moving = b.view(Memory::sbuf, t, k, 0, {k}, 2, true);
        b.start(Opcode::nc_matmul, EngineKind::tensor, {dst, stationary, moving});
        b.fill(stationary, [&](size_t) { return b.random.next(); });  // NaN payloads too
        b.fill(moving, [&](size_t i) { return numerics::from_fp32(t, i / k == i % k ? 1.0f : 0.0f); });
        b.set(slots::nc_matmul::is_transpose, 1u);
        ASSERT_TRUE(b.matches());
      }
    }
  }
}

TEST(Execute, Scan) {
  Bench b(16);
  for (int i = 0; i < 200; ++i) {
    const Shape s = b.shape(256);
    const View dst = b.row_view(b.pick(kOnChip), b.pick(kFloats), s, 0, true);
    const View initial = b.chance(50) ? b.column(Memory::sbuf, DType::fp32, s, 3) : View{};
    b.start(Opcode::tensor_tensor_scan, EngineKind::vector,
            {dst, input_view(b, s, b.pick(kFloats), 1, dst), input_view(b, s, b.pick(kFloats), 2, dst), initial});
    if (b.chance(50)) {
      b.set(slots::tensor_tensor_scan::op0, b.pick(kArithmetic));
      b.set(slots::tensor_tensor_scan::op1, b.pick(kArithmetic));
    }
    b.set(slots::tensor_tensor_scan::imm, b.value());
    b.set(slots::tensor_tensor_scan::reverse0, static_cast<uint32_t>(b.chance(30)));
    b.set(slots::tensor_tensor_scan::reverse1, static_cast<uint32_t>(b.chance(30)));
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, GatherAndShuffle) {
  Bench b(17);
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

TEST(Execute, Statistics) {
  Bench b(18);
  for (int i = 0; i < 150; ++i) {
    const Shape s = b.shape();
    b.start(Opcode::bn_stats, EngineKind::vector,
            {b.view(Memory::sbuf, DType::fp32, s.partitions, s.start, {6}, 0, true),
             b.row_view(b.pick(kOnChip), b.pick(kFloats), s, 1, false)});
    ASSERT_TRUE(b.matches());
    Shape triples = s;
    triples.row = 3 * static_cast<uint32_t>(1 + b.random.below(20));
    b.start(Opcode::bn_aggr, EngineKind::vector,
            {b.view(Memory::sbuf, DType::fp32, s.partitions, s.start, {2}, 0, true),
             b.row_view(Memory::sbuf, DType::fp32, triples, 1, false)});
    ASSERT_TRUE(b.matches());
    b.start(
        Opcode::reciprocal, EngineKind::vector,
        {b.row_view(Memory::sbuf, DType::fp32, s, 0, true), b.row_view(Memory::psum, b.pick(kFloats), s, 1, false)});
    ASSERT_TRUE(b.matches());
    b.start(Opcode::memset, EngineKind::vector, {b.row_view(b.pick(kOnChip), type_for(b, s), s, 0, true)});
    b.set(slots::memset::value, b.value());
    ASSERT_TRUE(b.matches());
    if (s.row < 8) continue;
    const View data = b.row_view(Memory::sbuf, b.pick(kFloats), s, 1, true),
               top = b.view(Memory::sbuf, DType::fp32, s.partitions, s.start, {8}, 2, true);
    b.start(Opcode::max8, EngineKind::vector, {top, data});
    ASSERT_TRUE(b.matches());
    b.start(Opcode::nc_find_index8, EngineKind::vector,
            {b.view(Memory::sbuf, b.chance(50) ? DType::uint32 : DType::uint16, s.partitions, s.start, {8}, 3, true),
             data, top});
    b.fill(data, [&](size_t) { return numerics::from_fp32(data.dtype, static_cast<float>(b.random.between(0, 12))); });
    b.fill(top, [&](size_t) { return numerics::from_fp32(DType::fp32, static_cast<float>(b.random.between(0, 12))); });
    ASSERT_TRUE(b.matches());
  }
}

TEST(Execute, OffsetDeltasMoveOperands) {
  Bench b(19);
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
  std::function<void(Bench&)> build;
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
       [&](Bench& b) {
         b.program.append(Opcode::tensor_copy, EngineKind::vector);
         b.program.views = {plain(S, f, 1, {4}),
                            plain(S, f, 1, {4}, static_cast<int64_t>(kRegionBytes * kRegions) - 12)};
       }},
      {"tensor_copy: operand dst leaves sbuf",
       [&](Bench& b) {
         b.program.append(Opcode::tensor_copy, EngineKind::vector);
         b.program.views = {plain(S, f, 129, {4}), plain(S, f, 1, {4})};
       }},
      {"tensor_copy: operand dst leaves sbuf",
       [&](Bench& b) {
         b.program.append(Opcode::tensor_copy, EngineKind::vector);
         b.program.views = {plain(S, f, 1, {4}, -4), plain(S, f, 1, {4})};
       }},
      {"tensor_copy: dst and src have different numbers of elements",
       [&](Bench& b) {
         b.program.append(Opcode::tensor_copy, EngineKind::vector);
         b.program.views = {plain(S, f, 1, {4}), plain(S, f, 1, {5}, 64)};
       }},
      {"nc_matmul: stationary [2, 3] and moving [2, 4] do not give dst [3, 5]",
       [&](Bench& b) {
         b.program.append(Opcode::nc_matmul, EngineKind::tensor);
         b.program.views = {plain(P, f, 3, {5}), plain(S, f, 2, {3}), plain(S, f, 2, {4}, 64)};
       }},
      {"nc_n_gather: index 0 of partition 0 is 9, the row has 4 elements",
       [&](Bench& b) {
         b.start(Opcode::nc_n_gather, EngineKind::gpsimd,
                 {plain(S, f, 1, {1}), plain(S, f, 1, {4}, 64), plain(S, DType::uint32, 1, {1}, 128)});
         b.fill(plain(S, DType::uint32, 1, {1}, 128), [](size_t) { return 9; });
       }},
      {"nc_n_gather: indices are integers",
       [&](Bench& b) {
         b.start(Opcode::nc_n_gather, EngineKind::gpsimd,
                 {plain(S, f, 1, {1}), plain(S, f, 1, {4}, 64), plain(S, f, 1, {1}, 128)});
       }},
      {"nc_transpose: dst is not shaped like the transposed source",
       [&](Bench& b) {
         b.start(Opcode::nc_transpose, EngineKind::vector, {plain(S, f, 4, {4}), plain(S, f, 3, {4}, 64)});
       }},
      {"nc_matmul: is_transpose: column 0 of moving has two nonzeros, it must be a permutation",
       [&](Bench& b) {
         b.start(Opcode::nc_matmul, EngineKind::tensor,
                 {plain(P, f, 1, {1}), plain(S, f, 2, {1}), plain(S, f, 2, {1}, 64)});
         b.fill(plain(S, f, 2, {1}, 64), [](size_t) { return numerics::bits_of(1.0f); });
         b.set(slots::nc_matmul::is_transpose, 1u);
       }},
      {"activation: load_reduce is not available here",
       [&](Bench& b) {
         b.start(Opcode::activation, EngineKind::scalar, {plain(S, f, 1, {1}), plain(S, f, 1, {1}, 64)});
         b.set(slots::activation::reduce_cmd, ReduceCommand::load_reduce);
       }},
      {"tensor_scalar: bitvec and arithmetic operators do not mix",
       [&](Bench& b) {
         b.start(Opcode::tensor_scalar, EngineKind::vector,
                 {plain(S, DType::int32, 1, {1}), plain(S, DType::int32, 1, {1}, 64)});
         b.set(slots::tensor_scalar::op0, AluOp::bit_and);
         b.set(slots::tensor_scalar::op1, AluOp::add);
       }},
      {"tensor_scalar: a value operand has one element for each of dst's partitions",
       [&](Bench& b) {
         b.start(Opcode::tensor_scalar, EngineKind::vector,
                 {plain(S, f, 2, {4}), plain(S, f, 2, {4}, 64), plain(S, f, 2, {4}, 128)});
       }},
      {"tensor_reduce: axes counts trailing free dimensions of data",
       [&](Bench& b) {
         b.start(Opcode::tensor_reduce, EngineKind::vector, {plain(S, f, 1, {1}), plain(S, f, 1, {4}, 64)});
         b.set(slots::tensor_reduce::axes, 2u);
       }},
      {"tensor_reduce: dst does not have one element for each that is left of data",
       [&](Bench& b) {
         b.start(Opcode::tensor_reduce, EngineKind::vector, {plain(S, f, 1, {3}), plain(S, f, 1, {2, 4}, 64)});
       }},
      {"bn_aggr: data has 4 elements per partition, expected triples",
       [&](Bench& b) {
         b.start(Opcode::bn_aggr, EngineKind::vector, {plain(S, f, 1, {2}), plain(S, f, 1, {4}, 64)});
       }},
      {"max8: src has 7 elements per partition, expected 8 or more",
       [&](Bench& b) {
         b.start(Opcode::max8, EngineKind::vector, {plain(S, f, 1, {8}), plain(S, f, 1, {7}, 64)});
       }},
      {"bn_stats: dst has 5 elements in 1 partitions, expected 6 in 1",
       [&](Bench& b) {
         b.start(Opcode::bn_stats, EngineKind::vector, {plain(S, f, 1, {5}), plain(S, f, 1, {7}, 64)});
       }},
      {"nc_stream_shuffle: mask entry 0 names partition 9 of 4",
       [&](Bench& b) {
         b.start(Opcode::nc_stream_shuffle, EngineKind::vector, {plain(S, f, 4, {2}), plain(S, f, 4, {2}, 64)});
         b.set(0, 9u);
       }},
  };
  for (const FaultCase& c : cases) {
    Bench b(20);
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
