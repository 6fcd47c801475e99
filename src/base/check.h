// CHECK(condition, "why"): a broken invariant of our own. On in every build; prints the place and aborts.
#pragma once
#include <string_view>

namespace presil {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, std::string_view why);
}

#define CHECK(condition, why)                                        \
  do {                                                               \
    if (!(condition)) [[unlikely]]                                   \
      ::presil::check_failed(__FILE__, __LINE__, #condition, (why)); \
  } while (false)
