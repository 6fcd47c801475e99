// Trace: what happened when, and why then. One record per executed instruction and per DMA transfer share; everything a
// report needs can be computed from a saved trace and the spec.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"

namespace presil::trace {

// What released a start: the last of the conditions to come true.
enum class Release : uint8_t { start, queue, semaphore, bandwidth, descriptor, port, table_load };
std::string_view release_name(Release r);

struct Event {
  uint32_t lane = 0;         // index into Trace::lanes
  uint32_t instruction = 0;  // index within its queue's Program (static), kNoInstruction for transfers' shares
  uint32_t source = 0;       // Executable::sources index
  Time start = 0;            // occupies the lane from start ..
  Time busy_until = 0;       // .. to here; the next may start
  Time end = 0;              // results visible
  Release release = Release::start;
  uint32_t cause = UINT32_MAX;  // index of the event that released this start; UINT32_MAX: none
  uint64_t amount = 0;          // macs for tensor, elements for the others, bytes for transfers
};

struct Lane {
  std::string name;  // "core0.tensor", "core0.dma3"
  enum class Kind : uint8_t { engine, dma } kind = Kind::engine;
};

// Receives events in the order in which they start. Absent (nullptr) costs nothing and changes nothing.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void lanes(const std::vector<Lane>& lanes) = 0;
  virtual uint32_t event(const Event& event) = 0;  // its index
};

struct Trace final : Sink {
  std::vector<Lane> lane_list;
  std::vector<Event> events;
  void lanes(const std::vector<Lane>& lanes) override { lane_list = lanes; }
  uint32_t event(const Event& e) override {
    events.push_back(e);
    return static_cast<uint32_t>(events.size() - 1);
  }
};

}  // namespace presil::trace
