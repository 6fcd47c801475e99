// The chip files under specs/chips/, compiled into the binary (cmake/embed_chips.cmake writes the table).
#pragma once
#include <span>
#include <string_view>

namespace presil::spec {

struct BundledChip {
  std::string_view name;
  std::string_view toml;
};

std::span<const BundledChip> bundled_chips();            // sorted by name
const BundledChip* find_bundled(std::string_view name);  // null: no such chip

}  // namespace presil::spec
