#include "chip/scoreboard.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace presil::chip {
namespace {

uint64_t bit(uint32_t slot) { return uint64_t{1} << slot; }

bool overlap(const Box& a, const Box& b) {
  return a.memory == b.memory && a.core == b.core && a.begin < b.end && b.begin < a.end &&
         a.partition < b.partition_end && b.partition < a.partition_end;
}

template <class F>
void for_each_bit(uint64_t mask, F&& f) {
  for (; mask != 0; mask &= mask - 1) f(static_cast<uint32_t>(std::countr_zero(mask)));
}

}  // namespace

uint64_t Scoreboard::conflicts(const Box& box) const {
  const Around& around = around_[place(box)];
  uint64_t near = 0;
  for (uint32_t s = 0; s < kSlots; ++s) {
    near |= static_cast<uint64_t>((around.begin[s] < box.end) & (box.begin < around.end[s])) << s;
  }
  uint64_t found = 0;
  for_each_bit(near & unfinished_, [&](uint32_t s) {
    for (const Box& other : slots_[s].boxes.all()) {
      if ((box.writes || other.writes) && overlap(box, other)) found |= bit(s);
    }
  });
  return found;
}

uint32_t Scoreboard::enter(std::span<const Box> boxes) {
  CHECK(!full(), "a slot is free");
  const auto slot = static_cast<uint32_t>(entered_++ % kSlots);
  Slot& s = slots_[slot];
  s.boxes.count = 0;
  s.waits_for = 0;
  for (const Box& box : boxes) {
    s.boxes.add(box);
    s.waits_for |= conflicts(box);
  }
  for (const Box& box : boxes) {
    Around& around = around_[place(box)];
    const bool first = around.begin[slot] == around.end[slot];
    around.begin[slot] = first ? box.begin : std::min(around.begin[slot], box.begin);
    around.end[slot] = first ? box.end : std::max(around.end[slot], box.end);
  }
  unfinished_ |= bit(slot);
  if (s.waits_for == 0) ready_ |= bit(slot);
  return slot;
}

uint32_t Scoreboard::take() {
  CHECK(ready_ != 0, "an instruction waits for nothing");
  const auto oldest = static_cast<int>(left_ % kSlots);
  const auto slot = static_cast<uint32_t>((std::countr_zero(std::rotr(ready_, oldest)) + oldest) % int{kSlots});
  ready_ &= ~bit(slot);
  return slot;
}

void Scoreboard::finish(uint32_t slot) {
  unfinished_ &= ~bit(slot);
  for (Around& around : around_) around.begin[slot] = around.end[slot] = 0;
  for_each_bit(unfinished_, [&](uint32_t s) {
    uint64_t& waits_for = slots_[s].waits_for;
    if ((waits_for & bit(slot)) == 0) return;
    waits_for &= ~bit(slot);
    if (waits_for == 0) ready_ |= bit(s);
  });
  while (left_ < entered_ && (unfinished_ & bit(static_cast<uint32_t>(left_ % kSlots))) == 0) ++left_;
}

}  // namespace presil::chip
