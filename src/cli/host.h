// The host that runs presil: its clock, its memory, its terminal. The only place that looks at them.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace presil::cli {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

uint64_t peak_rss_bytes();

// Names the present phase in one line on stderr, from one second after the start, if stderr is a terminal. The line is
// gone at the end. Nothing else happens in its thread.
class Progress {
 public:
  explicit Progress(std::string phase);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void phase(std::string name);
  void clear() { phase({}); }  // before printing results

 private:
  void show();

  std::string phase_;
  bool ended_ = false, shown_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace presil::cli
