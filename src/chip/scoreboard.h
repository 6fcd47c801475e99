// Which instructions may be executed beside each other. Instructions enter in the order of the program; each waits for
// the earlier ones that touch what it touches, unless both only read. What an instruction touches is a few boxes,
// larger than the truth at most, so that nothing is missed. Any number of threads may then take instructions that wait
// for nothing: the memories end up with the same bits.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "isa/opcode.h"

namespace presil::chip {

// Bytes [begin, end) of each of the partitions [partition, partition_end).
struct Box {
  isa::Memory memory = isa::Memory::none;  // none: registers of the engines
  bool writes = false;
  uint32_t partition = 0, partition_end = 1;
  int64_t begin = 0, end = 1;
  uint8_t core = 0;  // of a pair, whose memory or registers; 0 for HBM
};

inline constexpr size_t kBoxesMax = isa::kComputeSources + 3;  // operands, and registers
struct Boxes {
  std::array<Box, kBoxesMax> box;
  size_t count = 0;
  void add(const Box& b) { box[count++] = b; }
  std::span<const Box> all() const { return {box.data(), count}; }
};

class Scoreboard {
 public:
  static constexpr uint32_t kSlots = 64;

  bool full() const { return entered_ - left_ == kSlots; }
  bool empty() const { return entered_ == left_; }
  // The slot of the instruction from here until finish(). Not if full.
  uint32_t enter(std::span<const Box> boxes);
  bool ready() const { return ready_ != 0; }
  // The oldest instruction that waits for nothing. Only if ready().
  uint32_t take();
  void finish(uint32_t slot);

 private:
  static constexpr size_t kMemories = 4 * 2;  // of both cores
  struct Slot {
    Boxes boxes;
    uint64_t waits_for = 0;  // bit per slot
  };
  // Per memory, around the boxes of each slot: what tells most slots apart at a glance.
  struct Around {
    std::array<int64_t, kSlots> begin, end;
  };
  static size_t place(const Box& box) { return static_cast<size_t>(box.memory) + 4 * size_t{box.core}; }
  uint64_t conflicts(const Box& box) const;

  std::array<Slot, kSlots> slots_;
  std::array<Around, kMemories> around_{};  // empty: begin = end = 0
  uint64_t entered_ = 0, left_ = 0;         // instructions; slots are taken in turn
  uint64_t unfinished_ = 0, ready_ = 0;     // bit per slot
};

}  // namespace presil::chip
