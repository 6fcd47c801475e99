// Runs an Executable on one core of a chip: in time, and with data also in bits.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chip/core.h"
#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "trace/trace.h"

namespace presil::system {

struct Options {
  bool contention = true;  // false: transfers of different queues do not slow each other (for laws)
  Time time_limit = kTimeMax;
  uint64_t event_limit = UINT64_MAX;
};

struct RunResult {
  chip::Outcome outcome;
  Time elapsed = 0;         // from the first instruction to the end of the last instruction or transfer
  uint64_t trace_hash = 0;  // of all events in time; the same with and without a trace, data or threads
  chip::Counters counters;
};

// Errors: an Executable that does not hold together for this chip. What goes wrong inside the machine is
// an Outcome.
Result<RunResult> run(const isa::Executable& executable, const spec::ChipSpec& spec, const Options& options = {},
                      trace::Sink* sink = nullptr);

}  // namespace presil::system
