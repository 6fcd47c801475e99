// Pending events of one simulation, in a total order: (time, phase, sequence). Phases order what happens at one
// instant and are named by whoever uses the queue; the sequence number is given out here, so that equal events come
// out in the order in which they went in. A 4-ary heap of plain structs: no allocation per event once it has grown.
//
//   struct Event { ... small, trivially copyable ... };
//   sim::EventQueue<Event> queue(limits);
//   queue.push(time, phase, event);
//   while (queue.pop(&event)) { now = queue.now(); ... }
//   queue.status() == Status::drained
#pragma once
#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "base/cancel.h"
#include "base/check.h"
#include "base/time.h"

namespace presil::sim {

struct Limits {
  Time time = kTimeMax;            // no event after this is handled
  uint64_t events = UINT64_MAX;    // no more events than this are handled
  const Cancel* cancel = nullptr;  // polled every kPollEvents
};

enum class Status : uint8_t { running, drained, time_limit, event_limit, cancelled };

// Few, because with data an event can be milliseconds of work.
inline constexpr uint64_t kPollEvents = 64;

template <class Payload>
class EventQueue {
  static_assert(std::is_trivially_copyable_v<Payload>);

 public:
  explicit EventQueue(Limits limits = {}) : limits_(limits), pause_(std::min(kPollEvents, limits.events)) {
    heap_.reserve(256);
  }

  Time now() const { return now_; }
  uint64_t handled() const { return handled_; }
  Status status() const { return status_; }
  bool empty() const { return heap_.empty(); }

  // `time` may not lie in the past. Phases are small: 0 is handled first.
  void push(Time time, uint8_t phase, const Payload& payload) {
    CHECK(time >= now_, "an event is not pushed into the past");
    const uint64_t order = (static_cast<uint64_t>(phase) << 56) | sequence_++;
    size_t hole = heap_.size();
    heap_.emplace_back();
    while (hole > 0) {
      const size_t parent = (hole - 1) / 4;
      if (!heap_[parent].after(time, order)) break;
      heap_[hole] = heap_[parent];
      hole = parent;
    }
    // Field by field: an entry that is put together first and copied then waits for its own stores.
    heap_[hole].time = time, heap_[hole].order = order, heap_[hole].payload = payload;
  }

  // Takes the next event and moves `now` to its time; false when nothing is left or a limit is reached.
  bool pop(Payload* payload) {
    if (heap_.empty()) return stop(Status::drained);
    if (heap_[0].time > limits_.time) return stop(Status::time_limit);
    if (handled_ >= pause_ && !go_on()) return false;
    ++handled_;
    now_ = heap_[0].time;
    *payload = heap_[0].payload;
    Entry last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sift_down(last);
    return true;
  }

  // True, and time moves, when an event pushed now for (time, phase) would be the very next one: its handler may then
  // run at once. Counts as a handled event.
  bool advance_if_next(Time time, uint8_t phase) {
    if (time > limits_.time || handled_ >= pause_) return false;
    if (!heap_.empty()) {
      const Entry& top = heap_[0];
      if (top.time < time || (top.time == time && (top.order >> 56) <= phase)) return false;
    }
    ++handled_;
    now_ = time;
    return true;
  }

 private:
  struct Entry {
    Time time;
    uint64_t order;
    Payload payload;
    bool after(Time t, uint64_t o) const { return time != t ? time > t : order > o; }
    bool before(const Entry& e) const { return e.after(time, order); }
  };

  // At a pause: whether more events may be handled, up to the next one.
  bool go_on() {
    if (handled_ >= limits_.events) return stop(Status::event_limit);
    if (requested(limits_.cancel)) return stop(Status::cancelled);
    pause_ = handled_ + std::min(kPollEvents, limits_.events - handled_);
    return true;
  }

  bool stop(Status status) {
    status_ = status;
    return false;
  }

  void sift_down(const Entry& entry) {
    size_t hole = 0, size = heap_.size();
    while (true) {
      size_t first = 4 * hole + 1;
      if (first >= size) break;
      size_t least = first, end = first + 4 < size ? first + 4 : size;
      for (size_t child = first + 1; child < end; ++child) {
        if (heap_[child].before(heap_[least])) least = child;
      }
      if (!heap_[least].before(entry)) break;
      heap_[hole] = heap_[least];
      hole = least;
    }
    heap_[hole] = entry;
  }

  std::vector<Entry> heap_;
  Limits limits_;
  Time now_ = 0;
  uint64_t sequence_ = 0, handled_ = 0;
  uint64_t pause_;  // where `handled_` is looked at: the limits of events are checked there only
  Status status_ = Status::running;
};

}  // namespace presil::sim
