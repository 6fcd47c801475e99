// What must have happened before what, whatever the timing: vector clocks over the agents of a core.
//
// Agents are the queues of the engines, and each DMA queue once for every engine that triggers transfers on it. The
// clock of an engine counts its instructions, the others count transfers; "a clock holds (agent, n)" means: whatever
// the timing, the n-th instruction or transfer of the agent has completed. Agents complete in order, so smaller numbers
// are included; transfers of two engines on one DMA queue are in no order.
//
// A wait for semaphore >= v is satisfied after the increments that no legal order of events can do without. A
// semaphore's increments are kept in batches: batch n+1 is raised only by those for whom all of batches 1 .. n is known
// to be complete; inside a batch, any order is possible. A wait that reaches the total at the end of a batch is ordered
// after all of it, one that falls inside is ordered after the batches before. A transfer raises its semaphore once per
// DMA engine, so a transfer is never ordered by a wait that one of its engines could miss. If a batch grows after some
// wait was satisfied by its old total, that wait could have been satisfied without it: an ambiguous wait.
#pragma once
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "chip/outcome.h"
#include "isa/executable.h"
#include "spec/chip_spec.h"

namespace presil::chip {

struct Epoch {
  uint32_t agent = 0, number = 0;
};

class HappensBefore {
 public:
  // The executable must outlive it.
  HappensBefore(const isa::Executable& executable, const spec::ChipSpec& spec);

  // A wait that another signal could have satisfied as well.
  struct Ambiguity {
    Site wait, signal;
    uint16_t semaphore = 0;  // of the core of the wait
  };

  // Before an instruction: its waits, in the order of a run that satisfied them.
  void wait(Site site, uint16_t semaphore, uint32_t value);
  // Then the instruction itself: its epoch. Reports into `ambiguities` (may be null).
  Epoch step(Site site, std::vector<Ambiguity>* ambiguities);
  // Or a transfer that it triggers.
  Epoch transfer(Site site, std::vector<Ambiguity>* ambiguities);

  // Is what `epoch` did complete for an instruction of `queue` that starts now (or a transfer that it triggers)?
  bool complete(Epoch epoch, uint32_t queue) const { return clock(queue)[epoch.agent] >= epoch.number; }
  bool is_engine(uint32_t agent) const { return agent < engines_; }
  // Per agent: the number that is complete for every engine that has instructions left; `own` leaves out what the
  // agent knows about itself.
  void known_to_all(std::vector<uint32_t>& complete, std::vector<uint32_t>& complete_to_others) const;

 private:
  struct Batch {
    uint64_t total = 0;  // of the semaphore, when the batch is complete
    std::vector<uint32_t> clock;
    Epoch first;
    std::vector<Epoch> more;
    Site relied;  // a wait that this batch satisfied
  };
  struct Semaphore {
    uint64_t total = 0;
    std::deque<Batch> batches;
    std::vector<uint32_t> waiters;                       // queues with waits for it
    std::vector<std::pair<uint32_t, uint32_t>> raisers;  // queues and the agents as which they raise it
  };

  std::span<uint32_t> clock(uint32_t agent) { return {clocks_.data() + size_t{agent} * agents_, agents_}; }
  std::span<const uint32_t> clock(uint32_t agent) const { return {clocks_.data() + size_t{agent} * agents_, agents_}; }
  bool follows(const Batch& batch, uint32_t queue, uint32_t agent) const;
  const isa::Instruction& at(Site site) const { return exe_.queues[site.queue].code[site.instruction]; }
  void join_last(Semaphore& semaphore, Site site, Epoch epoch, uint16_t id, std::vector<Ambiguity>* ambiguities);
  void raise(Site site, Epoch epoch, uint32_t count, std::vector<Ambiguity>* ambiguities);
  void raise(Site site, Epoch epoch, uint32_t number, uint32_t count, std::vector<Ambiguity>* ambiguities);
  void forget(Semaphore& semaphore);

  const isa::Executable& exe_;
  uint32_t engines_ = 0, agents_ = 0, dma_engines_ = 0, dma_queues_ = 0;
  std::vector<uint32_t> dma_agents_;          // by engine and DMA queue
  std::vector<uint32_t> clocks_;              // per agent, a row
  std::vector<uint32_t> numbers_;             // instructions or transfers so far
  std::vector<uint64_t> left_;                // instructions not executed yet, per queue
  std::vector<Semaphore> semaphores_;         // of all cores
  std::vector<std::vector<uint32_t>> spare_;  // rows to use again
};

}  // namespace presil::chip
