#include "isa/executable.h"

namespace presil::isa {

std::string_view role_name(TensorRole r) {
  constexpr std::string_view names[] = {"input", "output", "constant", "scratch"};
  return names[static_cast<size_t>(r)];
}

}  // namespace presil::isa
