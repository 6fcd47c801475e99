// A run that is recorded: its events, and what lay in SBUF and PSUM.
#pragma once
#include "system/run.h"

namespace presil::system {

// run(), with all events and About::memories in `trace`. The rest of About is for those who know more (report/about.h).
Result<RunResult> record(const isa::Executable& executable, const spec::ChipSpec& spec, Options options,
                         const std::vector<Input>& inputs, trace::Trace& trace);

}  // namespace presil::system
