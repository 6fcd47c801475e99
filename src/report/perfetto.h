// A trace as a file for the Perfetto viewer (schema: perfetto.proto): one track per engine and DMA engine, a slice per
// event, with the layer, the graph node, what released the start, and the exact femtoseconds as its arguments. Tracks
// and slices have the names that the report's page gives them.
#pragma once
#include <string>

#include "trace/trace.h"

namespace presil::report {

// The bytes of a .pftrace file. Slices of a lane that overlap (transfers of several queues on one DMA engine) are put
// on further tracks of the same name.
std::string print_perfetto(const trace::Trace& trace);

}  // namespace presil::report
