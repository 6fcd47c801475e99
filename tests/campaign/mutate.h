// One fault planted into a correct program, in the places where synchronization and addresses are written down.
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
};
inline constexpr int kFaultCount = static_cast<int>(Fault::swap) + 1;
std::string_view fault_name(Fault f);
bool changes_accesses(Fault f);  // what is read and written, or in which order within a queue

// A random place for `fault`; nothing if the program has none. `what`: in words.
std::optional<isa::Executable> mutate(const isa::Executable& executable, Fault fault, Prng& random, std::string& what);

}  // namespace presil::campaign
