#include "isa/container.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "isa/encode.h"

namespace presil::isa {
namespace {

// Not text, so that tools leave it alone; the line end shows a transfer that changes line ends.
constexpr std::string_view kMagic = "\x89PRESIL\n";
constexpr size_t kHeaderBytes = 32;  // magic, version, number of sections, table hash, spec hash
constexpr size_t kEntryBytes = 32;   // kind, 0, stored bytes, raw bytes, checksum of the stored ones
constexpr size_t kSectionsMax = 1 << 20;

struct Entry {
  uint32_t kind = 0, reserved = 0;
  uint64_t stored_bytes = 0, raw_bytes = 0, checksum = 0;
};

void put(Bytes& out, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}
uint64_t get(std::span<const std::byte> in, size_t at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= std::to_integer<uint64_t>(in[at + i]) << (8 * i);
  return value;
}

uint64_t ratio_max(SectionKind kind) { return kind == SectionKind::constant ? kDataRatioMax : kCodeRatioMax; }

std::string section_name(size_t index, uint32_t kind) {
  constexpr std::string_view names[] = {"summary", "queue", "constant"};
  return fmt::format("section {} ({})", index, kind >= 1 && kind <= 3 ? names[kind - 1] : "unknown");
}

Error truncated(uint64_t expected, size_t found) {
  return bad_input(fmt::format("file is truncated: {} bytes, expected {}", found, expected));
}

Result<void> check_header(std::span<const std::byte> file, uint64_t table_hash) {
  if (file.size() < kMagic.size() || std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0) {
    return bad_input("not a presil executable: it does not begin with the magic bytes");
  }
  if (file.size() < kHeaderBytes) return truncated(kHeaderBytes, file.size());
  uint64_t version = get(file, 8, 4);
  if (version != kFormatVersion) {
    return bad_input(fmt::format("file is version {}, this presil reads {}", version, kFormatVersion), {},
                     "compile the model again");
  }
  if (get(file, 12, 4) > kSectionsMax) {
    return bad_input(fmt::format("{} sections, at most {}", get(file, 12, 4), kSectionsMax));
  }
  if (get(file, 16, 8) != table_hash) {
    return bad_input(fmt::format("file was written for instruction table {}, this presil has {}",
                                 hash_name(get(file, 16, 8)), hash_name(table_hash)),
                     {}, "compile the model again");
  }
  return {};
}

Result<std::vector<Entry>> read_entries(std::span<const std::byte> file) {
  size_t count = get(file, 12, 4), end = kHeaderBytes + count * kEntryBytes;
  if (file.size() < end + 8) return truncated(end + 8, file.size());
  if (hash_bytes(file.first(end)) != get(file, end, 8))
    return bad_input("the header's checksum differs; file is damaged");
  std::vector<Entry> entries;
  unsigned __int128 total = end + 8;
  for (size_t at = kHeaderBytes; at < end; at += kEntryBytes) {
    entries.push_back({static_cast<uint32_t>(get(file, at, 4)), static_cast<uint32_t>(get(file, at + 4, 4)),
                       get(file, at + 8, 8), get(file, at + 16, 8), get(file, at + 24, 8)});
    total += entries.back().stored_bytes;
  }
  if (total > file.size())
    return truncated(static_cast<uint64_t>(std::min<unsigned __int128>(total, UINT64_MAX)), file.size());
  if (total < file.size()) {
    return bad_input(fmt::format("{} bytes follow the last section", file.size() - static_cast<uint64_t>(total)));
  }
  return entries;
}

Result<Section> read_section(std::span<const std::byte> stored, const Entry& entry, size_t index) {
  auto kind = static_cast<SectionKind>(entry.kind);
  auto fail = [&](std::string_view message) {
    return bad_input(fmt::format("{}: {}", section_name(index, entry.kind), message));
  };
  if (entry.kind < 1 || entry.kind > 3 || entry.reserved != 0)
    return fail(fmt::format("kind {}, {}", entry.kind, entry.reserved));
  if (hash_bytes(stored) != entry.checksum) return fail("its checksum differs; file is damaged");
  Result<Bytes> raw = unpacked(stored, entry.raw_bytes, ratio_max(kind));
  if (!raw) return fail(raw.error().message);
  return Section{kind, *std::move(raw)};
}

}  // namespace

Bytes write_container(const Container& container) {
  std::vector<Bytes> stored;
  for (const Section& s : container.sections) stored.push_back(packed(s.bytes, ratio_max(s.kind)));
  Bytes out;
  for (char c : kMagic) out.push_back(static_cast<std::byte>(c));
  put(out, kFormatVersion, 4);
  put(out, container.sections.size(), 4);
  put(out, container.table_hash, 8);
  put(out, container.spec_hash, 8);
  for (size_t i = 0; i < stored.size(); ++i) {
    put(out, static_cast<uint32_t>(container.sections[i].kind), 8);
    put(out, stored[i].size(), 8);
    put(out, container.sections[i].bytes.size(), 8);
    put(out, hash_bytes(stored[i]), 8);
  }
  put(out, hash_bytes(out), 8);
  for (const Bytes& s : stored) out.insert(out.end(), s.begin(), s.end());
  return out;
}

Result<Container> read_container(std::span<const std::byte> file, uint64_t table_hash) {
  TRY(check_header(file, table_hash));
  std::vector<Entry> entries = TRY(read_entries(file));
  Container out{table_hash, get(file, 24, 8), {}};
  size_t at = kHeaderBytes + entries.size() * kEntryBytes + 8;
  for (size_t i = 0; i < entries.size(); ++i) {
    out.sections.push_back(TRY(read_section(file.subspan(at, entries[i].stored_bytes), entries[i], i)));
    at += entries[i].stored_bytes;
  }
  return out;
}

}  // namespace presil::isa
