#include "backend/memory_profile.h"

#include <algorithm>
#include <bit>

namespace presil::backend {

MemoryProfile::MemoryProfile(uint32_t positions) : size_(std::bit_ceil(std::max(1u, positions))) {
  most_.resize(2 * size_), added_.resize(2 * size_);
}

void MemoryProfile::add(uint32_t begin, uint32_t end, int64_t amount) {
  if (begin < end) add(1, 0, size_, begin, end, amount);
}

void MemoryProfile::add(uint32_t node, uint32_t low, uint32_t high, uint32_t begin, uint32_t end, int64_t amount) {
  if (begin <= low && high <= end) {
    most_[node] += amount, added_[node] += amount;
    return;
  }
  uint32_t middle = (low + high) / 2;
  if (begin < middle) add(2 * node, low, middle, begin, end, amount);
  if (middle < end) add(2 * node + 1, middle, high, begin, end, amount);
  most_[node] = std::max(most_[2 * node], most_[2 * node + 1]) + added_[node];
}

std::optional<uint32_t> MemoryProfile::last_above(uint32_t begin, uint32_t end, int64_t limit) const {
  return begin < end ? last_above(1, 0, size_, begin, end, limit) : std::nullopt;
}

std::optional<uint32_t> MemoryProfile::last_above(uint32_t node, uint32_t low, uint32_t high, uint32_t begin,
                                                  uint32_t end, int64_t limit) const {
  if (end <= low || high <= begin || most_[node] <= limit) return std::nullopt;
  if (high - low == 1) return low;
  uint32_t middle = (low + high) / 2;
  int64_t rest = limit - added_[node];
  if (auto right = last_above(2 * node + 1, middle, high, begin, end, rest)) return right;
  return last_above(2 * node, low, middle, begin, end, rest);
}

}  // namespace presil::backend
