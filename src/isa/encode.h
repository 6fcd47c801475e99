// FILE.presil: an Executable as bytes. Versioned, checksummed, compressed; decode(encode(x)) == x, and whatever else
// decode is given, it answers with one Error within memory in proportion to the file.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "isa/executable.h"

namespace presil::isa {

inline constexpr uint32_t kFormatVersion = 4;

// Of the instruction table and of every list of names whose positions a file stores. A file is read only by a presil
// with the same.
uint64_t table_hash();

// Error: a queue whose structure is not sound (rules.h).
Result<std::vector<std::byte>> encode(const Executable& executable);

// The structure of what is read is sound; whether it keeps a chip's rules, verify() says. `name` is for messages.
Result<Executable> decode(std::span<const std::byte> file, std::string_view name = "file");

}  // namespace presil::isa
