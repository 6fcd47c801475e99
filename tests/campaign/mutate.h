// One fault planted into a correct program, in the places where synchronization, addresses, control flow and what two
// cores say to each other are written down.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/prng.h"
#include "isa/executable.h"

namespace presil::campaign {

enum class Fault : uint8_t {
  drop_wait,        // satisfied from the start
  lower_wait,       // of a smaller value
  raise_wait,       // of a larger one
  wrong_semaphore,  // a wait for another semaphore
  drop_signal,      // an instruction or transfer raises nothing
  wrong_signal,     // raises another semaphore
  extra_signal,     // raises one although it raised none
  sbuf_address,     // an operand's place moved by an element, by its own extent, or to another operand's place
  psum_address,
  hbm_address,
  swap,  // two neighbours of a queue in the other order
  // What queues with registers and branches say.
  loop_bounds,        // a constant bound or the step of a device loop
  register_value,     // a constant that is put into a register or computed with
  register_number,    // another register than meant, written or read
  register_operator,  // another operator, in arithmetic or a comparison
  register_address,   // a register loaded from or stored to another place
  branch_target,
  control_dropped,  // work on a register or a branch that does nothing
  moving_step,      // an operand that moves with a register, by another stride
  moving_register,  // or with another register
  wait_register,    // a wait that counts iterations by another register, or not at all
  // What transfers by index and gathers say.
  index_values,  // what makes the indices
  index_place,   // indices from elsewhere
  table_shape,   // rows of the table: how many, how far apart, the first
  index_mode,    // what happens to indices outside, or no index at all
  // What the cores of a pair say to each other.
  signal_core,  // an increment on the other core, on one in place of both, on both in place of one
  peer_memory,  // the other core's SBUF
};
inline constexpr int kFaultCount = static_cast<int>(Fault::peer_memory) + 1;
// First to last of a kind: of any program, and those that need loops, indices, a pair.
struct FaultRange {
  Fault first = Fault::drop_wait, last = Fault::swap;
  constexpr int count() const { return static_cast<int>(last) - static_cast<int>(first) + 1; }
};
inline constexpr FaultRange kPlainFaults{}, kControlFaults{Fault::loop_bounds, Fault::wait_register},
    kIndexFaults{Fault::index_values, Fault::index_mode}, kPairFaults{Fault::signal_core, Fault::peer_memory};

std::string_view fault_name(Fault f);
bool changes_accesses(Fault f);  // what is read and written, or in which order within a queue

// A random place for `fault`; nothing if the program has none. `what`: in words.
std::optional<isa::Executable> mutate(const isa::Executable& executable, Fault fault, Prng& random, std::string& what);

}  // namespace presil::campaign
