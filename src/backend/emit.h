// The last step: absolute addresses, semaphore numbers and values, one Program per sequencer.
#pragma once
#include "backend/synchronize.h"

namespace presil::backend {

inline constexpr uint64_t kHbmAlignment = 4096;  // bytes; tensors start at a multiple, in the order of the program

// Addresses of tensors, and the bytes that they take together.
Result<uint64_t> assign_hbm(std::vector<isa::HbmTensor>& tensors, const spec::ChipSpec& spec);
// A view of a tile or tensor where that lies.
isa::View absolute(isa::View v, const Placement& placement, const std::vector<isa::HbmTensor>& tensors);
// Everything of a program that its code is not.
void give_names(tile::TileProgram&& program, const spec::ChipSpec& spec, isa::Executable& out);

Result<isa::Executable> emit(tile::TileProgram&& program, const Placement& placement, const Synchronization& sync,
                             const spec::ChipSpec& spec);

}  // namespace presil::backend
