// Registers and control flow of the sequencers in a run. What register_load reads comes from whoever keeps the values
// of memory; a value that nobody knows (a run without data) stays unknown through arithmetic, and matters when
// something is decided or addressed by it: then an assumption about the node that the instruction stems from takes its
// place.
#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "chip/loaded.h"
#include "isa/executable.h"

namespace presil::chip {

// Values of memories as register_load and register_store see them, in the order of the run. `offsets`: per operand,
// growth in this iteration; the operand lies inside its memory.
class RegisterMemory {
 public:
  virtual ~RegisterMemory() = default;
  virtual std::optional<uint32_t> load(uint32_t queue, uint32_t instruction, std::span<const int64_t> offsets) = 0;
  // Nothing: unknown.
  virtual void store(uint32_t queue, uint32_t instruction, std::span<const int64_t> offsets,
                     std::optional<uint32_t> value) = 0;
};

// By graph node: how often its loop runs, or whether (1 or 0) its condition holds.
using Assumptions = std::map<std::string, uint32_t, std::less<>>;

inline constexpr uint64_t kJumpsMax = 100'000'000;  // backwards, of all queues together

struct SequencerOptions {
  RegisterMemory* memory = nullptr;  // null: nothing in memory is known
  const Assumptions* assume = nullptr;
  uint64_t jumps_max = kJumpsMax;
};

class Sequencers {
 public:
  Sequencers(const isa::Executable& executable, const Loaded& loaded, const SequencerOptions& options);

  // What stops the run. `unknown`: the value of a node that has to be given or assumed.
  struct Stop {
    enum class Kind : uint8_t { none, fault, endless, unknown };
    Kind kind = Kind::none;
    std::string text;
  };
  // Executes the control instruction at the cursor and moves it to the next one.
  Stop step(uint32_t queue, Cursor& cursor);
  // Before any other instruction that takes addresses or waits from registers.
  Stop addresses(uint32_t queue, const Cursor& cursor) const;

 private:
  struct Value {
    uint32_t number = 0;
    bool known = true;
  };
  Value value(uint32_t queue, const Cursor& c, uint32_t reg, uint32_t imm) const;
  void set(uint32_t queue, Cursor& c, uint32_t reg, Value v);
  const std::string* node(uint32_t queue, uint32_t pc) const;
  std::optional<uint32_t> assumed(uint32_t queue, uint32_t pc) const;
  Stop unknown(uint32_t queue, uint32_t pc) const;
  Stop branch(uint32_t queue, Cursor& c);
  Stop loop(uint32_t queue, Cursor& c);
  Stop loop_end(uint32_t queue, Cursor& c);
  Stop jump_back(uint32_t queue, Cursor& c, uint32_t target);
  std::optional<uint32_t> assumed_condition(uint32_t queue, const Cursor& c) const;
  const isa::Instruction& at(uint32_t queue, const Cursor& c) const { return exe_.queues[queue].code[c.pc]; }
  uint32_t word(uint32_t queue, uint32_t pc, int slot) const {
    return exe_.queues[queue].word(exe_.queues[queue].code[pc], slot);
  }

  const isa::Executable& exe_;
  const Loaded& loaded_;
  SequencerOptions options_;
  std::vector<uint64_t> unknown_;  // per queue, a bit per register
  uint64_t jumps_ = 0;
};

}  // namespace presil::chip
