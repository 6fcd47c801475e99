// The report of one run: headline, engines, critical path, layers.
#pragma once
#include "isa/executable.h"
#include "report/document.h"
#include "report/summary.h"
#include "trace/trace.h"

namespace presil::report {

Document run_document(const isa::Executable& executable, const Summary& summary, const trace::Trace& trace);

}  // namespace presil::report
