#include "chip/layer_clock.h"

#include <algorithm>

namespace presil::chip {

LayerClock::LayerClock(size_t layers, std::vector<uint32_t> priority)
    : priority_(std::move(priority)), engines_(priority_.size()), times_(std::max<size_t>(1, layers)) {}

void LayerClock::occupy(uint32_t queue, uint32_t layer, Time start, Time end) {
  Engine& e = engines_[queue];
  last_ = layer;
  times_[layer] += unclaimed_;
  unclaimed_ = 0;
  if (e.now.end <= until_) e.now = e.next, e.next = {};
  if (e.now.end <= until_) {
    e.now = {layer, start, end};
  } else if (e.now.layer == layer && e.now.end == start) {
    e.now.end = end;
  } else {
    e.next = {layer, start, end};
  }
}

void LayerClock::advance(Time now, uint32_t transfer_layer) {
  while (until_ < now) {
    Time stop = now;
    uint32_t layer = kNone;
    for (uint32_t q : priority_) {
      Engine& e = engines_[q];
      if (e.now.end <= until_ && e.next.layer != kNone) e.now = e.next, e.next = {};
      if (e.now.end <= until_) continue;
      if (e.now.start > until_) {  // a busier engine takes over then
        stop = std::min(stop, e.now.start);
        continue;
      }
      layer = e.now.layer;
      stop = std::min(stop, e.now.end);
      break;
    }
    if (layer == kNone) layer = transfer_layer;
    (layer == kNone ? unclaimed_ : times_[layer]) += stop - until_;
    until_ = stop;
  }
}

std::vector<Time> LayerClock::finish() {
  times_[last_] += unclaimed_;
  unclaimed_ = 0;
  return times_;
}

}  // namespace presil::chip
