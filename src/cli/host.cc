#include "cli/host.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace presil::cli {
namespace {

constexpr auto kQuiet = std::chrono::seconds(1);

// A handler reaches nothing but globals.
Cancel signalled;
volatile std::sig_atomic_t signal_number = SIGINT;

void on_signal(int number) {
  signal_number = number;
  signalled.request();
}

}  // namespace

void use_large_pages() {
#ifdef __GLIBC__
  constexpr int kMib = 1 << 20;
  constexpr uintptr_t kPage = 2 * kMib;
  // Setting one fixes all: the heap grows by much at a time and is kept, large blocks have mappings of their own.
  mallopt(M_TOP_PAD, 64 * kMib);
  mallopt(M_TRIM_THRESHOLD, 128 * kMib);
  mallopt(M_MMAP_THRESHOLD, 4 * kMib);
  const auto begin = reinterpret_cast<uintptr_t>(sbrk(0));
  void* volatile grown = std::malloc(2 * kMib);  // volatile: or the compiler leaves both calls out
  std::free(grown);
  const auto end = reinterpret_cast<uintptr_t>(sbrk(0));
  const uintptr_t first = (begin + kPage - 1) / kPage * kPage;
  // Where the kernel has no such pages nothing changes.
  if (first < end) static_cast<void>(madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE));
#endif
}

const Cancel* cancel_on_signal() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  for (int number : {SIGINT, SIGTERM}) {
    struct sigaction before {};
    sigaction(number, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(number, &action, nullptr);  // nohup, background jobs
  }
  return &signalled;
}

int cancelled_exit_code() { return 128 + signal_number; }

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
