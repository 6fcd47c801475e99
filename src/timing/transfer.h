// One DMA transfer, split over the DMA engines: the one function that says what each engine does for it. Rules and
// sources: docs/model.md, "DMA".
//
// The contiguous runs common to both access patterns are cut into descriptors (at most descriptor_bytes_max), and the
// descriptors are dealt to engines 0, 1, ... in blocks of equal size, so that engine 0 never has less than another.
// With fewer descriptors than engines, runs are cut further, not below descriptor_bytes_min.
//
// For engine e of a transfer triggered at t, with p the previous transfer of the same queue on e:
//   start(e) = max(t + start_latency + start_offset(transfer, e), end_p(e), start_p(e) + floor)
//   end(e)   = start(e) + share.on_queue if nothing else uses the engine or the HBM; the engine's own capacity is
//              taken for share.on_engine only, so that several queues can share it.
// Each engine, also an idle one, raises the signal by one, `completion` after its end (idle: after its turn came).
#pragma once
#include "base/time.h"
#include "isa/program.h"
#include "spec/chip_spec.h"

namespace presil::timing {

// What one DMA engine moves for a transfer.
struct Share {
  uint64_t descriptors = 0;
  uint64_t bytes = 0;  // of the wider side
  uint64_t hbm_read_bytes = 0, hbm_write_bytes = 0;
  Time on_queue = 0;   // alone: from its first byte to its last
  Time on_engine = 0;  // capacity of the engine that it uses, <= on_queue
  bool operator==(const Share&) const = default;
};

struct Transfer {
  Time prepare = 0;           // descriptors made by hardware, behind the sequencer's previous instruction
  Time trigger = 0;           // occupancy of the triggering sequencer, descriptors made by software included
  Time start_latency = 0;     // trigger's start to first data
  Time floor = 0;             // least time between starts of this and the next transfer of the queue
  Time completion = 0;        // last byte of a share to its semaphore increment
  Time dispatch = 0;          // first data to the earliest end of the last share: descriptors are dispatched in turn
  uint64_t weight = 1;        // of its service class, where shares compete for an engine
  uint32_t engines_used = 0;  // engines 0 .. engines_used-1 have a share, the others are idle
  Share full;                 // of every engine but the last used one
  Share last;
  bool operator==(const Transfer&) const = default;
};

// An instruction of the DMA engines; of a sendrecv, what its core sends.
Transfer transfer(const isa::Program& program, const isa::Instruction& instruction, const spec::ChipSpec& spec);

// engine < engines_used.
inline const Share& share(const Transfer& t, uint32_t engine) { return engine + 1 < t.engines_used ? t.full : t.last; }

// How long after the first data engine `e` begins its share: so late that it does not end before its part of
// `dispatch`.
Time start_offset(const Transfer& t, uint32_t engine);

// First data to last byte when nothing else is in the way.
Time unloaded_duration(const Transfer& t);

}  // namespace presil::timing
