// The parser of the graph's text form on arbitrary text: a sound graph or an error. What parses prints to a text that
// parses to the same; simplifying keeps it sound.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "graph/simplify.h"
#include "graph/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace presil;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Result<graph::Graph> parsed = graph::parse(text);
  if (!parsed) {
    CHECK(!parsed.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  const std::string printed = graph::print(*parsed);
  CHECK(graph::print(graph::parse(printed).value()) == printed, "a parsed graph comes back");
  Result<graph::Graph> simplified = graph::simplify(*std::move(parsed));
  if (simplified) CHECK(graph::verify(*simplified).empty(), "a simplified graph is sound");
  return 0;
}
