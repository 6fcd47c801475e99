// Instruction and Program. A Program is a sequence of instructions whose operands, attributes and waits live in pools,
// so that an instruction is small and a program is a handful of vectors. The same struct serves two stages:
//  - inside a TileProgram: views name tiles and tensors, order is the sequential meaning, no semaphores;
//  - inside an Executable: one Program per queue (sequencer), absolute addresses, waits and signals.
#pragma once
#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "isa/opcode.h"

namespace presil::isa {

inline constexpr uint16_t kNoSemaphore = UINT16_MAX;
inline constexpr uint32_t kNoSource = UINT32_MAX;

// The instruction starts when semaphore >= value.
struct Wait {
  uint16_t semaphore = kNoSemaphore;
  uint32_t value = 0;
  auto operator<=>(const Wait&) const = default;
};

// Inside repeats, field `target` of an instruction grows by `step` with every iteration of the repeat at `level`
// (0 = outermost). Targets: operand k's offset (bytes), or wait k's value. `of_register`: `level` is a register of the
// sequencer, and the field grows by step times what it holds; a wait's step is 1 then.
struct Delta {
  enum class Target : uint8_t { operand, wait };
  Target target = Target::operand;
  uint8_t index = 0;
  uint16_t level = 0;
  bool of_register = false;
  int64_t step = 0;
  Delta() = default;
  Delta(Target t, uint8_t i, uint16_t l, int64_t s) : target(t), index(i), level(l), step(s) {}
  auto operator<=>(const Delta&) const = default;
};

// Whose semaphore an instruction raises: its core's, that of the other core of the pair, or one of the same number on
// both.
enum class SignalTo : uint8_t { own, peer, both };
inline constexpr int kSignalToCount = 3;

struct Instruction {
  Opcode opcode = Opcode::wait;
  EngineKind engine = EngineKind::sync;
  uint8_t engine_index = 0;  // among the core's engines of that kind
  uint8_t dma_queue = 0;     // dma_* only
  uint8_t operand_count = 0, attribute_count = 0, wait_count = 0, delta_count = 0;
  uint32_t operand_begin = 0, attribute_begin = 0, wait_begin = 0, delta_begin = 0;
  uint16_t signal = kNoSemaphore;  // incremented when results are visible: by 1, or by a DMA once per DMA engine
  SignalTo signal_to = SignalTo::own;
  uint32_t source = kNoSource;  // into the owner's source table (provenance)
};

// Instructions [first, last) run `count` times. Repeats nest properly; vector order is by first, outer before inner.
struct Repeat {
  uint32_t first = 0, last = 0;
  uint32_t count = 1;
  auto operator<=>(const Repeat&) const = default;
};

struct Program {
  uint8_t core = 0;  // of an Executable for a pair of cores: whose sequencer runs it
  std::vector<Instruction> code;
  std::vector<View> views;
  std::vector<uint32_t> attributes;
  std::vector<Wait> waits;
  std::vector<Delta> deltas;
  std::vector<Repeat> repeats;

  std::span<const View> operands(const Instruction& i) const {
    return {views.data() + i.operand_begin, i.operand_count};
  }
  std::span<View> operands(const Instruction& i) { return {views.data() + i.operand_begin, i.operand_count}; }
  std::span<const uint32_t> attrs(const Instruction& i) const {
    return {attributes.data() + i.attribute_begin, i.attribute_count};
  }
  std::span<const Wait> waits_of(const Instruction& i) const { return {waits.data() + i.wait_begin, i.wait_count}; }
  std::span<const Delta> deltas_of(const Instruction& i) const {
    return {deltas.data() + i.delta_begin, i.delta_count};
  }

  const View& operand(const Instruction& i, int k) const { return views[i.operand_begin + static_cast<uint32_t>(k)]; }
  float f32(const Instruction& i, int k) const {
    return std::bit_cast<float>(attributes[i.attribute_begin + static_cast<uint32_t>(k)]);
  }
  uint32_t word(const Instruction& i, int k) const { return attributes[i.attribute_begin + static_cast<uint32_t>(k)]; }

  // Appends an instruction with all of its row's operand and attribute slots (absent views, initial attributes).
  Instruction& append(Opcode opcode, EngineKind engine);

  // Same instructions and repeats, however the pools are laid out: unused dims, absent views' fields and the order of
  // deltas do not matter.
  bool operator==(const Program& other) const;
};

// Whether a product of the tensor engine adds to its destination.
bool accumulates(const Program& program, const Instruction& i);

// What instruction `i` does to its operand `k`: the row's access, but a matmul that accumulates also reads dst, and so
// do a shuffle that keeps partitions, a transfer that may skip rows of it and one that adds to rows of a table. A
// scatter writes its table, all of it as far as anybody knows.
Access access_of(const Program& program, const Instruction& i, int k);

// Position of the operand that names rows of a table for a DMA instruction, or -1: it has none, or it is absent.
int index_of(const Program& program, const Instruction& i);
// Whether operand k is that table: a tensor in HBM whose first dimension counts its rows.
bool is_table(const Program& program, const Instruction& i, int k);
// How many rows an indirect DMA instruction moves: as many as it has indices, a transpose as many as dst has columns.
uint32_t rows_moved(const Program& program, const Instruction& i);
// What is moved of operand k: the whole view, of a table as many rows as are named, whichever these are.
View moved(const Program& program, const Instruction& i, int k);

// Whether the instruction changes registers of its engine that the table does not name (accumulators, random
// generators), or writes what they hold.
bool uses_registers(const Program& program, const Instruction& instruction);

// Number of instructions executed, repeats counted; UINT64_MAX if it is larger than that.
uint64_t executed_count(const Program& program);

}  // namespace presil::isa
