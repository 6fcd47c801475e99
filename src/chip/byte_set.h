// Sets of bytes of a memory: which have been written. Exact to the byte; questions about regions that are full
// throughout, the usual ones, are answered from a summary.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "chip/footprint.h"

namespace presil::chip {

// Of a memory with partitions. 64 bytes of a partition are a word. Words that are full, and words that hold anything,
// are bits in masks over 32 partitions; only of those between the single bytes are kept.
class PartitionedSet {
 public:
  PartitionedSet(uint32_t partitions, uint64_t bytes_per_partition);

  bool contains(const Shape& shape, int64_t begin);  // all bytes of the shape
  bool touches(const Shape& shape, int64_t begin);   // any byte of it
  void insert(const Shape& shape, int64_t begin);
  void erase(const Shape& shape, int64_t begin);
  bool never_used() const { return never_used_; }  // nothing was ever inserted

 private:
  static constexpr uint32_t kGroup = 32;
  template <class F>
  bool each_word(const Shape& shape, int64_t begin, F&& f);
  void mark(const Shape& shape, int64_t begin);
  bool surely_contains(const Shape& shape, int64_t begin) const;
  static uint32_t partitions_in_group(const Shape& shape, uint32_t first);
  uint64_t& bytes(uint32_t partition, size_t word) { return bytes_[partition * words_ + word]; }

  size_t words_;  // per partition
  struct Masks {
    uint32_t full = 0, used = 0;  // full words are used, too
  };
  std::vector<Masks> masks_;      // by group of partitions and word
  std::vector<uint64_t> bytes_;   // by partition and word; of words that are used and not full
  std::vector<uint64_t> marked_;  // the words of the shape in question
  size_t first_word_ = 0;
  bool never_used_ = true;
};

// Of a linear memory, in pages that are empty, full, or a bit per byte.
class PagedSet {
 public:
  explicit PagedSet(uint64_t bytes);
  bool contains(int64_t begin, int64_t end) const;
  void insert(int64_t begin, int64_t end);
  void erase(int64_t begin, int64_t end);

 private:
  static constexpr int64_t kPage = 64 * 1024;
  struct Page {
    bool full = false;
    int64_t held = 0;                  // bytes in `bits`
    std::unique_ptr<uint64_t[]> bits;  // null: empty or full
  };
  std::vector<Page> pages_;
};

}  // namespace presil::chip
