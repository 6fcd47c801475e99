// Everything derived from the field table except the parser: printer, hash, reference page.
#include <fmt/format.h>

#include "base/hash.h"
#include "spec/chip_file.h"
#include "spec/fields.h"

namespace presil::spec {
namespace {

std::string names_text(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& n : names) out += fmt::format("{}\"{}\"", out.empty() ? "" : ", ", n);
  return "[" + out + "]";
}

std::string body(const ChipSpec& spec) {
  std::string out;
  std::string_view section;
  for (const Field& f : chip_fields()) {
    if (f.section != section) out += fmt::format("\n[{}]\n", section = f.section);
    out += fmt::format("{} = {}\n", f.key, value_text(f, spec));
  }
  return out;
}

std::string range_text(const Field& f) {
  if (f.is_names()) return "sbuf, psum, hbm";
  return fmt::format("{} .. {}", print_quantity(f.least, f.unit), print_quantity(f.most, f.unit));
}

}  // namespace

std::string value_text(const Field& f, const ChipSpec& spec) {
  if (f.is_names()) {
    ChipSpec copy = spec;
    return names_text(f.names(copy));
  }
  const std::string text = print_quantity(f.get(spec), f.unit);
  return has_unit_text(f.unit) ? "\"" + text + "\"" : text;
}

std::string print_toml(const ChipSpec& spec) { return fmt::format("name = \"{}\"\n", spec.name) + body(spec); }

uint64_t spec_hash(const ChipSpec& spec) { return hash_text(body(spec)); }

std::string reference_markdown() {
  std::string out =
      "# Chip files\n\n"
      "A chip is a TOML file. Quantities are texts with units (`\"2.4 GHz\"`, `\"24 MiB\"`, `\"23 GB/s\"`, `\"739 "
      "ns\"`,\n"
      "`\"90 %\"`); counts and cycles are plain integers. `extends = \"trn2\"` (a bundled chip, or a file relative to "
      "this\n"
      "one) takes every value from there; what follows overrides. Without `extends` every key is required.\n\n"
      "Top level: `name` and `extends` are texts.\n";
  std::string_view section = "-";
  for (const Field& f : chip_fields()) {
    if (f.section != section) {
      section = f.section;
      if (!section.empty()) out += fmt::format("\n## [{}]\n", section);
      out += "\n| key | example | range | meaning |\n|---|---|---|---|\n";
    }
    const std::string example = f.is_names() ? "[\"sbuf\"]" : std::string(unit_example(f.unit));
    out += fmt::format("| `{}` | `{}` | {} | {} |\n", f.key, example, range_text(f), f.doc);
  }
  return out;
}

}  // namespace presil::spec
