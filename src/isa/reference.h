// The instruction table for readers: docs/reference/isa.md and `presil ops --isa --json`.
#pragma once
#include <string>

namespace presil::isa {

std::string reference_markdown();

// [{"name", "summary", "engines": [], "generation", "operands": [{"name", "access", "memories": [], "optional"}],
//   "attributes": [{"name", "kind", "initial"}]}]
std::string isa_json();

}  // namespace presil::isa
