// The fingerprint of a run: a chain of XXH3 over blocks of (lane, instruction, start, end).
#pragma once
#include <array>
#include <cstring>

#include "base/hash.h"
#include "trace/trace.h"

namespace presil::chip {

class TraceHash {
 public:
  void add(const trace::Event& e) {
    std::array<uint64_t, 3> words{(uint64_t{e.lane} << 32) | e.instruction, static_cast<uint64_t>(e.start),
                                  static_cast<uint64_t>(e.end)};
    std::memcpy(block_.data() + used_, words.data(), sizeof words);
    used_ += sizeof words;
    if (used_ == block_.size()) fold();
  }
  uint64_t value() {
    if (used_ > 0) fold();
    return hash_;
  }

 private:
  void fold() {
    hash_ = hash_bytes({block_.data(), used_}, hash_);
    used_ = 0;
  }

  std::array<std::byte, 24 * 170> block_;
  size_t used_ = 0;
  uint64_t hash_ = 0;
};

}  // namespace presil::chip
