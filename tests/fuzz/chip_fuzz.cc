// The chip file parser on arbitrary text. What parses must print to a file that parses to the same chip. `extends` may
// only name bundled chips here: the fuzzer reads no files.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "spec/chip_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (presil::Result<presil::spec::ChipSpec> chip = presil::spec::parse_chip(text, "/nowhere/fuzz.toml")) {
    CHECK(presil::spec::parse_chip(presil::spec::print_toml(*chip), "printed.toml").value() == *chip,
          "a printed chip comes back");
  }
  return 0;
}
