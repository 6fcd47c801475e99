#include "isa/byte_stream.h"

#include <fmt/format.h>

namespace presil::isa {

void ByteWriter::number(uint64_t value) {
  for (; value >= 128; value >>= 7) out_.push_back(static_cast<std::byte>(value | 128));
  out_.push_back(static_cast<std::byte>(value));
}

void ByteWriter::text(std::string_view text) {
  number(text.size());
  std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}

void ByteReader::fail(std::string message) {
  if (failed()) return;
  error_ = fmt::format("byte {}: {}", at_, message);
  at_ = bytes_.size();
}

uint64_t ByteReader::any_number(std::string_view what) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (at_ == bytes_.size()) {
      fail(fmt::format("the end, expected {}", what));
      return 0;
    }
    uint64_t digit = std::to_integer<uint64_t>(bytes_[at_++]);
    if (shift == 63 && digit > 1) break;
    value |= (digit & 127) << shift;
    if (digit < 128) return value;
  }
  fail(fmt::format("{} of more than 64 bits", what));
  return 0;
}

int64_t ByteReader::signed_number(std::string_view what) {
  uint64_t value = any_number(what);
  return static_cast<int64_t>((value >> 1) ^ (0 - (value & 1)));
}

size_t ByteReader::count(std::string_view what) {
  uint64_t value = any_number(what);
  if (value <= bytes_.size() - at_) return value;
  fail(fmt::format("{} {}, {} bytes are left", value, what, bytes_.size() - at_));
  return 0;
}

std::string ByteReader::text(std::string_view what) {
  size_t size = count(what);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(bytes_[at_++]);
  return out;
}

void ByteReader::expect_end() {
  if (at_ != bytes_.size()) fail(fmt::format("{} bytes too many", bytes_.size() - at_));
}

}  // namespace presil::isa
