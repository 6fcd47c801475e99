// What lies in SBUF and PSUM over time, from what instructions read and write: a byte is occupied from the write that
// put something there to the last access before something else is written. Counted in pieces of 32 partitions x 64
// bytes, a bound from above; what is written belongs to the HBM tensor that it was loaded from, or else to the layer
// whose instruction wrote it. So kernels and compiled programs are treated alike, and nobody has to declare tiles.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "trace/trace.h"

namespace presil::system {

class Residency {
 public:
  Residency(const isa::Executable& executable, const spec::ChipSpec& spec);

  // `instruction` of `queue` accesses its operands from `start` to `end`; offsets[k]: growth of operand k in this
  // iteration. Returns a handle with which the accesses can be prolonged: those of a transfer end with its shares.
  void access(uint32_t queue, uint32_t instruction, const std::vector<int64_t>& offsets, Time start, Time end,
              uint32_t event);
  // The transfer that `event` triggered was still under way at `end`.
  void prolong(uint32_t event, Time end);

  // One per memory, in at most `slices` slices of [0, elapsed].
  std::vector<trace::Residency> finish(Time elapsed, uint32_t slices);

 private:
  static constexpr uint32_t kNobody = UINT32_MAX;
  struct Cell {
    uint32_t owner = kNobody;  // index into names_
    Time since = 0, until = 0;
  };
  struct Memory {
    std::string name;
    uint32_t columns = 0;  // cells of a row of partitions
    uint32_t rows = 0;
    std::vector<Cell> cells;
    struct Stay {
      uint32_t owner = 0, cells = 0;
      Time since = 0, until = 0;
    };
    std::vector<Stay> stays;  // that have ended
  };
  struct Box {  // of one static operand
    int memory = -1;
    bool writes = false;
    uint32_t row_begin = 0, row_end = 0;
    int64_t begin = 0, end = 0;  // bytes
    uint8_t operand = 0;
    uint32_t owner = kNobody;
  };
  struct Loaded {  // a transfer from HBM: whose bytes it brings depends on the address
    int64_t begin = 0;
    uint8_t operand = 0;
    bool present = false;
  };
  struct Static {
    std::vector<Box> boxes;
    Loaded from_hbm;
  };
  struct Touched {
    uint32_t event = 0;
    Box box;  // with its growth
  };

  Static boxes_of(const isa::Program& program, const isa::Instruction& instruction);
  uint32_t owner_of_address(int64_t address) const;
  void touch(const Box& box, Time start, Time end);
  static void leave(Memory& memory, const Cell& cell);
  static uint64_t peak_of(const Memory& memory);

  const isa::Executable& executable_;
  std::vector<std::string> names_;  // layers, then tensors, then unknown
  std::vector<Memory> memories_;    // SBUF and PSUM of each physical core
  std::vector<std::vector<Static>> static_;
  std::map<int64_t, uint32_t> tensor_at_;           // by address: index into executable_.tensors
  std::map<uint32_t, std::vector<Box>> transfers_;  // by event, as long as shares may end
};

}  // namespace presil::system
