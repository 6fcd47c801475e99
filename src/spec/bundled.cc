#include "spec/bundled.h"

#include <algorithm>

namespace presil::spec {

const BundledChip* find_bundled(std::string_view name) {
  const auto all = bundled_chips();
  const auto it = std::find_if(all.begin(), all.end(), [&](const BundledChip& c) { return c.name == name; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace presil::spec
