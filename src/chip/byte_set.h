// Sets of bytes of a memory: which have been written. Exact to the byte; questions about regions that are full
// throughout, the usual ones, are answered from a summary.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "chip/footprint.h"

namespace presil::chip {

// A bit per byte of a row, built once per question.
struct RowMask {
  int64_t first_word = 0;
  std::vector<uint64_t> words;
};

// Of a memory with partitions. A summary bit says that 64 bytes are full in 32 partitions.
class PartitionedSet {
 public:
  PartitionedSet(uint32_t partitions, uint64_t bytes_per_partition);

  bool contains(const Shape& shape, int64_t begin);  // all bytes of the shape
  bool touches(const Shape& shape, int64_t begin);   // any byte of it
  void insert(const Shape& shape, int64_t begin);
  void erase(const Shape& shape, int64_t begin);
  bool empty() const { return never_inserted_; }  // conservative: false once something was inserted

 private:
  static constexpr uint32_t kGroup = 32;
  bool summary_full(const Shape& shape, int64_t begin) const;
  void mark(const Shape& shape, int64_t begin);  // fills mask_
  uint64_t* row(uint32_t partition) { return bits_.data() + size_t{partition} * words_; }
  void summarize(uint32_t group, int64_t word);

  uint32_t partitions_;
  size_t words_;  // per partition
  std::vector<uint64_t> bits_;
  std::vector<uint64_t> full_;  // per group of partitions, a bit per word
  RowMask mask_;
  bool never_inserted_ = true;
};

// Of a linear memory, in pages that are empty, full, or a bit per byte.
class PagedSet {
 public:
  explicit PagedSet(uint64_t bytes);
  bool contains(int64_t begin, int64_t end) const;
  void insert(int64_t begin, int64_t end);

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
