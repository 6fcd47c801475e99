// decode() on arbitrary files. Checksums would stop nearly every mutation at the door, so the input is read twice: as a
// file, and as the sections of one, sealed properly. Whatever decodes must come back from encode().
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "isa/container.h"
#include "isa/encode.h"

namespace {

using presil::isa::Bytes;

void check_file(std::span<const std::byte> file) {
  presil::Result<presil::isa::Executable> e = presil::isa::decode(file);
  if (!e) return;
  CHECK(presil::isa::decode(presil::isa::encode(*e).value()).value() == *e, "a decoded file comes back");
}

// Each section: its kind, its size in two bytes, its bytes.
presil::isa::Container sections_of(std::span<const std::byte> input) {
  presil::isa::Container c{presil::isa::table_hash(), 0, {}};
  while (input.size() >= 3) {
    auto kind = static_cast<presil::isa::SectionKind>(std::to_integer<unsigned>(input[0]) % 4);
    size_t size = std::to_integer<size_t>(input[1]) | std::to_integer<size_t>(input[2]) << 8;
    input = input.subspan(3);
    std::span<const std::byte> bytes = input.first(std::min(size, input.size()));
    c.sections.push_back({kind, Bytes(bytes.begin(), bytes.end())});
    input = input.subspan(bytes.size());
  }
  return c;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::span<const std::byte> input(reinterpret_cast<const std::byte*>(data), size);
  check_file(input);
  check_file(presil::isa::write_container(sections_of(input)));
  return 0;
}
