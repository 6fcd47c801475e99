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

// Most that a stored byte may claim to hold; what packs better is filled up.
inline constexpr uint64_t kDataRatioMax = 256;
inline constexpr uint64_t kCodeRatioMax = 16;  // instructions take more room in memory than in a section

// One zstd frame, and if it is smaller than bytes / ratio_max, a skippable one that fills it up to that.
Bytes packed(std::span<const std::byte> bytes, uint64_t ratio_max = kDataRatioMax);

// What was packed. Errors: no such frame, or another size than claimed. Allocates at most ratio_max times the stored
// bytes.
Result<Bytes> unpacked(std::span<const std::byte> stored, uint64_t claimed_bytes, uint64_t ratio_max = kDataRatioMax);

std::string base64(std::span<const std::byte> bytes);
Result<Bytes> from_base64(std::string_view text);  // whole groups of four, padded with '='

}  // namespace presil::isa
