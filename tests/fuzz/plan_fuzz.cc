// The plan parser on arbitrary text. What parses must print to a text that parses to the same.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "compiler/plan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace presil;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Result<compiler::Plan> plan = compiler::parse_plan(text);
  if (!plan) {
    CHECK(!plan.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  CHECK(compiler::parse_plan(compiler::print(*plan)).value() == *plan, "a parsed plan comes back");
  return 0;
}
