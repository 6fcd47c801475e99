// The host that runs presil: its clock and its memory. The only place that looks at them, for what is reported about
// the host; nothing simulated depends on it.
#pragma once
#include <chrono>
#include <cstdint>

namespace presil::runtime {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

uint64_t peak_rss_bytes();

}  // namespace presil::runtime
