// Chip files: load, print, describe. Bundled chips (specs/chips/*.toml) are part of the binary.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "spec/chip_spec.h"

namespace presil::spec {

// A bundled chip by name ("trn2"), or a file by path. Errors name file:line, what was found and expected.
Result<ChipSpec> load_chip(const std::string& name_or_path);

// The text of a chip file; `where` names it in messages. `extends` may name a bundled chip, or a file relative to
// `where`'s folder.
Result<ChipSpec> parse_chip(std::string_view toml, const std::string& where);

std::vector<std::string> chip_names();  // bundled, sorted

// All resolved values as a chip file; parse_chip(print_toml(s)) == s.
std::string print_toml(const ChipSpec& spec);

// docs/reference/chip.md: every key with unit, range and meaning.
std::string reference_markdown();

}  // namespace presil::spec
