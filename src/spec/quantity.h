// Quantities with units: "2.4 GHz", "24 MiB", "23 GB/s", "739 ns", "90 %". Exact: a text is a decimal number times a
// power of ten or two, and must come out whole in the base unit.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace presil::spec {

// What a value counts. Base units: hertz, bytes, bytes per second, femtoseconds, percent. Counts and cycles are plain
// integers, without a unit in the text.
enum class Unit : uint8_t { count, cycles, percent, hertz, bytes, bytes_per_second, duration };

bool has_unit_text(Unit unit);             // false for counts and cycles
std::string_view unit_meaning(Unit unit);  // "a frequency"
std::string_view unit_example(Unit unit);  // "\"2.4 GHz\""

// The value in base units. Errors say what was found and expected; the caller adds the place.
Result<uint64_t> parse_quantity(std::string_view text, Unit unit);

// The largest unit that keeps the number short, always exact: parse_quantity(print_quantity(v, u), u) == v.
std::string print_quantity(uint64_t value, Unit unit);

}  // namespace presil::spec
