// The report of a run as one HTML page that needs nothing else: its style and script (page/, bundled when presil is
// built), the run in numbers as JSON, and all events (packed.h). The page computes nothing that is not said here.
#pragma once
#include <string>

#include "trace/trace.h"

namespace presil::report {

std::string print_page(const trace::Trace& trace);

}  // namespace presil::report
