// Loop nests over the free axes of several operands, cut into instructions: each piece has few enough dimensions, small
// enough steps and few enough elements for one access pattern. Loops may be in any order, the same for all operands.
#pragma once
#include <array>
#include <functional>
#include <span>
#include <vector>

#include "kernels/block.h"

namespace presil::kernels {

inline constexpr size_t kOperandsMax = 4;

// A loop, and how far each operand moves per iteration (elements of its own type).
struct Loop {
  int64_t count = 1;
  std::array<int64_t, kOperandsMax> steps{};
};

struct Limits {
  int64_t elements = 65536;  // per partition and operand; operands in PSUM also obey their own limit
  bool engine = true;        // a DMA encodes any step and count
};

// Calls emit with the operands' views of each piece. Dims that an operand already has stay innermost in each piece and
// are never split (the reduced dims of a reduction).
void for_each_piece(const std::vector<isa::View>& operands, const std::vector<Loop>& loops, const Limits& limits,
                    const std::function<void(std::span<const isa::View>)>& emit);

// View of partitions [partition, +partitions) of a group at logical element `at` (one index per axis; that of the
// partition axis is ignored), without dims: the start of a loop nest.
isa::View origin(const Block& block, size_t g, int64_t partition, int64_t partitions, const std::vector<int64_t>& at);
isa::View origin(const Block& block, size_t g);  // all partitions, element 0

// Part of a partition axis inside one group.
struct Cut {
  size_t group = 0;
  int64_t partition = 0, count = 1;  // within the group
  int64_t begin = 0;                 // along the axis
};
// A block's partition axis in cuts of at most `most` partitions.
std::vector<Cut> cuts(const Block& block, int64_t most);

// Calls fn with every index of a box, row-major.
void for_each_index(const std::vector<int64_t>& extents, const std::function<void(const std::vector<int64_t>&)>& fn);

}  // namespace presil::kernels
