#include "chip/team.h"

#include <thread>

namespace presil::chip {
namespace {

constexpr int kSpins = 4000;  // some tens of microseconds: the usual distance between two instructions worth sharing
uint32_t next_of(uint64_t offer) { return static_cast<uint32_t>(offer & 0xffff); }
uint32_t parts_of(uint64_t offer) { return static_cast<uint32_t>(offer >> 16 & 0xffff); }

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

bool Team::take_part(uint64_t offer) {
  if (!offer_.compare_exchange_strong(offer, offer + 1, std::memory_order_acq_rel)) return false;
  function_(body_, next_of(offer));
  done_.fetch_add(1, std::memory_order_release);
  return true;
}

void Team::run(uint32_t parts, Part function, void* body) {
  function_ = function;
  body_ = body;
  done_.store(0, std::memory_order_relaxed);
  const uint64_t job = (offer_.load(std::memory_order_relaxed) >> 32) + 1;
  offer_.store(job << 32 | uint64_t{parts} << 16, std::memory_order_release);
  offer_.notify_all();
  for (uint64_t offer = offer_.load(); next_of(offer) < parts; offer = offer_.load()) take_part(offer);
  for (int spins = 0; done_.load(std::memory_order_acquire) < parts; ++spins) {
    spins < kSpins ? pause() : std::this_thread::yield();
  }
}

void Team::help() {
  helpers_.fetch_add(1);
  int spins = 0;
  while (true) {
    const uint64_t offer = offer_.load(std::memory_order_acquire);
    if (next_of(offer) < parts_of(offer)) {
      take_part(offer);
      spins = 0;
    } else if (closed_.load()) {
      break;
    } else if (++spins < kSpins) {
      pause();
    } else {
      offer_.wait(offer);
    }
  }
  helpers_.fetch_sub(1);
}

void Team::close() {
  closed_.store(true);
  offer_.store(((offer_.load() >> 32) + 1) << 32);  // no parts
  offer_.notify_all();
}

}  // namespace presil::chip
