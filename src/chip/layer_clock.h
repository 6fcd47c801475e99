// Whose time is it? Splits the elapsed time among layers so that the parts sum to it exactly. An instant belongs to the
// layer of the instruction that occupies the busiest engine (by the program's total occupancy); when that engine is
// idle, to the next busiest one's; when no engine works, to the layer of the oldest transfer in flight; when nothing
// works, to the layer that starts next (at the end: that started last).
#pragma once
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace presil::chip {

class LayerClock {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // `priority`: queue indices, busiest first.
  LayerClock(size_t layers, std::vector<uint32_t> priority);

  // Everything up to `now` is known; `transfer_layer` is that of the oldest transfer in flight, or kNone.
  void advance(Time now, uint32_t transfer_layer);
  // An instruction of `layer` occupies `queue` in [start, end); start >= the last advance.
  void occupy(uint32_t queue, uint32_t layer, Time start, Time end);
  // Per layer, after advance(elapsed); sums to it.
  std::vector<Time> finish();

 private:
  // At most two of a queue matter: the present one and, on the tensor engine, one that is about to start.
  struct Span {
    uint32_t layer = kNone;
    Time start = 0, end = 0;
  };
  struct Engine {
    Span now, next;
  };

  std::vector<uint32_t> priority_;
  std::vector<Engine> engines_;
  std::vector<Time> times_;
  Time until_ = 0;  // everything before is given to a layer or to `unclaimed_`
  Time unclaimed_ = 0;
  uint32_t last_ = 0;
};

}  // namespace presil::chip
