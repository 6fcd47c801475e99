#include "backend/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "backend/synchronize.h"
#include "base/check.h"
#include "base/text.h"
#include "isa/slots.h"
#include "numerics/alu.h"

namespace presil::backend {
namespace {

using isa::Instruction;
using isa::Opcode;
namespace slots = isa::slots;

constexpr uint32_t kConditionRegister = 0;  // of a branch; loops take those behind it
constexpr uint64_t kAlignment = 64;

const LinkPart* first_code(const LinkParts& parts) {
  for (const LinkPart& p : parts) {
    if (p.node.empty()) return &p;
    for (const LinkParts* way : {&p.then, &p.otherwise, p.loop ? &p.loop->body : &p.then}) {
      if (const LinkPart* found = first_code(*way)) return found;
    }
  }
  return nullptr;
}

class Linker {
 public:
  Linker(std::vector<isa::HbmTensor> ends, const spec::ChipSpec& spec) : spec_(spec) {
    for (isa::HbmTensor& t : ends) {
      shared_[t.name] = out_.tensors.size();
      names_.insert(t.name);
      put(std::move(t));
    }
  }

  Result<isa::Executable> run(const LinkParts& parts) {
    const LinkPart* first = first_code(parts);
    CHECK(first != nullptr, "a program has code");
    out_.spec_hash = first->code.spec_hash, out_.chip = first->code.chip, out_.model = first->code.model;
    out_.precision = first->code.precision;
    find_sequencers(parts);
    out_.queues.resize(sequencers_.size());
    out_.semaphores = sequence(parts, 0, false);
    if (out_.semaphores > spec_.semaphores.count)
      return unsupported(fmt::format("the program's parts need {} semaphores, the core has {}", out_.semaphores,
                                     spec_.semaphores.count),
                         out_.model);
    if (registers_most_ > spec_.sequencer.registers)
      return unsupported(fmt::format("loops need {} registers of a sequencer, which has {}", registers_most_,
                                     spec_.sequencer.registers),
                         out_.model);
    if (out_.hbm_bytes > spec_.hbm.bytes)
      return unsupported(fmt::format("tensors need {}, a core of {} reaches {} of HBM", bytes_text(out_.hbm_bytes),
                                     spec_.name, bytes_text(spec_.hbm.bytes)),
                         out_.model);
    return std::move(out_);
  }

 private:
  using Again = std::map<uint16_t, uint32_t>;  // by semaphore of a part: the register that earlier iterations raised

  void find_sequencers(const LinkParts& parts) {
    for (const LinkPart& p : parts) {
      for (const isa::Program& q : p.code.queues) {
        if (!q.code.empty()) sequencers_.insert({q.code[0].engine, q.code[0].engine_index});
      }
      find_sequencers(p.then), find_sequencers(p.otherwise);
      if (p.loop) find_sequencers(p.loop->body);
    }
  }

  isa::Program& queue(const Sequencer& s) {
    return out_.queues[static_cast<size_t>(std::distance(sequencers_.begin(), sequencers_.find(s)))];
  }

  // Appends parts whose semaphores begin at `base`; returns where those that come later begin.
  uint32_t sequence(const LinkParts& parts, uint32_t base, bool more) {
    for (size_t k = 0; k < parts.size(); ++k) {
      const bool follows = more || k + 1 < parts.size();
      base = parts[k].loop           ? loop(parts[k], base)
             : parts[k].node.empty() ? part(parts[k].code, base, follows)
                                     : branch(parts[k], base, follows);
    }
    return base;
  }

