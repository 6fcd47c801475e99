#include "chip/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace presil::chip {
namespace {

constexpr uint64_t kCacheLineBytes = 64;

uint64_t mapped_bytes(const Plane& plane) {
  return std::max<uint64_t>(plane.pitch * plane.partitions, kCacheLineBytes);
}

// Reserved, not committed: the kernel supplies zero pages on first touch. Large pages where it can, for SRAMs, whose
// rows are visited across partitions.
Plane reserve(uint32_t partitions, uint64_t bytes_per_partition, bool large_pages) {
  Plane plane{nullptr, partitions, bytes_per_partition, 0};
  const uint64_t lines = (bytes_per_partition + kCacheLineBytes - 1) / kCacheLineBytes;
  plane.pitch = (partitions == 1 ? lines : lines | 1) * kCacheLineBytes;  // an odd number of lines visits every set
  void* address =
      mmap(nullptr, mapped_bytes(plane), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(address != MAP_FAILED, "the host has no address space for the simulated memory");
  if (large_pages) madvise(address, mapped_bytes(plane), MADV_HUGEPAGE);  // a wish: either answer is fine
  plane.data = static_cast<std::byte*>(address);
  return plane;
}

}  // namespace

CoreMemory::CoreMemory(const spec::ChipSpec& spec, uint64_t hbm_bytes)
    : planes_{reserve(spec.sbuf.partitions, spec.sbuf.bytes_per_partition, true),
              reserve(spec.psum.partitions, spec.psum.bytes_per_partition, true), reserve(1, hbm_bytes, false)} {}

CoreMemory::CoreMemory(CoreMemory&& other) noexcept {
  for (int i = 0; i < 3; ++i) planes_[i] = std::exchange(other.planes_[i], Plane{});
}

CoreMemory::~CoreMemory() {
  for (const Plane& plane : planes_) {
    if (plane.data != nullptr) munmap(plane.data, mapped_bytes(plane));
  }
}

const Plane& CoreMemory::plane(isa::Memory memory) const {
  CHECK(memory != isa::Memory::none, "an absent operand has no memory");
  return planes_[static_cast<int>(memory) - 1];
}

std::span<std::byte> CoreMemory::partition(isa::Memory memory, uint32_t index) const {
  const Plane& p = plane(memory);
  CHECK(index < p.partitions, "a partition of the memory");
  return {p.data + index * p.pitch, p.bytes_per_partition};
}

void CoreMemory::clear() {
  for (const Plane& plane : planes_)
    CHECK(madvise(plane.data, mapped_bytes(plane), MADV_DONTNEED) == 0, "pages can be dropped");
}

}  // namespace presil::chip
