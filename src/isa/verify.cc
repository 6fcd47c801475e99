// Rules of a whole Executable: that its queues are sound, and that queues, semaphores, provenance and the HBM map agree
// with each other and with the chip.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "isa/control.h"
#include "isa/instruction_check.h"
#include "isa/walk.h"
#include "numerics/activation.h"

namespace presil::isa {
namespace {

struct Verifier {
  const Executable& executable;
  const spec::ChipSpec& spec;
  std::vector<Finding> findings;
  std::vector<uint64_t> signalled{};  // per core and semaphore: all increments of the run
  uint32_t semaphores = 0;            // of a core, as far as they are counted
  bool sound = false;                 // every queue's structure

  void fail(uint32_t queue, uint32_t instruction, std::string subject, std::string message) {
    findings.push_back({queue, instruction, std::move(subject), std::move(message)});
  }
  void fail(std::string subject, std::string message) {
    fail(kNoIndex, kNoIndex, std::move(subject), std::move(message));
  }
};

// More increments than any count: how often a queue with branches raises a semaphore is known when it runs.
constexpr uint64_t kUncounted = uint64_t{1} << 62;

uint64_t saturating_product(uint64_t a, uint64_t b) {
  uint64_t out = 0;
  return __builtin_mul_overflow(a, b, &out) ? UINT64_MAX : out;
}
uint64_t saturating_sum(uint64_t a, uint64_t b) {
  uint64_t out = 0;
  return __builtin_add_overflow(a, b, &out) ? UINT64_MAX : out;
}

void check_references(Verifier& v, uint32_t queue, uint32_t n, const InstructionCheck& c) {
  const Instruction& i = c.instruction;
  const InstructionRow& r = row(i.opcode);
  auto fail = [&](std::string_view part, std::string message) {
    v.fail(queue, n, part.empty() ? std::string(r.name) : fmt::format("{} {}", r.name, part), std::move(message));
  };
  for (size_t k = 0; k < r.operands.size(); ++k) {
    View view = c.operand(static_cast<int>(k));
    if (!view.present()) continue;
    if (view.base != kAbsolute) fail(r.operands[k].name, fmt::format("is on tile or tensor {}, not placed", view.base));
    if (view.memory != Memory::hbm || moved_by_register(c, Delta::Target::operand, static_cast<int>(k))) continue;
    view.offset = swept(c, Delta::Target::operand, static_cast<int>(k), view.offset).high;
    int64_t end = byte_range(view).end;
    if (end > 0 && static_cast<uint64_t>(end) > v.executable.hbm_bytes) {
      fail(r.operands[k].name, fmt::format("ends at byte {}, the hbm map at {}", end, v.executable.hbm_bytes));
    }
  }
  for (Finding& f : check_tables(c.program, i, v.executable.activations.size()))
    v.fail(queue, n, std::move(f.subject), std::move(f.message));
  auto semaphore = [&](uint16_t id) {
    if (id < v.executable.semaphores) return;
    fail("", fmt::format("semaphore {}, the executable uses {}", id, v.executable.semaphores));
  };
  for (const Wait& w : c.program.waits_of(i)) semaphore(w.semaphore);
  if (i.signal != kNoSemaphore) semaphore(i.signal);
  if (v.executable.lnc < 2) {
    if (i.signal != kNoSemaphore && i.signal_to != SignalTo::own)
      fail("", fmt::format("signals the other core's semaphore {}, the executable is for one", i.signal));
    for (size_t k = 0; k < r.operands.size(); ++k) {
      if (c.present(static_cast<int>(k)) && c.operand(static_cast<int>(k)).peer != 0)
        fail(r.operands[k].name, "is in the other core's sbuf, the executable is for one core");
    }
  }
  if (i.source != kNoSource && i.source >= v.executable.sources.size()) {
    fail("", fmt::format("source {}, there are {}", i.source, v.executable.sources.size()));
  }
}

void check_settings(Verifier& v) {
  if (v.executable.modes.cfp8_bias > kCfp8BiasMax)
    v.fail("modes", fmt::format("cfp8_bias is {}, at most {}", v.executable.modes.cfp8_bias, kCfp8BiasMax));
  const auto& tables = v.executable.activations;
  if (tables.size() > kCustomActivations)
    v.fail("activations", fmt::format("{} tables, at most {}", tables.size(), kCustomActivations));
  for (const numerics::ActivationTable& t : tables) {
    if (std::string problem = problem_of(t); !problem.empty()) v.fail(fmt::format("activation '{}'", t.name), problem);
  }
}

constexpr uint32_t kCoresMax = 2;  // of a logical core

bool raises(const Program& queue, const Instruction& i, uint32_t core) {
  return i.signal_to == SignalTo::both || (queue.core == core) == (i.signal_to == SignalTo::own);
}

void check_queue(Verifier& v, uint32_t queue, const Program& p) {
  const bool open = has_control(p);  // nobody knows how often
  walk(p, [&](uint32_t n, const std::vector<Repeat>& around) {
    size_t before = v.findings.size();
    const Instruction& i = p.code[n];
    InstructionCheck c{p, i, v.spec, around, v.findings};
    check_instruction(c);
    for (size_t f = before; f < v.findings.size(); ++f) v.findings[f].queue = queue;
    check_references(v, queue, n, c);
    if (i.engine != p.code[0].engine || i.engine_index != p.code[0].engine_index) {
      v.fail(queue, n, std::string(row(i.opcode).name),
             fmt::format("is for {} engine {}, the queue is for {} engine {}", engine_name(i.engine), i.engine_index,
                         engine_name(p.code[0].engine), p.code[0].engine_index));
    }
    if (i.signal >= v.semaphores) return;
    uint64_t times = c.is_dma() ? v.spec.dma.engines : 1;
    for (const Repeat& r : around) times = saturating_product(times, r.count);
    if (open) times = kUncounted;
    for (uint32_t core = 0; core < kCoresMax; ++core) {
      if (!raises(p, i, core)) continue;
      uint64_t& signalled = v.signalled[core * v.semaphores + i.signal];
      signalled = saturating_sum(signalled, times);
    }
  });
}

// A wait for more than all signals together can never end.
void check_reachable(Verifier& v, uint32_t queue, const Program& p) {
  walk(p, [&](uint32_t n, const std::vector<Repeat>& around) {
    const Instruction& i = p.code[n];
    InstructionCheck c{p, i, v.spec, around, v.findings};
    std::span<const Wait> waits = p.waits_of(i);
    for (size_t k = 0; k < waits.size(); ++k) {
      int64_t most = swept(c, Delta::Target::wait, static_cast<int>(k), waits[k].value).high;
      uint16_t id = waits[k].semaphore;
      if (id >= v.semaphores || most <= 0) continue;
      const uint64_t all = v.signalled[p.core * v.semaphores + id];
      if (static_cast<uint64_t>(most) <= all) continue;
      v.fail(queue, n, std::string(row(i.opcode).name),
             fmt::format("waits for semaphore {} to reach {}, all signals make {}", id, most, all));
    }
  });
}

void check_queues(Verifier& v) {
  std::set<std::tuple<uint8_t, EngineKind, uint8_t>> engines;
  v.semaphores = std::min(v.executable.semaphores, v.spec.semaphores.count);
  v.signalled.assign(size_t{kCoresMax} * v.semaphores, 0);
  bool sound = true;
  for (uint32_t q = 0; q < v.executable.queues.size(); ++q) {
    const Program& p = v.executable.queues[q];
    std::vector<Finding> structure = check_structure(p);
    if (p.core >= std::min(v.executable.lnc, kCoresMax))
      structure.push_back({q, kNoIndex, "queue",
                           fmt::format("is for core {} of a logical core, which has {}", p.core, v.executable.lnc)});
    sound &= structure.empty();
    for (Finding& f : structure) f.queue = q;
    std::ranges::move(structure, std::back_inserter(v.findings));
    if (structure.empty() && has_control(p)) {
      structure = check_control(p, v.spec.sequencer.registers);
      sound &= structure.empty();
      for (Finding& f : structure) f.queue = q;
      std::ranges::move(structure, std::back_inserter(v.findings));
    }
    if (!structure.empty() || p.code.empty()) continue;
    check_queue(v, q, p);
    EngineKind engine = p.code[0].engine;
    if (engines.emplace(p.core, engine, p.code[0].engine_index).second) continue;
    v.fail(q, kNoIndex, "queue",
           fmt::format("is a second one for {} engine {}", engine_name(engine), p.code[0].engine_index));
  }
  v.sound = sound;
}

void check_semaphores(Verifier& v) {
  if (v.executable.lnc > v.spec.lnc_max)
    v.fail("lnc", fmt::format("a logical core of {} physical cores, {} has logical cores of {}", v.executable.lnc,
                              v.spec.name, v.spec.lnc_max < 2 ? "1" : "1 or 2"));
  if (v.executable.semaphores > v.spec.semaphores.count) {
    v.fail("semaphores", fmt::format("uses {}, the core has {}", v.executable.semaphores, v.spec.semaphores.count));
  }
  for (size_t s = 0; s < v.signalled.size(); ++s) {
    if (v.signalled[s] <= v.spec.semaphores.maximum || v.signalled[s] >= kUncounted) continue;
    const uint64_t core = s / v.semaphores;
    v.fail(fmt::format("semaphore {}{}", s % v.semaphores, core == 0 ? "" : " of core 1"),
           fmt::format("is signalled {} times, it counts to {}", v.signalled[s], v.spec.semaphores.maximum));
  }
}

void check_tensor(Verifier& v, const HbmTensor& t) {
  auto fail = [&](std::string message) { v.fail(fmt::format("tensor '{}'", t.name), std::move(message)); };
  const uint64_t size = dtype_bytes(t.dtype), end = saturating_sum(t.address, t.bytes);
  uint64_t needed = size;
  for (int64_t d : t.shape) {
    if (d < 0) return fail(fmt::format("dimension {}, at least 0", d));
    needed = saturating_product(needed, static_cast<uint64_t>(d));
  }
  if (t.bytes < needed) fail(fmt::format("{} bytes, its shape needs {}", t.bytes, needed));
  if (end > v.executable.hbm_bytes)
    fail(fmt::format("ends at byte {}, the hbm map at {}", end, v.executable.hbm_bytes));
  if (t.address % size != 0)
    fail(fmt::format("address {} is not a multiple of the element's {} bytes", t.address, size));
  if (t.data.empty()) return;
  if (t.role != TensorRole::constant) fail(fmt::format("has data, but is {}, not constant", role_name(t.role)));
  const uint64_t parts = t.split_axis == HbmTensor::kNotSplit ? 1 : v.executable.cores;
  const uint64_t expected = saturating_product(t.bytes, parts);
  if (t.data.size() != expected) fail(fmt::format("{} bytes of data, expected {}", t.data.size(), expected));
}

// Scratch tensors may share bytes with each other, since they need not live at the same time; nothing else may.
void check_overlaps(Verifier& v) {
  std::vector<const HbmTensor*> by_address;
  for (const HbmTensor& t : v.executable.tensors) {
    if (t.bytes > 0) by_address.push_back(&t);
  }
  std::ranges::stable_sort(by_address, {}, &HbmTensor::address);
  auto end = [](const HbmTensor* t) { return t ? saturating_sum(t->address, t->bytes) : 0; };
  const HbmTensor *furthest = nullptr, *furthest_kept = nullptr;  // of all before; of those that are not scratch
  for (const HbmTensor* t : by_address) {
    bool scratch = t->role == TensorRole::scratch;
    const HbmTensor* before = scratch ? furthest_kept : furthest;
    if (t->address < end(before)) {
      v.fail(fmt::format("tensor '{}'", t->name),
             fmt::format("begins at byte {}, '{}' ends at {}", t->address, before->name, end(before)));
    }
    if (end(t) > end(furthest)) furthest = t;
    if (!scratch && end(t) > end(furthest_kept)) furthest_kept = t;
  }
}

void check_hbm(Verifier& v) {
  uint64_t used = v.executable.hbm_bytes, reachable = v.spec.hbm.bytes;
  if (used > reachable) v.fail("hbm", fmt::format("uses {} bytes, the core reaches {}", used, reachable));
  std::set<std::string_view> names;
  for (const HbmTensor& t : v.executable.tensors) {
    check_tensor(v, t);
    if (t.role == TensorRole::scratch || names.insert(t.name).second) continue;
    v.fail(fmt::format("tensor '{}'", t.name), "is a second one of that name");
  }
  check_overlaps(v);
}

void check_sources(Verifier& v) {
  for (size_t s = 0; s < v.executable.sources.size(); ++s) {
    uint32_t layer = v.executable.sources[s].layer;
    if (layer < v.executable.layers.size()) continue;
    v.fail(fmt::format("source {}", s), fmt::format("layer {}, there are {}", layer, v.executable.layers.size()));
  }
}

}  // namespace

std::vector<Finding> check_tables(const Program& program, const Instruction& instruction, size_t tables) {
  std::vector<Finding> findings;
  const InstructionRow& r = row(instruction.opcode);
  for (size_t k = 0; k < r.attributes.size(); ++k) {
    const auto f = static_cast<Activation>(program.word(instruction, static_cast<int>(k)));
    if (r.attributes[k].kind != AttributeKind::activation || !is_custom(f)) continue;
    if (custom_slot(f) < tables || custom_slot(f) >= kCustomActivations) continue;
    findings.push_back({.subject = fmt::format("{} {}", r.name, r.attributes[k].name),
                        .message = fmt::format("{}, there are {} tables", activation_name(f), tables)});
  }
  return findings;
}

std::vector<Finding> verify(const Executable& executable, const spec::ChipSpec& spec, Waits waits) {
  Verifier v{executable, spec, {}};
  check_settings(v);
  check_queues(v);
  if (v.sound && waits == Waits::can_end) {
    for (uint32_t q = 0; q < executable.queues.size(); ++q) check_reachable(v, q, executable.queues[q]);
  }
  check_semaphores(v);
  check_hbm(v);
  check_sources(v);
  return std::move(v.findings);
}

}  // namespace presil::isa
