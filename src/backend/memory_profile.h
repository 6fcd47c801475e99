// How much memory is taken at each instruction of a program, under range updates: a segment tree with lazy sums.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

namespace presil::backend {

class MemoryProfile {
 public:
  explicit MemoryProfile(uint32_t positions);
  void add(uint32_t begin, uint32_t end, int64_t amount);  // to [begin, end)
  // The last position in [begin, end) that exceeds `limit`.
  std::optional<uint32_t> last_above(uint32_t begin, uint32_t end, int64_t limit) const;

 private:
  void add(uint32_t node, uint32_t low, uint32_t high, uint32_t begin, uint32_t end, int64_t amount);
  std::optional<uint32_t> last_above(uint32_t node, uint32_t low, uint32_t high, uint32_t begin, uint32_t end,
                                     int64_t limit) const;
  uint32_t size_ = 1;
  std::vector<int64_t> most_;   // of the node's positions, without what its ancestors add
  std::vector<int64_t> added_;  // to all of the node's positions
};

}  // namespace presil::backend
