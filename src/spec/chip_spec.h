// A chip as data. Files under specs/chips/ (TOML); every number there has a source or the word `assumed`. The fields of
// each struct are declared once, in fields.cc: parser, validation, printer and docs/reference/chip.md follow from that.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace presil::spec {

// Memories an engine reads and writes, as bits 1 << isa::Memory (sbuf 2, psum 4, hbm 8).
struct EngineSpec {
  uint32_t count = 1;
  uint64_t clock_hz = 0;
  uint64_t lanes = 128;                 // elements per cycle at rate 1
  uint32_t initiation_min_cycles = 64;  // least occupancy of an instruction (MIN_II)
  uint32_t latency_cycles = 0;          // fixed pipeline time after the last element has been accepted
  uint32_t issue_overhead_cycles = 0;   // added to each occupancy
  std::vector<std::string> reads, writes;
};

struct TensorSpec : EngineSpec {
  uint32_t rows = 128, columns = 128;  // K and M of one pass
  uint32_t moving_max = 512;           // N of one instruction
  uint32_t load_speedup = 4;           // weight rows loaded per cycle
  uint32_t fp32_passes = 4;            // rate divisor for fp32
  uint32_t fp32_instructions = 2;      // MATMUL instructions per fp32 nc_matmul
};

struct VectorSpec : EngineSpec {
  uint32_t fast_copy_16bit = 1;           // speed-up of copy/tensor_scalar, SBUF to SBUF, 16-bit floats, contiguous
  uint32_t fast_copy_other = 1;           // same, other types or strided
  uint32_t fast_copy_psum_16bit = 1;      // same as the first with one side in PSUM
  uint32_t fast_tensor_tensor_16bit = 1;  // tensor_tensor with both inputs 16-bit floats in SBUF
};

struct ScalarSpec : EngineSpec {
  uint64_t table_load_ns = 0;  // changing the activation table
  uint32_t accumulator_read_cycles = 64;
};

struct GpsimdSpec : EngineSpec {
  uint32_t start_cycles = 150;
};

struct SramSpec {
  uint32_t partitions = 128;
  uint64_t bytes_per_partition = 0;
  uint32_t banks = 1;  // PSUM: accumulation banks per partition
};

struct DmaSpec {
  uint32_t engines = 16;
  uint32_t queues = 16;
  uint64_t engine_bytes_per_s = 0;    // all queues of one engine together
  uint64_t queue_bytes_per_s = 0;     // one queue on one engine
  uint64_t descriptor_ns_x10 = 0;     // fixed cost of a descriptor, tenths of ns
  uint64_t transfer_floor_ns = 0;     // least time between transfers of one queue
  uint64_t trigger_ns = 0;            // occupancy of the triggering sequencer
  uint64_t start_latency_hbm_ns = 0;  // trigger to first data, source in HBM
  uint64_t start_latency_sbuf_ns = 0;
  uint64_t engine_stagger_ns_x10 = 0;   // start of engine e lags engine 0 by e times this, tenths of ns
  uint64_t completion_ns = 0;           // last byte to dependent start
  uint64_t descriptor_bytes_max = 0;    // longer contiguous runs are split
  uint64_t descriptor_bytes_min = 512;  // a run is not split below this to occupy more engines
  uint32_t transpose_percent_hbm = 90;  // DMA transpose rate over copy rate
  uint32_t transpose_percent_sbuf = 50;
};

struct HbmSpec {
  uint64_t bytes = 0;        // reachable by a core
  uint64_t bytes_per_s = 0;  // of the stacks attached to one core
};

struct SemaphoreSpec {
  uint32_t count = 256;
  uint64_t maximum = (1ull << 32) - 1;
  uint64_t local_latency_ns = 0;  // engine completion to dependent start on the same or another engine
};

struct ChipSpec {
  std::string name;
  int generation = 3;  // instruction table generation
  uint32_t cores = 1;
  TensorSpec tensor;
  VectorSpec vector;
  ScalarSpec scalar;
  GpsimdSpec gpsimd;
  EngineSpec sync;
  SramSpec sbuf, psum;
  DmaSpec dma;
  HbmSpec hbm;
  SemaphoreSpec semaphores;
};

uint64_t spec_hash(const ChipSpec& spec);

}  // namespace presil::spec
