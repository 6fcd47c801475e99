// Content hashes (XXH3, 64 bit): stable across machines and runs.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace presil {

uint64_t hash_bytes(std::span<const std::byte> bytes, uint64_t seed = 0);
uint64_t hash_text(std::string_view text, uint64_t seed = 0);
std::string hash_name(uint64_t hash);  // 16 hexadecimal digits

}  // namespace presil
