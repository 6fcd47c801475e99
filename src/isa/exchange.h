// What two cores of a pair do together in one instruction: sendrecv and core_barrier. A chip has no such instructions:
// like the documented pseudo instructions they stand in a program until it is loaded, and are then carried out by
// transfers and semaphores. The k-th sendrecv of a pipe on one core meets the k-th of that pipe on the other; a
// core_barrier meets the k-th one of the same engine.
//
//   core_barrier:   wait (its waits), signal=peer.R;   wait R >= k, its signal
//   sendrecv:       wait (its waits), signal=peer.R;   dma_copy dst=peer's dst src=src, wait R >= k, signal=both.T0 or
//   T1;
//                   wait T0 >= k engines, T1 >= k engines, its signal
// So both hold their queue until the other core is there, a sendrecv until both transfers have ended.
#pragma once
#include "base/result.h"
#include "isa/executable.h"

namespace presil::isa {

bool has_exchanges(const Executable& executable);

// The executable with exchanges carried out, their semaphores behind those in use. Its queues are sound. Errors:
// exchanges of an executable for single cores; a pipe that several queues of a core use; cores that do not meet equally
// often, or in repeats of other counts; different shapes or types; queues with branches, whose exchanges nobody can
// count.
Result<Executable> expand_exchanges(const Executable& executable, uint32_t dma_engines);

}  // namespace presil::isa
