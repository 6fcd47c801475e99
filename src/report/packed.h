// The long part of a report's page: all events and what explains them, as text that a page can carry. Base64 of gzip of
// a stream that page/packed.ts reads:
//   JSON's length in bytes (32 bits, little endian) and JSON (PackedTables there), then numbers of variable length
//   (7 bits each, low first): lanes, events of each lane, the columns of all events, the critical path.
// Events are sorted by lane and start; causes and triggers are indices into that order. A number that can be negative
// comes as 2n or -2n-1; one that can be missing as 0 or n + 1.
#pragma once
#include <string>

#include "trace/trace.h"

namespace presil::report {

std::string packed_events(const trace::Trace& trace);

}  // namespace presil::report
