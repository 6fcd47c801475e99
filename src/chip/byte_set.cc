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
    : words_((bytes_per_partition + 63) / 64),
      masks_(size_t{(partitions + kGroup - 1) / kGroup} * words_),
      bytes_(size_t{partitions} * words_) {}

// Is everything from the first to the last byte of the shape there? The usual case, and quickly answered.
bool PartitionedSet::surely_contains(const Shape& shape, int64_t begin) const {
  const auto first_word = static_cast<size_t>(begin / 64);
  const auto last_word = static_cast<size_t>((begin + shape.extent() - 1) / 64);
  const uint32_t end = uint32_t{shape.partition} + shape.partitions;
  for (uint32_t first = shape.partition / kGroup * kGroup; first < end; first += kGroup) {
    const uint32_t partitions = partitions_in_group(shape, first);
    uint32_t full = partitions;
    for (size_t w = first_word; w <= last_word; ++w) full &= masks_[first / kGroup * words_ + w].full;
    if (full != partitions) return false;
  }
  return true;
}

// The shape's partitions among the 32 from `first`, as bits.
uint32_t PartitionedSet::partitions_in_group(const Shape& shape, uint32_t first) {
  const uint32_t end = uint32_t{shape.partition} + shape.partitions;
  const uint32_t low = std::max<uint32_t>(shape.partition, first) - first, high = std::min(end - first, kGroup);
  return static_cast<uint32_t>(((uint64_t{1} << high) - 1) & ~((uint64_t{1} << low) - 1));
}

void PartitionedSet::mark(const Shape& shape, int64_t begin) {
  first_word_ = static_cast<size_t>(begin / 64);
  const auto last_word = static_cast<size_t>((begin + shape.extent() - 1) / 64);
  if (shape.dense()) {
    marked_.assign(last_word - first_word_ + 1, kAll);
    marked_.front() = word_bits(static_cast<int64_t>(first_word_), begin, begin + shape.run);
    marked_.back() = word_bits(static_cast<int64_t>(last_word), begin, begin + shape.run);
    return;
  }
  marked_.assign(last_word - first_word_ + 1, 0);
  for_each_run(shape, begin, [&](int64_t from, int64_t to) {
    for (int64_t w = from / 64; w * 64 < to; ++w) {
      marked_[static_cast<size_t>(w) - first_word_] |= word_bits(w, from, to);
    }
  });
}

// Stops with true as soon as f is true for a word of a group: f(bits, partitions, first partition of the group, word,
// its masks).
template <class F>
bool PartitionedSet::each_word(const Shape& shape, int64_t begin, F&& f) {
  mark(shape, begin);
  const uint32_t end = uint32_t{shape.partition} + shape.partitions;
  for (uint32_t first = shape.partition / kGroup * kGroup; first < end; first += kGroup) {
    const uint32_t partitions = partitions_in_group(shape, first);
    Masks* masks = masks_.data() + first / kGroup * words_ + first_word_;
    for (size_t w = 0; w < marked_.size(); ++w) {
      if (marked_[w] != 0 && f(marked_[w], partitions, first, first_word_ + w, masks[w])) return true;
    }
  }
  return false;
}

template <class F>
void for_each_bit(uint32_t mask, F&& f) {
  for (; mask != 0; mask &= mask - 1) f(static_cast<uint32_t>(std::countr_zero(mask)));
}

bool PartitionedSet::contains(const Shape& shape, int64_t begin) {
  if (surely_contains(shape, begin)) return true;
  return !each_word(shape, begin, [&](uint64_t bits, uint32_t partitions, uint32_t first, size_t word, Masks& m) {
    bool missing = (partitions & ~m.used) != 0;
    for_each_bit(partitions & m.used & ~m.full,
                 [&](uint32_t p) { missing |= (bytes(first + p, word) & bits) != bits; });
    return missing;
  });
}

bool PartitionedSet::touches(const Shape& shape, int64_t begin) {
  return each_word(shape, begin, [&](uint64_t bits, uint32_t partitions, uint32_t first, size_t word, Masks& m) {
    bool any = (partitions & m.full) != 0;
    for_each_bit(partitions & m.used & ~m.full, [&](uint32_t p) { any |= (bytes(first + p, word) & bits) != 0; });
    return any;
  });
}

void PartitionedSet::insert(const Shape& shape, int64_t begin) {
  never_used_ = false;
  if (surely_contains(shape, begin)) return;
  each_word(shape, begin, [&](uint64_t bits, uint32_t partitions, uint32_t first, size_t word, Masks& m) {
    if (bits == kAll) m.full |= partitions;
    for_each_bit(partitions & ~m.full, [&](uint32_t p) {
      uint64_t& held = bytes(first + p, word);
      held = (m.used >> p & 1 ? held : 0) | bits;
      if (held == kAll) m.full |= 1u << p;
    });
    m.used |= partitions;
    return false;
  });
}

void PartitionedSet::erase(const Shape& shape, int64_t begin) {
  each_word(shape, begin, [&](uint64_t bits, uint32_t partitions, uint32_t first, size_t word, Masks& m) {
    if (bits == kAll) m.used &= ~partitions;
    for_each_bit(partitions & m.used, [&](uint32_t p) {
      uint64_t& held = bytes(first + p, word);
      held = (m.full >> p & 1 ? kAll : held) & ~bits;
      if (held == 0) m.used &= ~(1u << p);
    });
    m.full &= ~partitions;
    return false;
  });
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

void PagedSet::erase(int64_t begin, int64_t end) {
  for (int64_t p = begin / kPage; p * kPage < end; ++p) {
    Page& page = pages_[static_cast<size_t>(p)];
    int64_t from = std::max(begin - p * kPage, int64_t{0}), to = std::min(end - p * kPage, kPage);
    if (to - from == kPage) {
      page = {};
      continue;
    }
    if (page.full) {
      page.bits = std::make_unique<uint64_t[]>(kPage / 64);
      std::fill_n(page.bits.get(), kPage / 64, ~uint64_t{0});
      page.full = false, page.held = kPage;
    }
    if (page.bits == nullptr) continue;
    for (int64_t w = from / 64; w * 64 < to; ++w) {
      uint64_t& word = page.bits[static_cast<size_t>(w)];
      uint64_t gone = word_bits(w, from, to) & word;
      word &= ~gone;
      page.held -= std::popcount(gone);
    }
  }
}

}  // namespace presil::chip
