// The contents of one core's memories: SBUF and PSUM (partitions of bytes) and the part of HBM that a program uses (one
// partition). Pages that nobody touches take no host memory; untouched bytes read as zero. On the host, partitions lie
// a little further apart than their size, so that a column of them does not share one set of a cache.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "isa/view.h"
#include "spec/chip_spec.h"

namespace presil::chip {

// Partition p begins at data + p * pitch.
struct Plane {
  std::byte* data = nullptr;
  uint32_t partitions = 0;
  uint64_t bytes_per_partition = 0;
  uint64_t pitch = 0;
};

class CoreMemory {
 public:
  CoreMemory(const spec::ChipSpec& spec, uint64_t hbm_bytes);
  ~CoreMemory();
  CoreMemory(CoreMemory&& other) noexcept;
  CoreMemory(const CoreMemory&) = delete;
  CoreMemory& operator=(const CoreMemory&) = delete;
  CoreMemory& operator=(CoreMemory&&) = delete;

  const Plane& plane(isa::Memory memory) const;
  std::span<std::byte> partition(isa::Memory memory, uint32_t index) const;
  std::span<std::byte> hbm() const { return partition(isa::Memory::hbm, 0); }

  // Back to zero, everything.
  void clear();

 private:
  Plane planes_[3];  // sbuf, psum, hbm
};

}  // namespace presil::chip
