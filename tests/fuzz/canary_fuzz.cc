// Fails on purpose as soon as the input begins with "dead": proves that ./dev fuzz can find something and says so.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  CHECK(!std::string_view(reinterpret_cast<const char*>(data), size).starts_with("dead"), "the canary sings");
  return 0;
}
