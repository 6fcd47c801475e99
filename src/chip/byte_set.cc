#include "chip/byte_set.h"

#include <algorithm>
#include <bit>

namespace presil::chip {
namespace {

constexpr uint64_t kAll = ~uint64_t{0};

// Bits [begin, end) of the word that holds bits [64 * word, 64 * word + 64).
uint64_t word_bits(int64_t word, int64_t begin, int64_t end) {
  int64_t low = std::max<int64_t>(0, begin - word * 64), high = std::min<int64_t>(64, end - word * 64);
  if (low >= high) return 0;
  uint64_t upto = high == 64 ? kAll : (uint64_t{1} << high) - 1;
  return upto & (kAll << low);
}

}  // namespace

PartitionedSet::PartitionedSet(uint32_t partitions, uint64_t bytes_per_partition)
    : partitions_(partitions),
      words_((bytes_per_partition + 63) / 64),
      bits_(size_t{partitions} * words_),
      full_(size_t{(partitions + kGroup - 1) / kGroup} * ((words_ + 63) / 64)) {}

bool PartitionedSet::summary_full(const Shape& shape, int64_t begin) const {
  const size_t per_group = (words_ + 63) / 64;
  const int64_t first = begin / 64, last = (begin + shape.extent() - 1) / 64;
  for (uint32_t g = shape.partition / kGroup; g <= (shape.partition + shape.partitions - 1u) / kGroup; ++g) {
    for (int64_t w = first / 64; w <= last / 64; ++w) {
      uint64_t wanted = word_bits(w, first, last + 1);
      if ((full_[g * per_group + static_cast<size_t>(w)] & wanted) != wanted) return false;
    }
  }
  return true;
}

void PartitionedSet::mark(const Shape& shape, int64_t begin) {
  mask_.first_word = begin / 64;
  mask_.words.assign(static_cast<size_t>((begin + shape.extent() - 1) / 64 - mask_.first_word + 1), 0);
  for_each_run(shape, begin, [&](int64_t from, int64_t to) {
    for (int64_t w = from / 64; w * 64 < to; ++w) {
      mask_.words[static_cast<size_t>(w - mask_.first_word)] |= word_bits(w, from, to);
    }
  });
}

bool PartitionedSet::contains(const Shape& shape, int64_t begin) {
  if (summary_full(shape, begin)) return true;
  mark(shape, begin);
  for (uint32_t p = shape.partition; p < uint32_t{shape.partition} + shape.partitions; ++p) {
    const uint64_t* bits = row(p) + mask_.first_word;
    for (size_t w = 0; w < mask_.words.size(); ++w) {
      if ((bits[w] & mask_.words[w]) != mask_.words[w]) return false;
    }
  }
  return true;
}

bool PartitionedSet::touches(const Shape& shape, int64_t begin) {
  mark(shape, begin);
  for (uint32_t p = shape.partition; p < uint32_t{shape.partition} + shape.partitions; ++p) {
    const uint64_t* bits = row(p) + mask_.first_word;
    for (size_t w = 0; w < mask_.words.size(); ++w) {
      if ((bits[w] & mask_.words[w]) != 0) return true;
    }
  }
  return false;
}

void PartitionedSet::summarize(uint32_t group, int64_t word) {
  uint64_t all = kAll;
  for (uint32_t p = group * kGroup; p < std::min(partitions_, (group + 1) * kGroup); ++p) {
    all &= row(p)[word];
  }
  uint64_t& summary = full_[group * ((words_ + 63) / 64) + static_cast<size_t>(word / 64)];
  uint64_t bit = uint64_t{1} << (word % 64);
  summary = all == kAll ? summary | bit : summary & ~bit;
}

void PartitionedSet::insert(const Shape& shape, int64_t begin) {
  never_inserted_ = false;
  if (summary_full(shape, begin)) return;
  mark(shape, begin);
  const uint32_t end = uint32_t{shape.partition} + shape.partitions;
  for (uint32_t p = shape.partition; p < end; ++p) {
    uint64_t* bits = row(p) + mask_.first_word;
    for (size_t w = 0; w < mask_.words.size(); ++w) bits[w] |= mask_.words[w];
  }
  for (uint32_t g = shape.partition / kGroup; g <= (end - 1) / kGroup; ++g) {
    for (size_t w = 0; w < mask_.words.size(); ++w) summarize(g, mask_.first_word + static_cast<int64_t>(w));
  }
}

void PartitionedSet::erase(const Shape& shape, int64_t begin) {
  mark(shape, begin);
  const uint32_t end = uint32_t{shape.partition} + shape.partitions;
  for (uint32_t p = shape.partition; p < end; ++p) {
    uint64_t* bits = row(p) + mask_.first_word;
    for (size_t w = 0; w < mask_.words.size(); ++w) bits[w] &= ~mask_.words[w];
  }
  for (uint32_t g = shape.partition / kGroup; g <= (end - 1) / kGroup; ++g) {
    for (size_t w = 0; w < mask_.words.size(); ++w) summarize(g, mask_.first_word + static_cast<int64_t>(w));
  }
}

PagedSet::PagedSet(uint64_t bytes) : pages_((bytes + kPage - 1) / kPage) {}

bool PagedSet::contains(int64_t begin, int64_t end) const {
  for (int64_t p = begin / kPage; p * kPage < end; ++p) {
    const Page& page = pages_[static_cast<size_t>(p)];
    if (page.full) continue;
    if (page.bits == nullptr) return false;
    int64_t from = std::max(begin - p * kPage, int64_t{0}), to = std::min(end - p * kPage, kPage);
    for (int64_t w = from / 64; w * 64 < to; ++w) {
      uint64_t wanted = word_bits(w, from, to);
      if ((page.bits[static_cast<size_t>(w)] & wanted) != wanted) return false;
    }
  }
  return true;
}

void PagedSet::insert(int64_t begin, int64_t end) {
  for (int64_t p = begin / kPage; p * kPage < end; ++p) {
    Page& page = pages_[static_cast<size_t>(p)];
    if (page.full) continue;
    int64_t from = std::max(begin - p * kPage, int64_t{0}), to = std::min(end - p * kPage, kPage);
    if (page.bits == nullptr && to - from < kPage) page.bits = std::make_unique<uint64_t[]>(kPage / 64);
    if (page.bits != nullptr) {
      for (int64_t w = from / 64; w * 64 < to; ++w) {
        uint64_t& word = page.bits[static_cast<size_t>(w)];
        uint64_t added = word_bits(w, from, to) & ~word;
        word |= added;
        page.held += std::popcount(added);
      }
    }
    page.full = page.bits == nullptr || page.held == kPage;
    if (page.full) page.bits.reset();
  }
}

}  // namespace presil::chip
