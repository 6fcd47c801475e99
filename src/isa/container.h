// The outside of a .presil file: magic, version, hashes, a table of sections with sizes and checksums, then the
// sections, each compressed. Private to this room; docs/reference/isa.md describes the layout.
#pragma once
#include <string>
#include <vector>

#include "isa/pack.h"

namespace presil::isa {

enum class SectionKind : uint32_t { summary = 1, queue = 2, constant = 3 };

struct Section {
  SectionKind kind = SectionKind::summary;
  Bytes bytes;  // uncompressed
};

struct Container {
  uint64_t table_hash = 0;
  uint64_t spec_hash = 0;
  std::vector<Section> sections;
};

Bytes write_container(const Container& container);
// Errors: not such a file, a later version, truncated, trailing bytes, a checksum that differs, absurd sizes, an
// instruction table other than `table_hash`.
Result<Container> read_container(std::span<const std::byte> file, uint64_t table_hash);

}  // namespace presil::isa
