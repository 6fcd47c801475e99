// The report of one run: headline, engines, layers, memory.
#pragma once
#include "isa/executable.h"
#include "report/document.h"
#include "report/summary.h"

namespace presil::report {

Document run_document(const isa::Executable& executable, const Summary& summary);

}  // namespace presil::report
