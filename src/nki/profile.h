// What a profiler says about a kernel beside engines and waits: use of the hardware as the public profiler defines it,
// high-water marks, and time by line of source. Computed from the trace of the kernel's run.
#pragma once
#include <string>
#include <vector>

#include "runtime/run.h"

namespace presil::nki {

// Time by (line of source, instruction), of the engine that executes it.
struct LineRow {
  std::string line, instruction, engine;
  uint64_t executed = 0;
  double busy_seconds = 0;      // its engine is occupied
  double transfer_seconds = 0;  // of DMA: from triggers to last bytes, transfers added up
};

struct Profile {
  // Neuron Explorer, "profile schema reference": hardware_flops = 2 x rows x columns x elements over all instructions
  // of the tensor engine, those that transpose included; `adjusted_flops` weighs each type by what it takes in bf16.
  double hardware_flops = 0, transpose_flops = 0, adjusted_flops = 0;
  double hfu = 0;  // hardware_flops over 2 x elements of the array x its clock x seconds
  double mbu = 0;  // bytes to and from HBM over seconds x the bandwidth of one stack
  uint64_t dma_bytes = 0;
  double dma_active_fraction = 0;  // of the DMA engines' time: transfers under way, latencies included
  double dma_efficiency = 0;       // bytes over what the engines could have moved in that time
  std::vector<LineRow> lines;      // most time first
};

Profile profile(const runtime::Workload& workload, const runtime::Run& run, const trace::Trace& trace);

// One JSON object with these names, and {memory, peak_bytes, capacity_bytes} of each memory.
std::string profile_json(const runtime::Workload& workload, const runtime::Run& run, const trace::Trace& trace);

}  // namespace presil::nki
