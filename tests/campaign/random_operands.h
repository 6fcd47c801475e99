// The tiles and tensors of a random program, and random views of them.
#pragma once
#include <optional>
#include <vector>

#include "base/prng.h"
#include "isa/rules.h"
#include "tests/campaign/random_tile_program.h"
#include "tile/builder.h"

namespace presil::campaign {

using isa::EngineKind;
using isa::Memory;
using isa::View;
using tile::Scalar;

inline constexpr DType kAny[] = {DType::fp32,     DType::fp32,     DType::bf16,     DType::fp16,   DType::tf32,
                                 DType::fp8_e4m3, DType::fp8_e5m2, DType::fp8_e3m4, DType::int8,   DType::uint8,
                                 DType::int16,    DType::uint16,   DType::int32,    DType::uint32, DType::boolean};
inline constexpr DType kFloats[] = {DType::fp32,     DType::bf16,     DType::fp16,    DType::tf32,
                                    DType::fp8_e4m3, DType::fp8_e5m2, DType::fp8_e3m4};
inline constexpr DType kIntegers[] = {DType::int8,   DType::uint8, DType::int16,
                                      DType::uint16, DType::int32, DType::uint32};
inline constexpr AluOp kBinary[] = {AluOp::add,         AluOp::subtract,   AluOp::multiply,   AluOp::max,
                                    AluOp::min,         AluOp::eq,         AluOp::ne,         AluOp::ge,
                                    AluOp::gt,          AluOp::le,         AluOp::lt,         AluOp::divide,
                                    AluOp::logical_and, AluOp::logical_or, AluOp::logical_xor};
inline constexpr AluOp kBits[] = {AluOp::bit_and, AluOp::bit_or, AluOp::bit_xor, AluOp::shift_left, AluOp::shift_right};
inline constexpr AluOp kUnary[] = {AluOp::bypass, AluOp::abs, AluOp::rsqrt, AluOp::reciprocal};
inline constexpr AluOp kReductions[] = {AluOp::add, AluOp::max, AluOp::min, AluOp::multiply, AluOp::subtract};
inline constexpr AluOp kComparisons[] = {AluOp::eq, AluOp::ge, AluOp::gt, AluOp::le, AluOp::lt};

struct Shape {
  uint32_t partitions = 1, row = 1;
};

class Operands {
 public:
  Operands(uint64_t seed, const spec::ChipSpec& chip, const ProgramOptions& o)
      : random(seed), build("random"), spec(chip), options(o) {}

  Prng random;
  tile::Builder build;
  const spec::ChipSpec& spec;
  const ProgramOptions& options;
  std::vector<std::vector<std::byte>> data;  // of the input tensors

  template <class T, size_t N>
  T pick(const T (&values)[N]) {
    return values[random.below(N)];
  }
  bool chance(uint64_t percent) { return random.below(100) < percent; }
  uint32_t upto(uint64_t most) { return static_cast<uint32_t>(1 + random.below(most)); }

  Shape shape(uint32_t partitions_max = 0, uint32_t row_max = 0);

  bool reads(EngineKind e, Memory m) const { return lists(isa::engine_spec(spec, e).reads, m); }
  bool writes(EngineKind e, Memory m) const { return lists(isa::engine_spec(spec, e).writes, m); }
  Memory source(EngineKind e) { return reads(e, Memory::psum) && chance(25) ? Memory::psum : Memory::sbuf; }
  Memory target(EngineKind e) { return writes(e, Memory::psum) && chance(25) ? Memory::psum : Memory::sbuf; }

  // A view to read: of a tile in use, or of a new one with random values. `fresh`: a new one for sure.
  View input(Memory m, DType t, Shape s, bool fresh = false);
  // A view to write, of a tile in use or a new one. `fixed`: at a known partition, so that its lanes are known.
  View output(Memory m, DType t, Shape s, bool fixed = false, bool fresh = false);
  static constexpr EngineKind kV = EngineKind::vector, kS = EngineKind::scalar, kG = EngineKind::gpsimd;
  tile::Engine vector() { return {kV, static_cast<uint8_t>(random.below(spec.vector.count))}; }
  tile::Engine engine(EngineKind e) { return e == kV ? vector() : tile::Engine(e); }
  // A source for `other` that may not be in PSUM as well.
  Memory second(EngineKind e, Memory other) { return other == Memory::psum ? Memory::sbuf : source(e); }
  uint32_t column_rows() const { return std::min(spec.psum.partitions, spec.tensor.columns); }
  Scalar per_partition(EngineKind e, uint32_t partitions, DType t = DType::fp32) {
    if (chance(50)) return random.normal();
    return input(source(e), t, {partitions, 1});
  }
  View values(EngineKind e, uint32_t partitions) { return input(source(e), DType::fp32, {partitions, 1}); }
  DType type_for(EngineKind) { return pick(kAny); }
  Shape search_shape() {
    Shape s = shape();
    s.row = 8 + s.row % 25;
    return s;
  }
  View tensor_input(DType t, uint64_t elements);  // a new input tensor, whole
  View tensor_output(DType t, uint64_t elements);
  // Inside a loop: a view that moves with a counter, one element for each unit.
  struct Counter {
    tile::Register number;
    uint32_t most = 0;  // that it holds
  };
  std::vector<Counter> counters;  // of the loops around
  // A tensor that holds a view of `elements` once for every value of a counter, and that view.
  View moving_input(DType t, uint64_t elements);
  View moving_output(DType t, uint64_t elements);
  View moving_tile(DType t, Shape s, bool output);  // in SBUF, along the row
  // Tiles from number `from` on, of which what comes next knows nothing.
  void forget_from(uint32_t from, bool store);

  // Counts of up to `rank_max` dimensions whose product is n.
  std::vector<uint32_t> factors(uint32_t n, size_t rank_max);
  View patterned(uint32_t tile, DType t, Shape s, const std::vector<uint32_t>& counts, bool output);
  uint32_t find_tile(Memory m, DType t, Shape s, bool fixed, bool fresh);
  void store_all();  // every tile that lives goes to an output

 private:
  struct Store {
    uint32_t id = 0;
    Memory memory = Memory::sbuf;
    Shape bytes;
    bool fixed = false;
  };
  static bool lists(const std::vector<std::string>& names, Memory m);
  uint32_t room(Memory m) const;
  uint32_t make(Memory m, Shape bytes, bool fixed);
  void initialize(uint32_t tile, Memory m, Shape bytes);
  void retire(const Store& store);

  std::vector<Store> live_;
  std::vector<bool> fixed_;  // by tile
};

}  // namespace presil::campaign
