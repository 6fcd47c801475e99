// Parts of tensors that an executable's cores have between them (isa::HbmTensor::split_axis).
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "isa/executable.h"

namespace presil::system {

// Of a whole tensor's row-major bytes those of one core: where they lie if they are in one piece, otherwise copied to
// `storage`, which must outlive them.
std::span<const std::byte> part_of(const isa::HbmTensor& tensor, uint32_t cores, uint32_t part,
                                   std::span<const std::byte> whole, std::vector<std::vector<std::byte>>& storage);

// Puts a core's bytes where they belong in the whole.
void join_part(const isa::HbmTensor& tensor, uint32_t cores, uint32_t part, std::span<const std::byte> bytes,
               std::span<std::byte> whole);

}  // namespace presil::system
