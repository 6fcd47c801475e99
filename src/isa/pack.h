// Compressed bytes (zstd) and their base64 spelling, with limits against sizes that a file only claims; private to this
// room.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace presil::isa {

using Bytes = std::vector<std::byte>;

// One zstd frame, and if it is smaller than 1/256 of the bytes, a skippable one that fills it up to that.
Bytes packed(std::span<const std::byte> bytes);

// What was packed. Errors: no such frame, or another size than claimed. Allocates at most 256 times the stored bytes.
Result<Bytes> unpacked(std::span<const std::byte> stored, uint64_t claimed_bytes);

std::string base64(std::span<const std::byte> bytes);
Result<Bytes> from_base64(std::string_view text);  // whole groups of four, padded with '='

}  // namespace presil::isa
