// Whether a program's result depends on timing, decided without vector clocks. Semaphores only count up, so holding
// something back never lets anything else happen earlier, and there is one largest set of starts: run everything that
// can run while `a` is never completed; what starts nevertheless is not ordered after `a`, everything else is. That is
// the definition of order, tried out for every instruction.
//
// The machine is that of docs/model.md, "The checker": queues start and complete in order; a transfer's bytes move at
// any time between its trigger and its increments, one per DMA engine; what one sequencer triggers on one DMA queue
// passes each DMA engine in order. Both cores of a pair are one machine.
#pragma once
#include <string>
#include <vector>

#include "isa/executable.h"
#include "spec/chip_spec.h"

namespace presil::campaign {

enum class Verdict : uint8_t {
  ordered,    // every two accesses that conflict are ordered, every byte read was written
  race,       // two that conflict are not
  undefined,  // reads what nothing has written, or accumulates onto what no matmul has started
  deadlock,   // does not end
};

struct Judgement {
  Verdict verdict = Verdict::ordered;
  std::string why;
  // Of conflicting pairs, which comes first: equal for two programs of equal accesses if they compute the same.
  std::vector<uint64_t> order;
};

// `executable` without repeats and branches (unroll.h).
Judgement judge(const isa::Executable& executable, const spec::ChipSpec& spec);

}  // namespace presil::campaign
