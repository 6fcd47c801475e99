// How much of a campaign runs: a sample, all of it (PRESIL_LONG), or the programs of some seeds (PRESIL_SEEDS=0-10000).
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace presil::campaign {

inline bool is_long() { return std::getenv("PRESIL_LONG") != nullptr; }

// First seed, and the one behind the last.
inline std::pair<uint64_t, uint64_t> seeds(uint64_t count) {
  const char* given = std::getenv("PRESIL_SEEDS");
  unsigned long first = 0, last = count;
  if (given != nullptr && std::sscanf(given, "%lu-%lu", &first, &last) != 2) std::abort();
  return {first, last};
}

}  // namespace presil::campaign
