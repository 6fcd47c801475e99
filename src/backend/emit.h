// The last step: absolute addresses, semaphore numbers and values, one Program per sequencer.
#pragma once
#include "backend/synchronize.h"

namespace presil::backend {

inline constexpr uint64_t kHbmAlignment = 4096;  // bytes; tensors start at a multiple, in the order of the program

Result<isa::Executable> emit(tile::TileProgram&& program, const Placement& placement, const Synchronization& sync,
                             const spec::ChipSpec& spec);

}  // namespace presil::backend
