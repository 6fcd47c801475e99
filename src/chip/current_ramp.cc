#include "chip/current_ramp.h"

#include <algorithm>
#include <cmath>

namespace presil::chip {

Time CurrentRamp::work(Time start, Time duration) {
  if (ramp_ == 0) return 0;
  if (rested(start)) begin_ = start, begun_ = true;
  Time longer = 0;
  if (const Time since = start - begin_; since < ramp_) {
    // Speed at t after the beginning: first + (1 - first) t / ramp. Its integral from `since` to the end is `duration`.
    const double first = percent_ / 100.0, ramp = static_cast<double>(ramp_);
    const double x = static_cast<double>(since), work = static_cast<double>(duration);
    const double done = (first + (1 - first) * (x + ramp) / (2 * ramp)) * (ramp - x);  // until full speed
    const double shift = first / (1 - first) * ramp;
    const double end = work >= done ? ramp + (work - done)
                                    : std::sqrt((x + shift) * (x + shift) + 2 * work * ramp / (1 - first)) - shift;
    longer = std::max<Time>(0, static_cast<Time>(std::llround(end - x)) - duration);
  }
  if (Work* last = recent_.empty() ? nullptr : &recent_.back();
      longer == 0 && last != nullptr && last->end == start && last->end - last->begin == last->amount) {
    last->end += duration, last->amount += duration;
  } else {
    recent_.push_back({start, start + duration + longer, duration});
  }
  recent_amount_ += duration;
  return longer;
}

// Whether the engine did too little within one ramp before `now`.
bool CurrentRamp::rested(Time now) {
  if (!begun_) return true;
  const Time from = now - ramp_;
  while (!recent_.empty() && recent_.front().end <= from) {
    recent_amount_ -= recent_.front().amount;
    recent_.pop_front();
  }
  if (now < begin_ + ramp_) return false;
  Time amount = recent_amount_;
  if (!recent_.empty()) {  // part of the first may lie before; its end is its fastest part
    const Work& first = recent_.front();
    amount -= first.amount - std::min(first.amount, first.end - from);
  }
  return amount * 100 < ramp_ * percent_;
}

}  // namespace presil::chip
