// A machine and its plain reference side by side, and random operands for them: the ground of the execute tests.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "chip/execute.h"
#include "chip/execute_reference.h"

namespace presil::chip::testing {

using isa::EngineKind;
using isa::Memory;
using isa::Opcode;
using isa::View;
namespace slots = isa::slots;

inline constexpr uint64_t kRegionBytes = 4096, kRegions = 6, kHbmBytes = 2 << 20;

inline spec::ChipSpec small_spec() {
  spec::ChipSpec spec;
  spec.sbuf = {128, kRegionBytes * kRegions, 1};
  spec.psum = {128, kRegionBytes * kRegions, 1};
  return spec;
}

struct Shape {
  uint32_t partitions, start, row;
};

class Fixture {
 public:
  explicit Fixture(uint64_t seed)
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
      const auto names = [&](const View& v) { return v.memory == m; };
      if (std::none_of(program.views.begin(), program.views.end(), names)) continue;
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
      if (numerics::bits_of(state.registers.vector[p]) != numerics::bits_of(machine.vector_lanes[p]) ||
          numerics::bits_of(state.registers.scalar[p]) != numerics::bits_of(machine.scalar_lanes[p])) {
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

inline constexpr DType kFloats[] = {DType::fp32, DType::bf16,     DType::fp16,     DType::fp32,       DType::bf16,
                                    DType::tf32, DType::fp8_e4m3, DType::fp8_e5m2, DType::fp8_e4m3fn, DType::fp8_e3m4};
inline constexpr DType kAny[] = {DType::fp32,   DType::fp32,     DType::bf16,   DType::bf16,  DType::fp16,
                                 DType::tf32,   DType::fp8_e4m3, DType::int8,   DType::uint8, DType::int16,
                                 DType::uint16, DType::int32,    DType::uint32, DType::int64, DType::boolean};
inline constexpr DType kIntegers[] = {DType::int8,  DType::uint8,  DType::int16, DType::uint16,
                                      DType::int32, DType::uint32, DType::int64};
inline constexpr Memory kOnChip[] = {Memory::sbuf, Memory::sbuf, Memory::psum};
inline constexpr AluOp kArithmetic[] = {
    AluOp::bypass,      AluOp::add,        AluOp::subtract,    AluOp::multiply, AluOp::max,    AluOp::min,
    AluOp::eq,          AluOp::ne,         AluOp::ge,          AluOp::gt,       AluOp::le,     AluOp::lt,
    AluOp::logical_and, AluOp::logical_or, AluOp::logical_xor, AluOp::power,    AluOp::divide, AluOp::abs_max,
    AluOp::abs_min,     AluOp::abs,        AluOp::square,      AluOp::relu,     AluOp::rsqrt,  AluOp::reciprocal};
inline constexpr AluOp kCommon[] = {AluOp::add, AluOp::multiply, AluOp::subtract,
                                    AluOp::max, AluOp::min,      AluOp::bypass};
inline constexpr AluOp kBits[] = {AluOp::bit_not, AluOp::bit_and,    AluOp::bit_or,
                                  AluOp::bit_xor, AluOp::shift_left, AluOp::shift_right};

// Sometimes an input is the destination itself, or the destination's region in another pattern.
inline View input_view(Fixture& b, const Shape& s, DType t, int region, const View& dst) {
  if (b.chance(12)) return dst;
  Memory m = b.pick(kOnChip);
  const bool overlap = b.chance(12);
  if (overlap) m = dst.memory;
  return b.row_view(m, t, s, overlap ? 0 : region, false);
}

inline DType type_for(Fixture& b, const Shape& s) {
  DType t = b.pick(kAny);
  while (dtype_bytes(t) * s.row > kRegionBytes / 2) t = b.pick(kAny);
  return t;
}

}  // namespace presil::chip::testing
