// The parsers of the text form on arbitrary text. What parses must print to a text that parses to the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "isa/parse.h"
#include "isa/print.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (presil::Result<presil::isa::Program> p = presil::isa::parse_program(text)) {
    CHECK(presil::isa::parse_program(presil::isa::print(*p)).value() == *p, "a parsed program comes back");
  }
  if (presil::Result<presil::isa::Executable> e = presil::isa::parse_executable(text)) {
    CHECK(presil::isa::parse_executable(presil::isa::print(*e)).value() == *e, "a parsed executable comes back");
  }
  return 0;
}
