// The contents of a logical core's memories: SBUF and PSUM (partitions of bytes) of each of its physical cores and the
// part of HBM that a program uses (one partition). Pages that nobody touches take no host memory; untouched bytes read
// as zero. On the host, partitions lie a little further apart than their size, so that a column of them does not share
// one set of a cache. Weights can be lent to the HBM: they are read where they are, and copied only when a program
// writes to them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

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
  CoreMemory(const spec::ChipSpec& spec, uint64_t hbm_bytes, uint32_t lnc = 1);
  ~CoreMemory();
  CoreMemory(CoreMemory&& other) noexcept;
  CoreMemory(const CoreMemory&) = delete;
  CoreMemory& operator=(const CoreMemory&) = delete;
  CoreMemory& operator=(CoreMemory&&) = delete;

  // `core`: the physical core whose SBUF or PSUM it is.
  const Plane& plane(isa::Memory memory, uint32_t core = 0) const;
  std::span<std::byte> partition(isa::Memory memory, uint32_t index, uint32_t core = 0) const;
  // The HBM without what is lent.
  std::span<std::byte> hbm() const { return partition(isa::Memory::hbm, 0); }

  // From here on HBM reads `bytes` at `address`; they outlive the memory. They replace what was there.
  void lend(uint64_t address, std::span<const std::byte> bytes);
  // Where the bytes [begin, end) of HBM lie in one piece. `writes`: the caller may change them.
  std::byte* hbm_at(uint64_t begin, uint64_t end, bool writes);

  // Back to zero, everything; nothing is lent.
  void clear();

 private:
  struct Loan {
    uint64_t begin = 0, end = 0;
    const std::byte* data = nullptr;
  };
  std::vector<Plane> planes_;  // hbm, then by core sbuf and psum
  std::vector<Loan> loans_;    // by address, apart from one another
};

}  // namespace presil::chip
