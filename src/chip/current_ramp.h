// The tensor engine's protection against rising currents: after idling it works at part of its speed at first, and
// speeds up evenly (docs/model.md, "Current ramp"; Neuron Explorer's glossary, "dI/dt throttling").
#pragma once
#include <cstdint>
#include <deque>

#include "base/time.h"

namespace presil::chip {

class CurrentRamp {
 public:
  // `ramp`: from the beginning to full speed, 0 for none; `percent`: speed at the beginning, and the part of the last
  // `ramp` below which work brings the ramp back.
  CurrentRamp(Time ramp, uint32_t percent) : ramp_(percent < 100 ? ramp : 0), percent_(percent) {}

  // Work that takes `duration` at full speed starts, no earlier than the work before it ended: how much longer it
  // takes.
  Time work(Time start, Time duration);

 private:
  struct Work {
    Time begin, end, amount;  // amount: how long it takes at full speed
  };
  bool rested(Time now);

  Time ramp_;
  uint32_t percent_;
  bool begun_ = false;
  Time begin_ = 0;           // of the present ramp
  std::deque<Work> recent_;  // within one ramp before the last start; at full speed without a gap is one
  Time recent_amount_ = 0;
};

}  // namespace presil::chip
