// The terminal: progress while a command works, and its interrupt key.
#pragma once
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "base/cancel.h"

namespace presil::cli {

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

// A command allocates some megabytes in small pieces and ends: pages of 2 MiB for its heap save thousands of faults, a
// sixth of a short command's time.
void use_large_pages();

// From the first call on, SIGINT and SIGTERM request the Cancel that this returns, and a second one ends the process
// at once. For commands that write files; others may be ended anywhere.
const Cancel* cancel_on_signal();

// 128 + the signal that requested it, as shells report; 130 without one.
int cancelled_exit_code();

}  // namespace presil::cli
