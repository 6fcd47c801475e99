// Between named tensors and the bytes of a core's HBM.
#pragma once
#include <span>
#include <vector>

#include "system/run.h"

namespace presil::system {

struct Filled {};

// Constants and inputs to their addresses. Errors: a tensor outside of the HBM map; a constant without its bytes; an
// input that is missing, unknown, given twice or of another size.
Result<Filled> fill_hbm(const isa::Executable& executable, const std::vector<Input>& inputs, std::span<std::byte> hbm);

// Of an executable that fill_hbm accepted.
std::vector<Output> outputs_of(const isa::Executable& executable, std::span<const std::byte> hbm);

}  // namespace presil::system
