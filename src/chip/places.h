// What an instruction touches, as boxes around its operands.
#pragma once
#include "chip/execute.h"
#include "chip/scoreboard.h"

namespace presil::chip {

Boxes boxes_of(const Bound& bound);

}  // namespace presil::chip
