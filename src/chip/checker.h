// The checker: does a program order everything that must be ordered, whatever the timing? It watches one run and
// judges all of them: it sees the executed instructions in some legal order and asks of every pair of conflicting
// accesses whether semaphores order them (happens_before.h).
//
// What the machine orders by itself: an engine's reads and writes happen in the order of its queue, but results of an
// instruction are visible to a later one only after its latency, so reading what the same engine wrote needs a wait;
// a matmul that accumulates onto what the tensor engine wrote needs none. A DMA may move any of its bytes at any time
// between its trigger and its completion; transfers are unordered, in one queue, too.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "chip/core.h"

namespace presil::chip {

struct Finding {
  enum class Kind : uint8_t {
    never_written,   // reads bytes that nothing has written
    race,            // conflicting accesses that no semaphore orders
    psum,            // accumulates onto what no matmul has started
    ambiguous_wait,  // a wait that other increments could satisfy as well
  };
  Kind kind = Kind::race;
  Site site;   // the instruction
  Site other;  // the one it conflicts with; of a race and an ambiguous wait
  std::string text;
};
std::string_view finding_name(Finding::Kind kind);

class Checker final : public Observer {
 public:
  // Both must outlive it. HBM inputs and constants count as written.
  Checker(const isa::Executable& executable, const spec::ChipSpec& spec);
  ~Checker() override;

  std::string executed(const Executed& instruction) override;  // never faults

  // In order of discovery, one per kind and pair of static instructions.
  const std::vector<Finding>& findings() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace presil::chip
