// Between named tensors and the bytes of a core's HBM.
#pragma once
#include <span>
#include <vector>

#include "chip/memory.h"
#include "system/run.h"

namespace presil::system {

struct Filled {};

// Constants and inputs at their addresses: lent, so that both outlive the memory. The executable is one that chip::load
// accepted. Errors: a constant without its bytes; an input that is missing, unknown, given twice or of another size.
Result<Filled> fill_hbm(const isa::Executable& executable, const std::vector<Input>& inputs, chip::CoreMemory& memory);

// What is at hand of them: constants with bytes, inputs that are given. Returns those tensors. Errors: an input that is
// unknown, given twice or of another size.
Result<std::vector<const isa::HbmTensor*>> fill_known(const isa::Executable& executable,
                                                      const std::vector<Input>& inputs, chip::CoreMemory& memory);

// Of an executable that fill_hbm accepted.
std::vector<Output> outputs_of(const isa::Executable& executable, chip::CoreMemory& memory);

}  // namespace presil::system