  // Iterations of one thing after the other: all meet behind every part of the body.
  uint32_t loop(const LinkPart& p, uint32_t base) {
    const LinkLoop& l = *p.loop;
    const uint32_t source = add_source(p.node, "loop");
    const uint32_t before = registers_;
    if (depth_ == 0) count_in(l);
    const uint32_t counter = take_register(), until = take_register();
    isa::View number;
    if (!l.iteration.name.empty()) {
      place(l.iteration);
      number = element(l.iteration.name);
    }
    std::vector<uint32_t> skips, heads, leaves;
    for (const Sequencer& s : sequencers_) {
      isa::Program& q = queue(s);
      if (!l.go.empty()) skips.push_back(leave_unless(q, s, l.go, source));
      if (!l.trips.empty()) load(q, s, l.trips, until, source);
      if (!l.trips.empty() && l.trips_most < INT32_MAX) {
        add(q, Opcode::register_alu, s, source);
        word(q, slots::register_alu::dst) = word(q, slots::register_alu::a) = until;
        word(q, slots::register_alu::op) = static_cast<uint32_t>(AluOp::min);
        word(q, slots::register_alu::imm) = static_cast<uint32_t>(std::max<int64_t>(l.trips_most, 0));
      }
      heads.push_back(static_cast<uint32_t>(q.code.size()));
      add(q, Opcode::loop, s, source);
      word(q, slots::loop::counter) = counter;
      word(q, slots::loop::until) = l.trips.empty() ? isa::kNoRegister : until;
      word(q, slots::loop::until_imm) = static_cast<uint32_t>(std::clamp<int64_t>(l.trips_most, 0, INT32_MAX));
    }
    ++depth_;
    if (!l.iteration.name.empty()) base = tell(l, number, counter, base, source);
    base = sequence(l.body, base, true);
    --depth_;
    for (const Sequencer& s : sequencers_) {
      isa::Program& q = queue(s);
      if (!l.again.empty()) load(q, s, l.again, kConditionRegister, source);
    }
    base = all_have_read(l, base, source);
    for (const Sequencer& s : sequencers_) {
      isa::Program& q = queue(s);
      if (!l.again.empty()) leaves.push_back(leave_if_zero(q, s, source));
      add(q, Opcode::loop_end, s, source);
      word(q, slots::loop_end::to) = heads[static_cast<size_t>(&q - out_.queues.data())];
    }
    for (size_t q = 0; q < heads.size(); ++q) {
      isa::Program& p_ = out_.queues[q];
      p_.attributes[p_.code[heads[q]].attribute_begin + slots::loop::to] = static_cast<uint32_t>(p_.code.size());
    }
    land(skips), land(leaves);
    if (depth_ == 0) registers_ = before;
    return base;
  }

  uint32_t take_register() {
    registers_most_ = std::max(registers_most_, registers_ + 1);
    return registers_++;
  }

  static void load(isa::Program& q, const Sequencer& s, const isa::View& from, uint32_t reg, uint32_t source) {
    Instruction& i = add(q, Opcode::register_load, s, source);
    q.views[i.operand_begin] = from;
    word(q, slots::register_load::dst) = reg;
  }
  void load(isa::Program& q, const Sequencer& s, const std::string& name, uint32_t reg, uint32_t source) const {
    load(q, s, element(name), reg, source);
  }
  // The branch that has to land behind the loop.
  uint32_t leave_unless(isa::Program& q, const Sequencer& s, const std::string& name, uint32_t source) const {
    load(q, s, name, kConditionRegister, source);
    return leave_if_zero(q, s, source);
  }
  static uint32_t leave_if_zero(isa::Program& q, const Sequencer& s, uint32_t source) {
    add(q, Opcode::branch, s, source);
    word(q, slots::branch::op) = static_cast<uint32_t>(AluOp::eq);
    word(q, slots::branch::a) = kConditionRegister;
    return static_cast<uint32_t>(q.code.size() - 1);
  }

  // One sequencer stores the iteration's number; the others wait for it.
  uint32_t tell(const LinkLoop& l, const isa::View& number, uint32_t counter, uint32_t base, uint32_t source) {
    const uint32_t told = told_.at(&l);
    for (const Sequencer& s : sequencers_) {
      isa::Program& q = queue(s);
      if (s == *sequencers_.begin()) {
        Instruction& i = add(q, Opcode::register_store, s, source);
        q.views[i.operand_begin] = number;
        word(q, slots::register_store::src) = counter;
        i.signal = static_cast<uint16_t>(base);
      }
      add(q, Opcode::wait, s, source);
      wait(q, static_cast<uint16_t>(base), 1, told);
      grow(q, s, told, 1, source);
    }
    return base + 1;
  }

  // What decides was read by all before the next iteration writes it anew.
  uint32_t all_have_read(const LinkLoop& l, uint32_t base, uint32_t source) {
    const auto all = static_cast<uint32_t>(sequencers_.size());
    const uint32_t read = read_.at(&l);
    for (const Sequencer& s : sequencers_) {
      isa::Program& q = queue(s);
      add(q, Opcode::wait, s, source).signal = static_cast<uint16_t>(base);
      add(q, Opcode::wait, s, source);
      wait(q, static_cast<uint16_t>(base), all, read);
      grow(q, s, read, all, source);
    }
    return base + 1;
  }

