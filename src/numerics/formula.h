// A formula of one variable, "x * sigmoid(1.702 * x)", as users write it: numbers, x, pi, e, + - * / ^, parentheses and
// the functions of formula_functions().
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace presil::numerics {

// In double (real_functions.h). Error: the place, what was found, what was expected, the nearest function.
Result<std::function<double(double)>> parse_formula(std::string_view text);
std::vector<std::string> formula_functions();

}  // namespace presil::numerics
