// Which earlier accesses an access must wait for. Every tile and every tensor that is written has a record of its
// accesses so far; a query returns, for each stream, the last event that conflicts.
//
// A stream is something whose events complete in order: a sequencer's instructions, or the transfers that share one
// DMA semaphore. Event n of a stream (from 1) is complete only when all before it are.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "backend/overlap.h"
#include "isa/view.h"

namespace presil::backend {

struct Event {
  uint32_t stream = 0, count = 0;
  bool operator==(const Event&) const = default;
};

// One operand of one instruction as the tracker sees it.
struct Access {
  const isa::View* view = nullptr;  // stays where it is until the tracker is gone
  bool reads = false, writes = false;
  bool accumulates = false;   // a tensor engine's write to PSUM, whose adder keeps its own order
  bool asynchronous = false;  // a transfer: not ordered by the sequencer that triggers it
  Event event;                // completes the access
};

// The latest event needed per stream; 0 is none.
class Needs {
 public:
  explicit Needs(size_t streams) : counts_(streams) {}
  void add(Event e) {
    if (counts_[e.stream] == 0) touched_.push_back(e.stream);
    if (counts_[e.stream] < e.count) counts_[e.stream] = e.count;
  }
  uint32_t count(uint32_t stream) const { return counts_[stream]; }
  std::span<const uint32_t> streams() const { return touched_; }
  void clear() {
    for (uint32_t s : touched_) counts_[s] = 0;
    touched_.clear();
  }

 private:
  std::vector<uint32_t> counts_, touched_;
};

class AccessLog {
 public:
  // `bytes`: extent of the tile (per partition) or tensor; `accesses`: how many to expect, to choose the resolution.
  AccessLog(uint64_t bytes, size_t accesses);

  // Adds to `needs` what `access` must wait for on top of what is known complete (`known[stream]`), then records it.
  void access(const Access& access, std::span<const uint32_t> known, Needs& needs);
  // The last event of every stream that touched this at all.
  std::vector<Event> last_events() const;

 private:
  struct Record {
    Extent extent;
    const isa::View* view = nullptr;  // null: a summary, everything in the extent
    Event event;
    bool write = false, accumulates = false, asynchronous = false;
  };
  static constexpr size_t kListMax = 64;  // records before a list is summarized
  struct Records {
    std::vector<Record> records;
    size_t limit = kListMax;
  };
  struct List {
    Records writes, reads;
  };
  void visit(std::vector<Record>& list, const Record& now, const Access& access, std::span<const uint32_t> known,
             Needs& needs);
  void shrink(std::vector<Record>& list);

  int shift_ = 0;
  std::vector<List> lists_;  // by piece of the extent; the last of several holds what spans many pieces
  std::vector<Event> last_;  // sorted by stream
};

}  // namespace presil::backend
