// Long work for Python: without the GIL, in a thread of its own, while the calling thread lets Python's signal handlers
// run, so that Ctrl-C ends the work like any other code.
#pragma once
#include <nanobind/nanobind.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "base/cancel.h"

namespace presil::python {

// How late Ctrl-C may be noticed.
inline constexpr auto kSignalPeriod = std::chrono::milliseconds(50);

class Work {
 public:
  // `body` takes a const Cancel*. Afterwards it has returned or thrown; a Python exception that a signal handler raised
  // is thrown here.
  template <class Body>
  auto run(Body body) {
    std::optional<decltype(body(nullptr))> result;
    std::thread thread([&] {
      try {
        result.emplace(body(&cancel_));
      } catch (...) {
        thrown_ = std::current_exception();
      }
      finish();
    });
    const bool interrupted = wait();
    thread.join();
    if (interrupted) throw nanobind::python_error();
    if (thrown_) std::rethrow_exception(thrown_);
    return std::move(*result);
  }

 private:
  // True when a signal handler raised.
  bool wait() {
    nanobind::gil_scoped_release release;
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kSignalPeriod, [this] { return finished_; })) {
      lock.unlock();
      {
        nanobind::gil_scoped_acquire acquire;
        if (PyErr_CheckSignals() != 0) cancel_.request();
      }
      lock.lock();
      if (cancel_.requested()) {
        changed_.wait(lock, [this] { return finished_; });
        return true;
      }
    }
    return false;
  }

  void finish() {
    std::lock_guard lock(mutex_);
    finished_ = true;
    changed_.notify_one();
  }

  Cancel cancel_;
  std::exception_ptr thrown_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool finished_ = false;
};

}  // namespace presil::python
