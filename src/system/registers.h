// What the sequencers of a run find in memory.
#pragma once
#include <memory>

#include "chip/core.h"
#include "chip/memory.h"
#include "system/run.h"

namespace presil::system {

// With data: memory as the executor leaves it, instruction by instruction.
std::unique_ptr<chip::RegisterMemory> registers_of_data(const isa::Executable& executable, chip::CoreMemory& memory);

// Without data: what follows from the constants whose values were read and the inputs that are given. An observer that
// executes the instructions whose operands are all known, and remembers what is.
class KnownMemory : public chip::Observer, public chip::RegisterMemory {};
// Of core `part`. Errors: an input that is unknown, given twice or of another size.
Result<std::unique_ptr<KnownMemory>> known_memory(const isa::Executable& executable, const spec::ChipSpec& spec,
                                                  const std::vector<Input>& inputs, uint32_t part);

}  // namespace presil::system