  // A wait of the last instruction, whose register holds what earlier iterations have counted.
  static void wait(isa::Program& q, uint16_t semaphore, uint32_t value, std::optional<uint32_t> reg) {
    Instruction& i = q.code.back();
    if (i.wait_count == 0) i.wait_begin = static_cast<uint32_t>(q.waits.size());
    if (reg) {
      if (i.delta_count == 0) i.delta_begin = static_cast<uint32_t>(q.deltas.size());
      isa::Delta d(isa::Delta::Target::wait, i.wait_count, static_cast<uint16_t>(*reg), 1);
      d.of_register = true;
      q.deltas.push_back(d), ++i.delta_count;
    }
    q.waits.push_back({semaphore, value});
    ++i.wait_count;
  }

  static void grow(isa::Program& q, const Sequencer& s, uint32_t reg, uint64_t more, uint32_t source) {
    add(q, Opcode::register_alu, s, source);
    word(q, slots::register_alu::dst) = word(q, slots::register_alu::a) = reg;
    word(q, slots::register_alu::imm) = static_cast<uint32_t>(more);
  }

  // Registers for everything inside an outermost loop that counts anew in every iteration: zero before it.
  void count_in(const LinkLoop& l) {
    if (!l.iteration.name.empty()) told_[&l] = count_from_zero();
    read_[&l] = count_from_zero();
    for (const LinkPart& p : l.body) count_in(p);
  }
  void count_in(const LinkPart& p) {
    if (p.loop) return count_in(*p.loop);
    for (const LinkParts* way : {&p.then, &p.otherwise}) {
      for (const LinkPart& inner : *way) count_in(inner);
    }
    if (!p.node.empty()) return;
    std::map<uint64_t, uint32_t>& classes = classes_[&p.code];
    std::set<uint64_t> all{sequencers_.size()};
    for (const auto& [semaphore, total] : totals_of(p.code)) all.insert(total);
    for (uint64_t total : all) classes[total] = count_from_zero();
  }
  uint32_t count_from_zero() {
    const uint32_t reg = take_register();
    for (const Sequencer& s : sequencers_) {
      add(queue(s), Opcode::register_move, s, isa::kNoSource);
      word(queue(s), slots::register_move::dst) = reg;
    }
    return reg;
  }

  // Only one way is gone, once: they share semaphores. In a loop both may be, and each counts for itself.
  uint32_t branch(const LinkPart& p, uint32_t base, bool more) {
    const uint32_t source = add_source(p.node, "if");
    std::vector<uint32_t> heads, skips;
    const isa::View condition = element(p.condition);
    for (const Sequencer& s : sequencers_) {
      isa::Program& q = queue(s);
      load(q, s, condition, kConditionRegister, source);
      heads.push_back(static_cast<uint32_t>(q.code.size()));
      add(q, Opcode::branch, s, source);
      word(q, slots::branch::op) = static_cast<uint32_t>(AluOp::eq);
      word(q, slots::branch::a) = kConditionRegister;
    }
    const uint32_t then = way(p.then, p.then_halts, source, base, more);
    for (const Sequencer& s : sequencers_) {
      skips.push_back(static_cast<uint32_t>(queue(s).code.size()));
      add(queue(s), Opcode::branch, s, source);
    }
    land(heads);
    const uint32_t otherwise = way(p.otherwise, p.otherwise_halts, source, depth_ > 0 ? then : base, more);
    land(skips);
    return std::max(then, otherwise);
  }

  uint32_t way(const LinkParts& parts, bool halts, uint32_t source, uint32_t base, bool more) {
    if (!halts) return sequence(parts, base, more);
    for (const Sequencer& s : sequencers_) add(queue(s), Opcode::halt, s, source);
    return base;
  }

  // The branches at these places go to the present end of their queues.
  void land(const std::vector<uint32_t>& at) {
    for (size_t q = 0; q < at.size(); ++q) {
      isa::Program& p = out_.queues[q];
      p.attributes[p.code[at[q]].attribute_begin + slots::branch::to] = static_cast<uint32_t>(p.code.size());
    }
  }

  static Instruction& add(isa::Program& q, Opcode opcode, const Sequencer& s, uint32_t source) {
    Instruction& i = q.append(opcode, s.kind);
    i.engine_index = s.index, i.source = source;
    return i;
  }
  static uint32_t& word(isa::Program& q, int slot) {
    return q.attributes[q.code.back().attribute_begin + static_cast<uint32_t>(slot)];
  }

