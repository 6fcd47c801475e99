#include "chip/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/check.h"

namespace presil::chip {
namespace {

constexpr uint64_t kCacheLineBytes = 64;

constexpr uint64_t kLargePageBytes = 2 << 20;

uint64_t mapped_bytes(const Plane& plane) {
  return std::max<uint64_t>(plane.pitch * plane.partitions, kCacheLineBytes);
}

uint64_t page_bytes() { return static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

// Address space that begins where a large page can.
void* reserve_aligned(uint64_t bytes) {
  const uint64_t all = bytes + kLargePageBytes;
  void* address = mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(address != MAP_FAILED, "the host has no address space for the simulated memory");
  auto* first = static_cast<std::byte*>(address);
  const auto place = reinterpret_cast<uintptr_t>(first);
  std::byte* aligned = first + (kLargePageBytes - place % kLargePageBytes) % kLargePageBytes;
  if (aligned != first) munmap(first, static_cast<size_t>(aligned - first));
  const uint64_t page = page_bytes();
  std::byte* end = aligned + (bytes + page - 1) / page * page;
  if (end != first + all) munmap(end, static_cast<size_t>(first + all - end));
  return aligned;
}

// Zero again; pages that nobody touched stay untouched.
void zero_touched(const Plane& plane) {
  const uint64_t bytes = mapped_bytes(plane), page = page_bytes();
  std::vector<unsigned char> resident((bytes + page - 1) / page);
  CHECK(mincore(plane.data, bytes, resident.data()) == 0, "a mapped plane");
  for (uint64_t begin = 0; begin < resident.size();) {
    uint64_t end = begin;
    while (end < resident.size() && (resident[end] & 1) == (resident[begin] & 1)) ++end;
    if ((resident[begin] & 1) != 0)
      std::memset(plane.data + begin * page, 0, std::min(end * page, bytes) - begin * page);
    begin = end;
  }
}

// The SRAM of runs that ended, for the next run of this process: to zero pages that are mapped already takes a fraction
// of the time that the kernel needs to supply zero pages anew.
class SramPool {
 public:
  ~SramPool() {
    for (const Plane& plane : kept_) munmap(plane.data, mapped_bytes(plane));
  }
  // Null where none of this shape is kept.
  Plane take(uint32_t partitions, uint64_t bytes_per_partition) {
    const std::scoped_lock lock(mutex_);
    const auto same = std::ranges::find_if(kept_, [&](const Plane& p) {
      return p.partitions == partitions && p.bytes_per_partition == bytes_per_partition;
    });
    if (same == kept_.end()) return {};
    const Plane plane = *same;
    kept_.erase(same);
    return plane;
  }
  // The one that waited longest makes room.
  void give(const Plane& plane) {
    const std::scoped_lock lock(mutex_);
    kept_.push_back(plane);
    if (kept_.size() <= kPlanesMax) return;
    munmap(kept_.front().data, mapped_bytes(kept_.front()));
    kept_.erase(kept_.begin());
  }

 private:
  static constexpr size_t kPlanesMax = 4;  // SBUF and PSUM of a pair of cores
  std::mutex mutex_;
  std::vector<Plane> kept_;
};

SramPool& sram_pool() {
  static SramPool pool;
  return pool;
}

// Reserved, not committed: the kernel supplies zero pages on first touch, large ones where it can.
Plane reserve(uint32_t partitions, uint64_t bytes_per_partition) {
  Plane plane{nullptr, partitions, bytes_per_partition, 0};
  const uint64_t lines = (bytes_per_partition + kCacheLineBytes - 1) / kCacheLineBytes;
  plane.pitch = (partitions == 1 ? lines : lines | 1) * kCacheLineBytes;  // an odd number of lines visits every set
  void* address = reserve_aligned(mapped_bytes(plane));
  madvise(address, mapped_bytes(plane), MADV_HUGEPAGE);  // a wish: either answer is fine
  plane.data = static_cast<std::byte*>(address);
  return plane;
}

Plane reserve_sram(const spec::SramSpec& sram) {
  const Plane kept = sram_pool().take(sram.partitions, sram.bytes_per_partition);
  if (kept.data == nullptr) return reserve(sram.partitions, sram.bytes_per_partition);
  zero_touched(kept);
  return kept;
}

}  // namespace

CoreMemory::CoreMemory(const spec::ChipSpec& spec, uint64_t hbm_bytes, uint32_t lnc) : planes_{reserve(1, hbm_bytes)} {
  for (uint32_t core = 0; core < lnc; ++core) {
    for (const spec::SramSpec* sram : {&spec.sbuf, &spec.psum}) planes_.push_back(reserve_sram(*sram));
  }
}

CoreMemory::CoreMemory(CoreMemory&& other) noexcept
    : planes_(std::exchange(other.planes_, {})), loans_(std::move(other.loans_)) {}

CoreMemory::~CoreMemory() {
  if (planes_.empty()) return;
  munmap(planes_[0].data, mapped_bytes(planes_[0]));
  for (size_t sram = 1; sram < planes_.size(); ++sram) sram_pool().give(planes_[sram]);
}

const Plane& CoreMemory::plane(isa::Memory memory, uint32_t core) const {
  CHECK(memory != isa::Memory::none, "an absent operand has no memory");
  if (memory == isa::Memory::hbm) return planes_[0];
  const size_t place = 2 * size_t{core} + (memory == isa::Memory::sbuf ? 1 : 2);
  CHECK(place < planes_.size(), "a core of the logical core");
  return planes_[place];
}

std::span<std::byte> CoreMemory::partition(isa::Memory memory, uint32_t index, uint32_t core) const {
  const Plane& p = plane(memory, core);
  CHECK(index < p.partitions, "a partition of the memory");
  return {p.data + index * p.pitch, p.bytes_per_partition};
}

void CoreMemory::lend(uint64_t address, std::span<const std::byte> bytes) {
  const uint64_t end = address + bytes.size();
  CHECK(end <= hbm().size(), "what is lent lies inside the HBM");
  if (bytes.empty()) return;
  hbm_at(address, end, true);  // nothing else is lent there any more
  const auto after = std::ranges::lower_bound(loans_, address, {}, &Loan::begin);
  loans_.insert(after, {address, end, bytes.data()});
}

std::byte* CoreMemory::hbm_at(uint64_t begin, uint64_t end, bool writes) {
  auto loan = std::ranges::upper_bound(loans_, begin, {}, &Loan::end);
  if (loan != loans_.end() && !writes && loan->begin <= begin && end <= loan->end) {
    return const_cast<std::byte*>(loan->data + (begin - loan->begin));
  }
  std::byte* own = plane(isa::Memory::hbm).data;
  auto last = loan;
  for (; last != loans_.end() && last->begin < end; ++last) {
    std::memcpy(own + last->begin, last->data, last->end - last->begin);
  }
  loans_.erase(loan, last);
  return own + begin;
}

void CoreMemory::clear() {
  loans_.clear();
  for (const Plane& plane : planes_)
    CHECK(madvise(plane.data, mapped_bytes(plane), MADV_DONTNEED) == 0, "pages can be dropped");
}

}  // namespace presil::chip
