// The fields of a ChipSpec, each declared once: key, unit, legal range, meaning. Parser, validation, printer and the
// reference page walk this table. To add a field: a member in chip_spec.h, a row in fields.cc, a line in specs/chips.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "spec/chip_spec.h"
#include "spec/quantity.h"

namespace presil::spec {

struct Field {
  std::string_view section;  // TOML table; empty: top level
  std::string_view key;
  Unit unit = Unit::count;
  uint64_t least = 0, most = 0;  // inclusive
  std::string_view doc;
  uint64_t (*get)(const ChipSpec&) = nullptr;  // null: a list of memory names, see `names`
  void (*set)(ChipSpec&, uint64_t) = nullptr;
  std::vector<std::string>& (*names)(ChipSpec&) = nullptr;

  bool is_names() const { return names != nullptr; }
  std::string path() const {
    return section.empty() ? std::string(key) : std::string(section) + "." + std::string(key);
  }
};

std::span<const Field> chip_fields();            // in the order of the printed file; sections are contiguous
const Field* find_field(std::string_view path);  // "dma.descriptor"; null: no such field
std::string value_text(const Field& field, const ChipSpec& spec);  // as in a chip file: "\"2.4 GHz\"", "128"
std::vector<std::string> section_names();                          // in that order, without the top level

// What is wrong with the values together; ranges are checked before. `paths`: the keys involved, likeliest first.
struct Finding {
  std::vector<std::string> paths;
  std::string message;
};
std::vector<Finding> check_geometry(const ChipSpec& spec);

}  // namespace presil::spec
