// The fingerprint of a run: a chain of XXH3 over blocks of (lane, instruction, start, end).
#pragma once
#include <array>

#include "base/hash.h"
#include "base/time.h"

namespace presil::chip {

class TraceHash {
 public:
  void add(uint32_t lane, uint32_t instruction, Time start, Time end) {
    uint64_t* at = block_.data() + used_;
    at[0] = (uint64_t{lane} << 32) | instruction, at[1] = static_cast<uint64_t>(start),
    at[2] = static_cast<uint64_t>(end);
    used_ += 3;
    if (used_ == block_.size()) fold();
  }
  uint64_t value() {
    if (used_ > 0) fold();
    return hash_;
  }

 private:
  void fold() {
    hash_ = hash_bytes(std::as_bytes(std::span(block_).first(used_)), hash_);
    used_ = 0;
  }

  std::array<uint64_t, 3 * 170> block_;
  size_t used_ = 0;
  uint64_t hash_ = 0;
};

}  // namespace presil::chip
