// Trace: what happened when, and why then: one record per executed instruction and per DMA transfer share, and what it
// was all about. Everything that a report says is computed from a saved trace.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "trace/about.h"

namespace presil::trace {

inline constexpr uint32_t kNoInstruction = UINT32_MAX;
inline constexpr uint32_t kNoEvent = UINT32_MAX;
inline constexpr uint8_t kNoDmaQueue = UINT8_MAX;
inline constexpr uint16_t kNoSemaphore = UINT16_MAX;

// What released a start: the last of the conditions to come true.
enum class Release : uint8_t {
  start,      // nothing: the first of its queue
  queue,      // the previous event of the same queue
  semaphore,  // the event that raised it
  bandwidth,
  descriptor,  // the least time between transfers of a queue
  port,
  table_load,       // an activation table, loaded after everything else was ready
  trigger,          // a share: the start latency of its transfer; the cause is the trigger
  stationary_load,  // a matmul: the load path of the stationary operand
  descriptors,      // a transfer: the hardware that makes its descriptors
};
std::string_view release_name(Release r);

struct Event {
  uint32_t lane = 0;         // index into Trace::lanes
  uint32_t instruction = 0;  // index within its queue's Program (static), kNoInstruction for transfers' shares
  uint32_t source = 0;       // Executable::sources index
  Time start = 0;            // occupies the lane from start ..
  Time busy_until = 0;       // .. to here; the next may start
  Time end = 0;              // results visible
  Release release = Release::start;
  uint32_t cause = kNoEvent;          // index of the event that released this start
  uint16_t semaphore = kNoSemaphore;  // the last one that an instruction had to wait for
  Time setup = 0;               // loading a table or a stationary operand, making descriptors; directly before start
  uint32_t trigger = kNoEvent;  // of a share: its transfer's instruction
  Time alone = 0;               // of a share: how long it takes with the engine and the HBM for itself
  uint64_t amount = 0;          // macs for tensor, elements for the others, bytes for transfers
  uint8_t dma_queue = kNoDmaQueue;  // of a share
};

struct Lane {
  std::string name;  // "core0.tensor", "core0.dma3"
  enum class Kind : uint8_t { engine, dma } kind = Kind::engine;
};

// Receives each event when its end is known: an instruction when it starts, a share when it ends. So a cause comes
// before what it released, but starts are not sorted. Absent (nullptr) costs nothing and changes nothing.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void lanes(const std::vector<Lane>& lanes) = 0;
  virtual uint32_t event(const Event& event) = 0;  // its index
};

// "load weights": what the event is called wherever it is shown. "?" if nobody knows where it came from.
std::string_view event_name(const About& about, const Event& event);
// The layer it belongs to; null: unknown.
const Layer* event_layer(const About& about, const Event& event);
// Of an instruction: "nc_matmul psum.fp32[16 x 448] ..."; empty for a share.
std::string_view instruction_text(const About& about, const Event& event);

struct Trace final : Sink {
  std::vector<Lane> lane_list;
  std::vector<Event> events;
  About about;
  void lanes(const std::vector<Lane>& lanes) override { lane_list = lanes; }
  uint32_t event(const Event& e) override {
    events.push_back(e);
    return static_cast<uint32_t>(events.size() - 1);
  }
};

}  // namespace presil::trace
