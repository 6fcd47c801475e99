// A chip as data. Files under specs/chips/ (TOML); every number there has a source or the word `assumed`. The fields of
// each struct are declared once, in fields.cc: parser, validation, printer and docs/reference/chip.md follow from that.
// Durations are presil::Time (femtoseconds), clocks hertz, rates bytes per second, sizes bytes.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"

namespace presil::spec {

// How these numbers become occupancy and latency: timing/cost.h and docs/model.md, "Engines".
struct EngineSpec {
  uint32_t count = 1;
  uint64_t clock_hz = 0;
  uint32_t lanes = 128;                    // partitions served side by side; more partitions take more passes
  uint32_t initiation_min_cycles = 1;      // least occupancy of an instruction (MIN_II)
  uint32_t issue_overhead_cycles = 0;      // added to the data's cycles of every instruction
  Time latency = 0;                        // last element accepted to results visible
  std::vector<std::string> reads, writes;  // memories: "sbuf", "psum", "hbm"
  bool operator==(const EngineSpec&) const = default;
};

struct TensorSpec : EngineSpec {
  uint32_t rows = 128, columns = 128;  // K and M of one pass
  uint32_t moving_max = 512;           // N of one instruction
  uint32_t load_speedup = 4;           // stationary columns loaded per cycle
  uint32_t fp32_passes = 4;            // rate divisor for fp32
  uint32_t fp32_transpose_passes = 4;  // rate divisor for fp32 transposes
  uint32_t fp32_instructions = 2;      // MATMUL instructions per fp32 nc_matmul
  uint32_t fp32_onezero_passes = 2;    // rate divisor for fp32 where one operand is said to hold ones and zeros only
  uint32_t tile_min = 32;              // least rows and columns of a part of the array that works for itself
  Time current_ramp = 0;               // from the first work to full speed; 0: at once
  uint32_t current_ramp_percent = 50;  // of the full speed at its beginning; less work than this brings it back
  bool operator==(const TensorSpec&) const = default;
};

// When two engines may not use a memory at the same time.
enum class PortRule : uint8_t { free, in_part, always };

// Speed-ups over the generation-2 rule of the instruction (docs/model.md, "Engines").
struct VectorSpec : EngineSpec {
  uint32_t fast_copy_16bit = 1;                // copy/tensor_scalar, SBUF to SBUF, 16-bit floats, innermost contiguous
  uint32_t fast_copy_other = 1;                // same, other types or strided
  uint32_t fast_copy_psum_16bit = 1;           // same as the first with one side in PSUM
  uint32_t fast_tensor_tensor_16bit = 1;       // tensor_tensor, both inputs in SBUF, everything 16-bit floats
  uint32_t exponential_per_cycle = 4;          // elements of exponential per cycle and lane
  uint32_t random_per_cycle = 1;               // random words per cycle and lane
  PortRule sbuf_with_gpsimd = PortRule::free;  // both engines on SBUF; in_part: one is in a performance mode
  PortRule psum_with_scalar = PortRule::free;  // both engines on PSUM; in_part: in the same bank
  bool operator==(const VectorSpec&) const = default;
};

struct ScalarSpec : EngineSpec {
  Time table_load = 0;             // changing the activation table; occupies the engine before the instruction
  uint32_t fast_short_floats = 1;  // elements per cycle and lane where data and result are floats of 16 bits or less
  uint32_t accumulator_read_cycles = 64;
  bool operator==(const ScalarSpec&) const = default;
};

struct GpsimdSpec : EngineSpec {
  uint32_t start_cycles = 150;
  uint32_t word_bytes = 4;                // moved per partition and cycle
  uint32_t partition_reduce_cycles = 16;  // per element of the result of tensor_partition_reduce
  bool operator==(const GpsimdSpec&) const = default;
};

struct SramSpec {
  uint32_t partitions = 128;
  uint64_t bytes_per_partition = 0;
  uint32_t banks = 1;                    // PSUM: accumulation banks per partition
  uint32_t half_rate_stride_bytes = 16;  // innermost strides from here on halve the rate of a port
  bool operator==(const SramSpec&) const = default;
};

// How these numbers become the times of a transfer: timing/transfer.h and docs/model.md, "DMA".
struct DmaSpec {
  uint32_t engines = 16;
  uint32_t queues = 16;
  uint64_t engine_bytes_per_s = 0;  // all queues of one engine together
  uint64_t queue_bytes_per_s = 0;   // one queue on one engine
  Time descriptor = 0;              // fixed cost of a descriptor on its engine
  Time transfer_floor = 0;          // least time between the starts of two transfers of one queue
  Time trigger_from_hbm = 0;        // occupancy of the triggering sequencer, by source memory
  Time trigger_from_sbuf = 0;
  Time start_latency_from_hbm = 0;  // trigger to first data, by source memory
  Time start_latency_from_sbuf = 0;
  Time dispatch_per_descriptor = 0;      // a transfer's descriptors reach the engines one after another ...
  Time dispatch_max = 0;                 // ... but the last not later than this after the first
  Time completion = 0;                   // last byte to semaphore increment
  uint32_t access_bytes_min = 64;        // a shorter descriptor takes as long as this many bytes
  uint32_t descriptor_bytes_max = 4096;  // longer contiguous runs are cut
  uint32_t descriptor_bytes_min = 512;   // a run is not cut below this to occupy more engines
  uint32_t transpose_percent_hbm = 90;   // DMA transpose rate over copy rate, by source memory
  uint32_t transpose_percent_sbuf = 50;
  uint32_t compute_percent = 50;    // rate of a sum of two over copy rate
  Time software_descriptor = 0;     // gpsimd's time for each descriptor that software makes
  Time hardware_generation = 0;     // the hardware's time for the descriptors of a transfer
  uint32_t class_ratio = 2;         // part of an engine over that of the next service class
  uint32_t transpose_columns = 16;  // a DMA transpose works in blocks of partitions x this many columns
  bool operator==(const DmaSpec&) const = default;
};

// Cores are attached to stacks in order: with 8 cores and 4 stacks, cores 0 and 1 to stack 0.
struct HbmSpec {
  uint32_t stacks = 1;       // of the chip
  uint64_t bytes = 0;        // of a stack: what a core reaches
  uint64_t bytes_per_s = 0;  // of a stack, reads and writes of all its cores together
  bool operator==(const HbmSpec&) const = default;
};

struct SemaphoreSpec {
  uint32_t count = 256;
  uint64_t maximum = (1ull << 32) - 1;
  Time wake = 0;         // increment to earliest start of whoever waits for it; a wait that is older costs nothing
  Time remote_wake = 0;  // the same for an engine's increment of the other core's semaphore
  bool operator==(const SemaphoreSpec&) const = default;
};

// Registers and control flow, the same for every sequencer.
struct SequencerSpec {
  uint32_t registers = 64;                  // of 32 bits
  Time register_operation = 0;              // move and arithmetic, a loop's beginning
  Time register_access = 0;                 // one element from or to memory
  Time branch = 0;                          // also a loop's end
  uint32_t dynamic_address_cycles_min = 0;  // of an engine's instruction with an address from a register
  bool operator==(const SequencerSpec&) const = default;
};

// Where a chip's values come from: nothing that a run depends on, so it counts in no comparison and no hash.
struct Origin {
  struct Known {
    std::string file;                            // a bundled chip or a path, as it was asked for
    std::map<std::string, std::string> sources;  // by field path: the comment beside it, or "my.toml:7"
    std::string notes;                           // the comment that opens the file which extends no other
  };
  std::shared_ptr<const Known> known;  // null: the chip was made by a program
  bool operator==(const Origin&) const { return true; }
};

struct ChipSpec {
  std::string name;
  uint32_t generation = 3;  // instruction table generation
  uint32_t cores = 1;       // on the chip
  uint32_t lnc_max = 1;     // cores that may be one logical core: 1, or 2 neighbours on one stack
  TensorSpec tensor;
  VectorSpec vector;
  ScalarSpec scalar;
  GpsimdSpec gpsimd;
  EngineSpec sync;  // its clock and initiation_min_cycles hold for the wait instruction of every sequencer
  SramSpec sbuf, psum;
  DmaSpec dma;
  HbmSpec hbm;
  SemaphoreSpec semaphores;
  SequencerSpec sequencer;
  Origin origin;
  bool operator==(const ChipSpec&) const = default;
};

// The stack of HBM that a core is attached to.
inline uint32_t stack_of(const ChipSpec& spec, uint32_t core) {
  return static_cast<uint32_t>(uint64_t{core} * spec.hbm.stacks / spec.cores);
}

// Of the resolved values; comments, order and spelling of a file do not matter, nor does the name of the chip.
uint64_t spec_hash(const ChipSpec& spec);

}  // namespace presil::spec
