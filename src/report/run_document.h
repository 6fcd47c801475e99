// The report of one run as plain text: headline, what to change, engines, critical path, layers. The page (page.h) says
// the same and more.
#pragma once
#include "report/document.h"
#include "trace/trace.h"

namespace presil::report {

Document run_document(const trace::Trace& trace);

}  // namespace presil::report
