#include "isa/pack.h"

#include <fmt/format.h>
#include <zstd.h>

#include <array>

namespace presil::isa {
namespace {

constexpr int kLevel = 3;
constexpr size_t kSkippableHeader = 8;  // magic and size, RFC 8878 section 3.1.2
constexpr uint32_t kSkippableMagic = 0x184d2a50;

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr auto kValues = [] {
  std::array<int8_t, 256> values{};
  for (int8_t& v : values) v = -1;
  for (size_t i = 0; i < kDigits.size(); ++i) values[static_cast<uint8_t>(kDigits[i])] = static_cast<int8_t>(i);
  return values;
}();

void put_u32(Bytes& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::byte>(value >> shift));
}

void fill_up(Bytes& out, size_t size) {
  size_t missing = size - out.size();
  put_u32(out, kSkippableMagic);
  size_t padding = missing > kSkippableHeader ? missing - kSkippableHeader : 0;
  put_u32(out, static_cast<uint32_t>(padding));
  out.resize(out.size() + padding);
}

}  // namespace

Bytes packed(std::span<const std::byte> bytes, uint64_t ratio_max) {
  Bytes out(ZSTD_compressBound(bytes.size()));
  size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), kLevel);
  CHECK(!ZSTD_isError(size), ZSTD_getErrorName(size));
  out.resize(size);
  size_t least = (bytes.size() + ratio_max - 1) / ratio_max;
  if (out.size() < least) fill_up(out, least);
  return out;
}

Result<Bytes> unpacked(std::span<const std::byte> stored, uint64_t claimed_bytes, uint64_t ratio_max) {
  unsigned long long frame = ZSTD_getFrameContentSize(stored.data(), stored.size());
  if (frame == ZSTD_CONTENTSIZE_ERROR || frame == ZSTD_CONTENTSIZE_UNKNOWN) {
    return bad_input("compressed data does not begin with a zstd frame of known size");
  }
  if (frame != claimed_bytes) {
    return bad_input(fmt::format("compressed data holds {} bytes, expected {}", frame, claimed_bytes));
  }
  if (claimed_bytes / ratio_max > stored.size()) {
    return bad_input(fmt::format("{} compressed bytes claim to hold {}, at most {} times as many", stored.size(),
                                 claimed_bytes, ratio_max));
  }
  Bytes out(claimed_bytes);
  size_t size = ZSTD_decompress(out.data(), out.size(), stored.data(), stored.size());
  if (ZSTD_isError(size)) return bad_input(fmt::format("compressed data is damaged: {}", ZSTD_getErrorName(size)));
  if (size != claimed_bytes) {
    return bad_input(fmt::format("compressed data holds {} bytes, expected {}", size, claimed_bytes));
  }
  return out;
}

std::string base64(std::span<const std::byte> bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    size_t have = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < have ? std::to_integer<uint32_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) out += k <= have ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

Result<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return bad_input(fmt::format("{} base64 digits, expected a multiple of 4", text.size()));
  Bytes out;
  out.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    bool last = i + 4 == text.size();
    size_t padding = last ? (text[i + 3] == '=') + (text[i + 3] == '=' && text[i + 2] == '=') : 0;
    uint32_t group = 0;
    for (size_t k = 0; k < 4; ++k) {
      int8_t value = k >= 4 - padding ? 0 : kValues[static_cast<uint8_t>(text[i + k])];
      if (value < 0) return bad_input(fmt::format("'{}' is no base64 digit", text[i + k]));
      group = group << 6 | static_cast<uint32_t>(value);
    }
    for (size_t k = 0; k < 3 - padding; ++k) out.push_back(static_cast<std::byte>(group >> (16 - 8 * k)));
  }
  return out;
}

}  // namespace presil::isa
