// How far the times of a chip can be trusted: whether its numbers are those of a validated suite, and how wrong that
// was.
#pragma once
#include <string>

#include "spec/chip_spec.h"

namespace presil::report {

struct Confidence {
  std::string level = "assumed";  // "derived": the chip's numbers are those that a suite validates
  std::string suite;              // empty when assumed
  double mean_abs_error = 0;      // of the suite, beyond its reading errors
};

Confidence confidence_in(const spec::ChipSpec& chip);

}  // namespace presil::report
