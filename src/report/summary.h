// A run in numbers: what each engine did and waited for, whose time it was, what bounds it, and how far it is from the
// ideal. Everything is computed from the Executable, the chip and the run's counters.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "system/run.h"

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
  std::string bound_by;      // busiest resource, or "latency" when nothing is busy half of the time
  std::vector<LayerRow> layers;
};

Summary summarize(const isa::Executable& executable, const spec::ChipSpec& spec, const system::RunResult& run);

// What the matmuls of an executable compute in: its precision, or, when that is the model's own ("auto"), the type of
// most moving operands; fp32 without matmuls.
std::string matmul_precision(const isa::Executable& executable);
// Multiply-accumulates per second of one core.
double peak_macs_per_s(const spec::ChipSpec& spec, const std::string& precision);
// min(stacks attached, DMA engines together), reads and writes together.
double hbm_bound_bytes_per_s(const spec::ChipSpec& spec);

}  // namespace presil::report
