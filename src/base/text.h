// Text for messages: nearest valid name, quantities with units.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace presil {

// The candidate with the smallest edit distance to `name` if it is close enough to be meant; empty otherwise.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);
// "did you mean 'x'?" or empty.
std::string nearest_hint(std::string_view name, std::span<const std::string> candidates);

std::string count_text(uint64_t count, std::string_view noun);  // "1 finding", "2 findings"

std::string bytes_text(uint64_t bytes);    // "1.50 MiB"
std::string seconds_text(double seconds);  // "12.3 us"

}  // namespace presil
