// Lookup of enum values by name, for tables of names indexed by the enum.
#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace presil::numerics {

template <class Enum>
std::optional<Enum> enum_from_name(std::span<const std::string_view> names, std::string_view name) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace presil::numerics
