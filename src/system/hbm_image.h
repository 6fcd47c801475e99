// Between named tensors and the bytes of a core's HBM.
#pragma once
#include <span>
#include <vector>

#include "chip/memory.h"
#include "system/run.h"

namespace presil::system {

struct Filled {};

// Constants and inputs of core `part` at their addresses: lent, so that both outlive the memory, and `storage` too,
// which takes what had to be copied. The executable is one that chip::load accepted. Errors: a constant without its
// bytes; an input that is missing, unknown, given twice or of another size.
Result<Filled> fill_hbm(const isa::Executable& executable, const std::vector<Input>& inputs, uint32_t part,
                        chip::CoreMemory& memory, std::vector<std::vector<std::byte>>& storage);

// What is at hand of core `part`: constants with bytes, inputs that are given. Returns those tensors. Errors: an input
// that is unknown, given twice or of another size.
Result<std::vector<const isa::HbmTensor*>> fill_known(const isa::Executable& executable,
                                                      const std::vector<Input>& inputs, uint32_t part,
                                                      chip::CoreMemory& memory,
                                                      std::vector<std::vector<std::byte>>& storage);

// Outputs of the whole size, zero.
std::vector<Output> empty_outputs(const isa::Executable& executable);
// What core `part` has in its memory, of an executable that fill_hbm accepted.
void collect_outputs(const isa::Executable& executable, uint32_t part, chip::CoreMemory& memory,
                     std::vector<Output>& outputs);

}  // namespace presil::system
