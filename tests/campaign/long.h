// Whether the whole campaign is wanted: ./dev test --long sets PRESIL_LONG.
#pragma once
#include <cstdlib>

namespace presil::campaign {

inline bool is_long() { return std::getenv("PRESIL_LONG") != nullptr; }

}  // namespace presil::campaign
