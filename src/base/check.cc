#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace presil {

void check_failed(const char* file, int line, const char* condition, std::string_view why) {
  std::fprintf(stderr, "%s:%d: internal error: %s does not hold: %.*s\n", file, line, condition,
               static_cast<int>(why.size()), why.data());
  std::abort();
}

}  // namespace presil
