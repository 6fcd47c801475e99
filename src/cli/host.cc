#include "cli/host.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace presil::cli {
namespace {

constexpr auto kQuiet = std::chrono::seconds(1);

}  // namespace

uint64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

Progress::Progress(std::string phase) : phase_(std::move(phase)) {
  if (isatty(STDERR_FILENO) != 1) return;
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, kQuiet, [this] { return ended_; })) return;
    shown_ = true;
    show();
  });
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_one();
  thread_.join();
  if (shown_) fmt::print(stderr, "\r\033[K");
}

void Progress::phase(std::string name) {
  std::lock_guard lock(mutex_);
  phase_ = std::move(name);
  if (shown_) show();
}

void Progress::show() {
  fmt::print(stderr, "\r\033[K{}", phase_.empty() ? "" : fmt::format("presil: {} ...", phase_));
  std::fflush(stderr);
}

}  // namespace presil::cli
