#include "tests/campaign/mutate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tests/campaign/mutate_dynamic.h"

namespace presil::campaign {
namespace {

using isa::Executable;
using isa::Instruction;
using isa::Program;
using isa::View;

constexpr std::array<std::string_view, kFaultCount> kNames = {
    "drop_wait",      "lower_wait",      "raise_wait",        "wrong_semaphore",  "drop_signal",   "wrong_signal",
    "extra_signal",   "sbuf_address",    "psum_address",      "hbm_address",      "swap",          "loop_bounds",
    "register_value", "register_number", "register_operator", "register_address", "branch_target", "control_dropped",
    "moving_step",    "moving_register", "wait_register",     "index_values",     "index_place",   "table_shape",
    "index_mode",     "signal_core",     "peer_memory"};

struct Place {
  uint32_t queue = 0, instruction = 0, item = 0;
};

template <class F>
std::vector<Place> places(const Executable& e, F items) {
  std::vector<Place> out;
  for (uint32_t q = 0; q < e.queues.size(); ++q) {
    for (uint32_t n = 0; n < e.queues[q].code.size(); ++n) {
      for (uint32_t item : items(e.queues[q], n)) out.push_back({q, n, item});
    }
  }
  return out;
}

using Items = std::vector<uint32_t>;

Items waits_of(const Program& p, uint32_t n) {
  Items out;
  for (uint32_t k = 0; k < p.code[n].wait_count; ++k) out.push_back(k);
  return out;
}

Items operands_in(const Program& p, uint32_t n, isa::Memory m) {
  Items out;
  for (int k = 0; k < p.code[n].operand_count; ++k) {
    if (p.operand(p.code[n], k).memory == m) out.push_back(static_cast<uint32_t>(k));
  }
  return out;
}

// Both in the same repeats.
bool neighbours(const Program& p, uint32_t n) {
  if (n + 1 >= p.code.size()) return false;
  return std::ranges::none_of(p.repeats, [&](const isa::Repeat& r) { return r.last == n + 1 || r.first == n + 1; });
}

Items items_of(Fault f, const Program& p, uint32_t n) {
  const bool signals = p.code[n].signal != isa::kNoSemaphore;
  switch (f) {
    case Fault::drop_wait:
    case Fault::lower_wait:
    case Fault::raise_wait:
    case Fault::wrong_semaphore:
      return waits_of(p, n);
    case Fault::drop_signal:
    case Fault::wrong_signal:
      return signals ? Items{0} : Items{};
    case Fault::extra_signal:
      return signals ? Items{} : Items{0};
    case Fault::sbuf_address:
      return operands_in(p, n, isa::Memory::sbuf);
    case Fault::psum_address:
      return operands_in(p, n, isa::Memory::psum);
    case Fault::hbm_address:
      return operands_in(p, n, isa::Memory::hbm);
    case Fault::swap:
      return neighbours(p, n) ? Items{0} : Items{};
    default:
      return dynamic_items(f, p, n);
  }
}

// A wait that is satisfied from the start, in every iteration.
void drop_wait(Program& p, Instruction& i, uint32_t item) {
  p.waits[i.wait_begin + item].value = 0;
  keep_deltas(p, i, [&](const isa::Delta& d) { return d.target != isa::Delta::Target::wait || d.index != item; });
}

uint16_t other_semaphore(const Executable& e, uint16_t semaphore, Prng& random) {
  const auto pick = static_cast<uint16_t>(random.below(e.semaphores - 1));
  return pick >= semaphore ? static_cast<uint16_t>(pick + 1) : pick;
}

// False if there is nothing else to choose.
bool plant(Executable& e, Fault f, const Place& at, Prng& random) {
  Program& p = e.queues[at.queue];
  Instruction& i = p.code[at.instruction];
  isa::Wait* wait = at.item < i.wait_count ? &p.waits[i.wait_begin + at.item] : nullptr;
  switch (f) {
    case Fault::drop_wait:
      drop_wait(p, i, at.item);
      return true;
    case Fault::lower_wait:
      if (wait->value == 0) return false;
      wait->value -= random.below(2) ? 1 : static_cast<uint32_t>(1 + random.below(wait->value));
      return true;
    case Fault::raise_wait:
      wait->value += random.below(2) ? 1 : static_cast<uint32_t>(1 + random.below(16));
      return true;
    case Fault::wrong_semaphore:
      if (e.semaphores < 2) return false;
      wait->semaphore = other_semaphore(e, wait->semaphore, random);
      return true;
    case Fault::drop_signal:
      i.signal = isa::kNoSemaphore;
      return true;
    case Fault::wrong_signal:
      if (e.semaphores < 2) return false;
      i.signal = other_semaphore(e, i.signal, random);
      return true;
    case Fault::extra_signal:
      if (e.semaphores == 0) return false;
      i.signal = static_cast<uint16_t>(random.below(e.semaphores));
      return true;
    case Fault::sbuf_address:
    case Fault::psum_address:
    case Fault::hbm_address:
      move_operand(p, p.views[i.operand_begin + at.item], random);
      return true;
    case Fault::swap:
      std::swap(p.code[at.instruction], p.code[at.instruction + 1]);
      return true;
    default:
      return plant_dynamic(p, f, i, at.item, random);
  }
}

}  // namespace

void move_operand(const Program& p, View& v, Prng& random) {
  const auto size = static_cast<int64_t>(dtype_bytes(v.dtype));
  const isa::ByteRange range = isa::byte_range(v);
  const int64_t sign = random.below(2) ? 1 : -1;
  std::vector<int64_t> others;
  for (const View& o : p.views) {
    if (o.memory == v.memory && o.offset != v.offset && o.offset % size == 0) others.push_back(o.offset);
  }
  switch (random.below(3)) {
    case 0:
      v.offset += sign * size;
      return;
    case 1:
      v.offset += sign * (range.end - range.begin);
      return;
    default:
      v.offset = others.empty() ? v.offset + size : others[random.below(others.size())];
      return;
  }
}

std::string_view fault_name(Fault f) { return kNames[static_cast<size_t>(f)]; }

bool changes_accesses(Fault f) { return f >= Fault::sbuf_address; }

std::optional<Executable> mutate(const Executable& executable, Fault fault, Prng& random, std::string& what) {
  const std::vector<Place> all =
      places(executable, [&](const Program& p, uint32_t n) { return items_of(fault, p, n); });
  if (all.empty()) return std::nullopt;
  const Place at = all[random.below(all.size())];
  what = fmt::format("{} {} of queue {} at {}", fault_name(fault), at.item, at.queue, at.instruction);
  Executable mutant = executable;
  if (!plant(mutant, fault, at, random)) return std::nullopt;
  return mutant;
}

}  // namespace presil::campaign
