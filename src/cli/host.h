// The host that runs presil: its clock, its memory, its terminal. The only place that looks at them.
#pragma once
#include <chrono>
#include <cstdint>
#include <string_view>

namespace presil::cli {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

uint64_t peak_rss_bytes();

// One line on stderr naming the present phase, from one second after the start, if stderr is a terminal; erased at the
// end.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void phase(std::string_view name);

 private:
  Stopwatch watch_;
  bool terminal_ = false, shown_ = false;
};

}  // namespace presil::cli
