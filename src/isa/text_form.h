// What print.cc and parse.cc agree on; private to this room.
#pragma once
#include "isa/view.h"

namespace presil::isa {

inline constexpr uint32_t kTextVersion = 1;

// The step of dimension d at which it continues the inner ones without a gap; a text omits it.
inline int64_t natural_step(const View& view, size_t d) {
  int64_t step = 1;
  for (size_t inner = d + 1; inner < view.rank; ++inner) {
    // Past int32 no step can be equal; stop before the product overflows.
    if (step <= INT32_MAX) step *= view.dims[inner].count;
  }
  return step;
}

}  // namespace presil::isa
