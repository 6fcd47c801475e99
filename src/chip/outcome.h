// How a simulated run ended. A fault inside the simulated machine is data: who, where, and what happened, with the
// instruction's provenance.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "isa/executable.h"

namespace presil::chip {

// A static instruction of an Executable.
struct Site {
  uint32_t queue = UINT32_MAX, instruction = UINT32_MAX;
  bool operator==(const Site&) const = default;
};

struct Outcome {
  enum class Kind : uint8_t { done, deadlock, fault, time_limit, event_limit, race, loop_limit };
  Kind kind = Kind::done;
  std::string engine;                 // "vector", empty when done
  uint32_t queue = UINT32_MAX;        // index into Executable::queues
  uint32_t instruction = UINT32_MAX;  // index into that Program
  std::string source;                 // "conv2d main of Conv_12 (layer conv1)"
  std::string detail;

  bool ok() const { return kind == Kind::done; }
};

std::string_view outcome_name(Outcome::Kind kind);  // "deadlock"

// One line: kind, engine, instruction, source, detail.
std::string outcome_text(const Outcome& outcome);

// "matmul main of Conv_12 (layer conv1)"; "unknown source" when the instruction carries none.
std::string source_text(const isa::Executable& executable, uint32_t source);

// "core1." of an executable for a pair of cores, otherwise empty.
std::string core_prefix(const isa::Executable& executable, uint32_t core);

// "tensor" or "vector1": the engine that runs a queue; the index is left out for 0. Of a pair "core1.tensor".
std::string queue_name(const isa::Executable& executable, uint32_t queue);

// "vector instruction 12 (activation)".
std::string instruction_text(const isa::Executable& executable, uint32_t queue, uint32_t instruction);

}  // namespace presil::chip
