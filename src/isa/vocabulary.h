// All names that text forms and files use, as lists indexed by the enum's value; private to this room.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "isa/executable.h"

namespace presil::isa {

struct Vocabulary {
  std::vector<std::string> engines, opcodes, memories, dtypes, alu_ops, activations, reduce_commands, matmul_modes,
      dge_modes, oob_modes, roles;
};
const Vocabulary& vocabulary();

std::vector<std::string_view> memory_names(MemorySet set);
std::vector<std::string_view> engine_names(EngineSet set);

// Names of an attribute's values; empty if its values are numbers.
std::span<const std::string> value_names(AttributeKind kind);

}  // namespace presil::isa
