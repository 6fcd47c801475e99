// View: the access pattern of one operand: a memory, partitions, and up to five strided dimensions.
//
// SBUF and PSUM: `partitions` consecutive partitions from `partition`, each with the same pattern of elements starting
// `offset` bytes into the partition; dims describe the free axis, outermost first. HBM: one partition; dims describe
// everything. Order of elements is partition-major, then dims row-major; a DMA matches source and destination elements
// in that order.
// `peer` says whose SBUF it is: that of the core that executes the instruction (0), or that of the other core of its
// pair (1). HBM is one address space of the pair.
// `base` names a tile or a tensor while a program is virtual (tile/tile_program.h); in an Executable it is kAbsolute
// and partition and offset are machine addresses.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "numerics/dtype.h"

namespace presil::isa {

enum class Memory : uint8_t { none, sbuf, psum, hbm };
std::string_view memory_name(Memory m);

inline constexpr uint32_t kAbsolute = UINT32_MAX;
inline constexpr int kMaxRank = 5;

struct Dim {
  int32_t step = 1;  // elements
  uint32_t count = 1;
  auto operator<=>(const Dim&) const = default;
};

struct View {
  Memory memory = Memory::none;  // none: operand absent
  DType dtype = DType::fp32;
  uint8_t rank = 0;  // 0: one element per partition
  uint8_t peer = 0;
  uint16_t partition = 0;
  uint16_t partitions = 1;
  uint32_t base = kAbsolute;
  int64_t offset = 0;  // bytes
  std::array<Dim, kMaxRank> dims{};

  bool present() const { return memory != Memory::none; }
  std::span<const Dim> pattern() const { return {dims.data(), rank}; }
  uint64_t elements_per_partition() const {
    uint64_t n = 1;
    for (const Dim& d : pattern()) n *= d.count;
    return n;
  }
  uint64_t elements() const { return elements_per_partition() * partitions; }
  uint64_t bytes() const { return elements() * dtype_bytes(dtype); }
  auto operator<=>(const View&) const = default;
};

// The same elements with the fewest dimensions: unit counts dropped, contiguous neighbours merged. Order is kept.
View simplified(const View& view);

// First and one-past-last byte touched within a partition (or in HBM), for bounds and overlap tests.
struct ByteRange {
  int64_t begin = 0, end = 0;
};
ByteRange byte_range(const View& view);

}  // namespace presil::isa