  uint32_t add_source(std::string node, std::string_view tile_op) {  // by value: it may be a name in `layers`
    out_.layers.push_back({node, std::string(tile_op), 0, 0});
    out_.sources.push_back({static_cast<uint32_t>(out_.layers.size() - 1), std::string(tile_op), node});
    return static_cast<uint32_t>(out_.sources.size() - 1);
  }

  isa::View element(const std::string& name) const {
    const auto found = shared_.find(name);
    CHECK(found != shared_.end(), "a condition is written before it is read");
    const isa::HbmTensor& t = out_.tensors[found->second];
    return {.memory = isa::Memory::hbm, .dtype = t.dtype, .offset = static_cast<int64_t>(t.address)};
  }

  // Where a part's tensor lies now. Inputs and outputs are shared by name, the rest is its own.
  uint64_t place(const isa::HbmTensor& t) {
    const bool own = t.role == isa::TensorRole::constant || t.role == isa::TensorRole::scratch;
    if (!own) {
      if (auto found = shared_.find(t.name); found != shared_.end()) return out_.tensors[found->second].address;
      shared_[t.name] = out_.tensors.size();
    }
    isa::HbmTensor placed = t;
    if (!own) placed.role = isa::TensorRole::scratch;
    if (!names_.insert(t.name).second) placed.name = fmt::format("{}#{}", t.name, out_.tensors.size());
    return put(std::move(placed));
  }

  uint64_t put(isa::HbmTensor t) {
    t.address = out_.hbm_bytes;
    out_.hbm_bytes += (t.bytes + kAlignment - 1) / kAlignment * kAlignment;
    out_.tensors.push_back(std::move(t));
    return out_.tensors.back().address;
  }

  // What every semaphore of a part counts.
  std::map<uint16_t, uint64_t> totals_of(const isa::Executable& code) const {
    std::map<uint16_t, uint64_t> totals;
    for (const isa::Program& p : code.queues) count_increments(p, totals);
    return totals;
  }
  void count_increments(const isa::Program& p, std::map<uint16_t, uint64_t>& totals) const {
    std::vector<uint64_t> times(p.code.size(), 1);
    for (const isa::Repeat& r : p.repeats) {
      for (uint32_t n = r.first; n < r.last; ++n) times[n] *= r.count;
    }
    for (size_t n = 0; n < p.code.size(); ++n) {
      const Instruction& i = p.code[n];
      if (i.signal != isa::kNoSemaphore) totals[i.signal] += times[n] * (isa::is_dma(i.opcode) ? spec_.dma.engines : 1);
    }
  }

  uint32_t part(const isa::Executable& code, uint32_t base, bool more) {
    std::map<uint64_t, std::pair<uint64_t, uint64_t>> moved;  // address to the end there, and the address here
    for (const isa::HbmTensor& t : code.tensors) moved[t.address] = {t.address + t.bytes, place(t)};
    const auto layers = static_cast<uint32_t>(out_.layers.size()), sources = static_cast<uint32_t>(out_.sources.size());
    out_.layers.insert(out_.layers.end(), code.layers.begin(), code.layers.end());
    for (isa::Source s : code.sources) {
      s.layer += layers;
      out_.sources.push_back(std::move(s));
    }
    const std::map<uint16_t, uint64_t> totals = totals_of(code);
    Again again;  // where it runs once, nothing
    if (depth_ > 0) {
      for (const auto& [semaphore, total] : totals) again[semaphore] = classes_.at(&code).at(total);
    }
    for (const isa::Program& p : code.queues) {
      if (p.code.empty()) continue;
      append(p, queue({p.code[0].engine, p.code[0].engine_index}), moved, base, sources, again);
    }
    if (!more) return base + code.semaphores;
    meet(code, base, totals, again);
    return base + code.semaphores + 1;
  }

