// What there is, as JSON arrays (docs/schema/chips.json, operators.json, instructions.json).
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "isa/opcode.h"
#include "spec/chip_spec.h"

namespace presil::runtime {

Result<std::vector<spec::ChipSpec>> bundled_chips();
std::vector<std::string> engines_of(const isa::InstructionRow& row);

Result<std::string> chips_json();
std::string operators_json();
std::string instructions_json();

}  // namespace presil::runtime
