// Reads the text form of programs (print.h). Errors: file and line, what was found, what was expected, the nearest
// name. What is read has a sound structure; whether it keeps a chip's rules, rules.h says.
#pragma once
#include <string_view>

#include "base/result.h"
#include "isa/executable.h"

namespace presil::isa {

// `file` is for messages only.
Result<Program> parse_program(std::string_view text, std::string_view file = "text");
Result<Executable> parse_executable(std::string_view text, std::string_view file = "text");

}  // namespace presil::isa