  // Every engine says that it, and the transfers that it triggered, are done; then it waits until all have.
  void meet(const isa::Executable& code, uint32_t base, const std::map<uint16_t, uint64_t>& totals,
            const Again& again) {
    const uint32_t source = add_source(out_.layers.back().name, "meet");
    auto known = [&](uint16_t semaphore) {
      auto found = again.find(semaphore);
      return found == again.end() ? std::nullopt : std::optional(found->second);
    };
    std::optional<uint32_t> met;
    if (depth_ > 0) met = classes_.at(&code).at(sequencers_.size());
    const auto meeting = static_cast<uint16_t>(base + code.semaphores);
    for (const Sequencer& s : sequencers_) {
      isa::Program& q = queue(s);
      std::set<uint16_t> own;
      for (const isa::Program& p : code.queues) {
        if (p.code.empty() || Sequencer{p.code[0].engine, p.code[0].engine_index} != s) continue;
        for (const Instruction& i : p.code) {
          if (isa::is_dma(i.opcode) && i.signal != isa::kNoSemaphore) own.insert(i.signal);
        }
      }
      add(q, Opcode::wait, s, source).signal = meeting;
      for (uint16_t semaphore : own) {
        wait(q, static_cast<uint16_t>(base + semaphore), static_cast<uint32_t>(totals.at(semaphore)), known(semaphore));
      }
      add(q, Opcode::wait, s, source);
      wait(q, meeting, static_cast<uint32_t>(sequencers_.size()), met);
      if (depth_ == 0) continue;
      for (const auto& [total, reg] : classes_.at(&code)) grow(q, s, reg, total, source);
    }
  }

  static void append(const isa::Program& from, isa::Program& to,
                     const std::map<uint64_t, std::pair<uint64_t, uint64_t>>& moved, uint32_t base, uint32_t sources,
                     const Again& again) {
    const auto code = static_cast<uint32_t>(to.code.size());
    for (const isa::Repeat& r : from.repeats) to.repeats.push_back({r.first + code, r.last + code, r.count});
    for (Instruction i : from.code) {
      const Instruction old = i;
      i.operand_begin = static_cast<uint32_t>(to.views.size());
      i.attribute_begin = static_cast<uint32_t>(to.attributes.size());
      i.wait_begin = static_cast<uint32_t>(to.waits.size());
      i.delta_begin = static_cast<uint32_t>(to.deltas.size());
      for (isa::View v : from.operands(old)) {
        if (v.memory == isa::Memory::hbm) {
          auto tensor = std::prev(moved.upper_bound(static_cast<uint64_t>(v.offset)));
          CHECK(static_cast<uint64_t>(v.offset) < tensor->second.first, "an operand in HBM lies in a tensor");
          v.offset += static_cast<int64_t>(tensor->second.second) - static_cast<int64_t>(tensor->first);
        }
        to.views.push_back(v);
      }
      std::ranges::copy(from.attrs(old), std::back_inserter(to.attributes));
      for (isa::Wait w : from.waits_of(old)) {
        w.semaphore = static_cast<uint16_t>(w.semaphore + base);
        to.waits.push_back(w);
      }
      std::ranges::copy(from.deltas_of(old), std::back_inserter(to.deltas));
      for (uint8_t k = 0; k < old.wait_count; ++k) {
        auto reg = again.find(from.waits_of(old)[k].semaphore);
        if (reg == again.end()) continue;
        isa::Delta d(isa::Delta::Target::wait, k, static_cast<uint16_t>(reg->second), 1);
        d.of_register = true;
        to.deltas.push_back(d), ++i.delta_count;
      }
      if (i.signal != isa::kNoSemaphore) i.signal = static_cast<uint16_t>(i.signal + base);
      if (i.source != isa::kNoSource) i.source += sources;
      to.code.push_back(i);
    }
  }

  const spec::ChipSpec& spec_;
  std::set<std::string> names_;
  isa::Executable out_;
  std::set<Sequencer> sequencers_;        // of the queues, in order
  std::map<std::string, size_t> shared_;  // tensors by name
  uint32_t depth_ = 0;                    // of loops
  uint32_t registers_ = kConditionRegister + 1, registers_most_ = 0;
  std::map<const LinkLoop*, uint32_t> told_,
      read_;  // count iterations whose number was told, and sequencers at their ends
  std::map<const isa::Executable*, std::map<uint64_t, uint32_t>> classes_;  // of parts in loops, by what they count
};

}  // namespace

uint32_t part_semaphores(const spec::ChipSpec& spec, size_t parts) {
  const uint32_t each = spec.semaphores.count / static_cast<uint32_t>(std::max<size_t>(1, parts));
  return each > 1 ? each - 1 : 1;
}

Result<isa::Executable> link(const LinkParts& parts, std::vector<isa::HbmTensor> ends, const spec::ChipSpec& spec) {
  return Linker(std::move(ends), spec).run(parts);
}

}  // namespace presil::backend
