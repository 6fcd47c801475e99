// Events of a core: what can happen at an instant without anybody else's doing. Small and typed; handled in core.cc.
#pragma once
#include <cstdint>

#include "sim/event_queue.h"

namespace presil::chip {

// What happens first at one instant, and why.
enum class Phase : uint8_t {
  complete,  // shares end and semaphores rise: what became true at an instant is seen by everything that starts in it
  arrive,    // shares begin: an engine freed at this instant can be taken at once
  balance,   // then the shares that are active divide what there is, once per instant
  issue,     // sequencers look at their waits last
};

// Who raised a semaphore; the causes of waiting in reports.
enum class Producer : uint8_t { tensor, vector, scalar, gpsimd, sync, dma };
inline constexpr int kProducerCount = 6;

struct alignas(16) Event {
  enum class Kind : uint8_t {
    issue,    // index: queue. Its sequencer looks at the next instruction
    raise,    // index: semaphore, lane: producer, count, payload: trace event that raised it
    plan,     // shares begin or end that are not planned yet, unless an earlier plan has seen to it
    land,     // lane: DMA queue. Its oldest planned transfer has ended
    arrive,   // index: DMA engine, lane: DMA queue. The next share of this queue may begin on this engine
    balance,  // some DMA engines' shares have changed: new speeds
    finish,   // index: DMA engine, payload: version. The earliest of its shares ends, unless the version is old
  };
  Kind kind = Kind::issue;
  uint8_t lane = 0;
  uint16_t index = 0;
  uint32_t payload = 0;
  uint16_t count = 1;
  uint8_t core = 0;  // whose event it is
};

using Events = sim::EventQueue<Event>;

}  // namespace presil::chip
