// A request to stop, from another thread or a signal handler. Whoever works long polls it, returns at once and leaves
// nothing behind; what it would have returned does not matter any more.
#pragma once
#include <atomic>

#include "base/result.h"

namespace presil {

class Cancel {
 public:
  void request() noexcept { requested_.store(true, std::memory_order_relaxed); }
  bool requested() const noexcept { return requested_.load(std::memory_order_relaxed); }

 private:
  static_assert(std::atomic<bool>::is_always_lock_free);  // a signal handler may set it
  std::atomic<bool> requested_ = false;
};

// No Cancel is never cancelled.
inline bool requested(const Cancel* cancel) { return cancel != nullptr && cancel->requested(); }

inline Error cancelled() { return {ErrorCode::cancelled, "interrupted", {}, {}}; }

inline Result<void> go_on_unless(const Cancel* cancel) {
  if (requested(cancel)) return cancelled();
  return {};
}

}  // namespace presil
