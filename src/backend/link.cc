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

constexpr uint32_t kConditionRegister = 0;
constexpr uint64_t kAlignment = 64;

const LinkPart* first_code(const LinkParts& parts) {
  for (const LinkPart& p : parts) {
    if (p.node.empty()) return &p;
    for (const LinkParts* way : {&p.then, &p.otherwise}) {
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
    if (out_.hbm_bytes > spec_.hbm.bytes)
      return unsupported(fmt::format("tensors need {}, a core of {} reaches {} of HBM", bytes_text(out_.hbm_bytes),
                                     spec_.name, bytes_text(spec_.hbm.bytes)),
                         out_.model);
    return std::move(out_);
  }

 private:
  void find_sequencers(const LinkParts& parts) {
    for (const LinkPart& p : parts) {
      for (const isa::Program& q : p.code.queues) {
        if (!q.code.empty()) sequencers_.insert({q.code[0].engine, q.code[0].engine_index});
      }
      find_sequencers(p.then), find_sequencers(p.otherwise);
    }
  }

  isa::Program& queue(const Sequencer& s) {
    return out_.queues[static_cast<size_t>(std::distance(sequencers_.begin(), sequencers_.find(s)))];
  }

  // Appends parts whose semaphores begin at `base`; returns where those that come later begin.
  uint32_t sequence(const LinkParts& parts, uint32_t base, bool more) {
    for (size_t k = 0; k < parts.size(); ++k) {
      const bool follows = more || k + 1 < parts.size();
      base = parts[k].node.empty() ? part(parts[k].code, base, follows) : branch(parts[k], base, follows);
    }
    return base;
  }

  // Only one way is gone, once: they share semaphores.
  uint32_t branch(const LinkPart& p, uint32_t base, bool more) {
    const uint32_t source = add_source(p.node, "if");
    std::vector<uint32_t> heads, skips;
    const isa::View condition = element(p.condition);
    for (const Sequencer& s : sequencers_) {
      isa::Program& q = queue(s);
      Instruction& load = add(q, Opcode::register_load, s, source);
      q.views[load.operand_begin] = condition;
      word(q, slots::register_load::dst) = kConditionRegister;
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
    const uint32_t otherwise = way(p.otherwise, p.otherwise_halts, source, base, more);
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

  // Increments of every semaphore that transfers of a queue raise.
  void count_transfers(const isa::Program& p, std::map<uint16_t, uint64_t>& totals) const {
    std::vector<uint64_t> times(p.code.size(), 1);
    for (const isa::Repeat& r : p.repeats) {
      for (uint32_t n = r.first; n < r.last; ++n) times[n] *= r.count;
    }
    for (size_t n = 0; n < p.code.size(); ++n) {
      const Instruction& i = p.code[n];
      if (isa::is_dma(i.opcode) && i.signal != isa::kNoSemaphore) totals[i.signal] += times[n] * spec_.dma.engines;
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
    std::map<uint16_t, uint64_t> totals;
    for (const isa::Program& p : code.queues) {
      if (p.code.empty()) continue;
      count_transfers(p, totals);
      append(p, queue({p.code[0].engine, p.code[0].engine_index}), moved, base, sources);
    }
    if (!more) return base + code.semaphores;
    meet(code, base, totals);
    return base + code.semaphores + 1;
  }

  // Every engine says that it, and the transfers that it triggered, are done; then it waits until all have.
  void meet(const isa::Executable& code, uint32_t base, const std::map<uint16_t, uint64_t>& totals) {
    const uint32_t source = add_source(out_.layers.back().name, "meet");
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
        q.waits.push_back({static_cast<uint16_t>(base + semaphore), static_cast<uint32_t>(totals.at(semaphore))});
        ++q.code.back().wait_count;
      }
      add(q, Opcode::wait, s, source).wait_count = 1;
      q.waits.push_back({meeting, static_cast<uint32_t>(sequencers_.size())});
    }
  }

  static void append(const isa::Program& from, isa::Program& to,
                     const std::map<uint64_t, std::pair<uint64_t, uint64_t>>& moved, uint32_t base, uint32_t sources) {
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
