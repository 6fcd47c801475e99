// Numbers and texts as bytes: little-endian base-128 numbers, signed ones zigzag. Private to this room.
#pragma once
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

#include "isa/pack.h"

namespace presil::isa {

class ByteWriter {
 public:
  void number(uint64_t value);
  void signed_number(int64_t value) {
    number((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
  }
  void text(std::string_view text);
  Bytes take() && { return std::move(out_); }

 private:
  Bytes out_;
};

// Reads what ByteWriter wrote. After the first failure everything reads as zero, and error() says what was wrong.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  // A number that fits the type and is below `limit` (0: any).
  template <class Integer>
  Integer number(std::string_view what, uint64_t limit = 0);
  int64_t signed_number(std::string_view what);
  // How many elements follow; each takes at least a byte, so that a claim cannot exceed what is there.
  size_t count(std::string_view what);
  std::string text(std::string_view what);

  bool failed() const { return !error_.empty(); }
  void fail(std::string message);
  void expect_end();
  const std::string& error() const { return error_; }

 private:
  uint64_t any_number(std::string_view what);

  std::span<const std::byte> bytes_;
  size_t at_ = 0;
  std::string error_;
};

template <class Integer>
Integer ByteReader::number(std::string_view what, uint64_t limit) {
  uint64_t value = any_number(what);
  uint64_t most = limit > 0 ? limit - 1 : static_cast<uint64_t>(std::numeric_limits<Integer>::max());
  if (value <= most) return static_cast<Integer>(value);
  fail(std::string(what) + " " + std::to_string(value) + ", at most " + std::to_string(most));
  return {};
}

}  // namespace presil::isa
