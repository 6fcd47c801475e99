// Strong integer ids: indices into a vector, not pointers; ordered, printable, deterministic.
#pragma once
#include <compare>
#include <cstdint>

namespace presil {

template <class Tag>
struct Id {
  uint32_t value = UINT32_MAX;
  constexpr Id() = default;
  constexpr explicit Id(uint32_t v) : value(v) {}
  constexpr bool valid() const { return value != UINT32_MAX; }
  constexpr auto operator<=>(const Id&) const = default;
};

}  // namespace presil
