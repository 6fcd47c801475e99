// A run in numbers: what each engine did and waited for, whose time it was, what bounds it, and how far it is from the
// ideal. Everything is computed from what a trace says about its run.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "report/about.h"
#include "trace/about.h"

namespace presil::report {

struct EngineRow {
  std::string name;           // "tensor", "dma"
  uint64_t instructions = 0;  // transfers for "dma"
  double busy_fraction = 0;   // occupied; "dma": mean over the DMA engines
  double utilization = 0;     // tensor: useful mac time at the precision's rate over elapsed; others: busy_fraction
  std::vector<std::pair<std::string, double>> waits;  // cause, fraction of elapsed; busy + waits = 1
};

struct LayerRow {
  std::string name, kind;
  double seconds = 0, share = 0;  // over layers they sum to the run's
  uint64_t macs = 0;              // useful
  uint64_t bytes = 0;             // moved to and from HBM
  std::string bound_by;
};

struct Summary {
  std::string precision;  // of the matmuls
  double seconds = 0;
  std::vector<std::pair<std::string, double>> cycles;  // clock domain, elapsed cycles
  uint64_t instructions = 0;
  std::vector<EngineRow> engines;
  uint64_t hbm_read_bytes = 0, hbm_write_bytes = 0;
  double hbm_bound_bytes_per_s = 0, hbm_bound_fraction = 0;
  uint64_t macs = 0;         // useful
  double mfu = 0;            // useful macs over elapsed x bf16 peak
  double ideal_seconds = 0;  // max of macs over the precision's peak and compulsory bytes over the HBM bound
  double macs_seconds = 0, bytes_seconds = 0;  // its two sides
  std::string bound_by;                        // busiest resource, or "latency" when nothing is busy half of the time
  std::vector<LayerRow> layers;
};

Summary summarize(const trace::About& about);
// Of about(executable, spec, run).
Summary summarize(const isa::Executable& executable, const spec::ChipSpec& spec, const system::RunResult& run);
// Of one core of the run.
Summary summarize(const isa::Executable& executable, const spec::ChipSpec& spec, const system::RunResult& run,
                  const system::CoreRun& core);

}  // namespace presil::report
