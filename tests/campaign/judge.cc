#include "tests/campaign/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "isa/touched.h"

namespace presil::campaign {
namespace {

using isa::Memory;
using isa::View;

constexpr uint32_t kNone = UINT32_MAX;

struct Node {
  uint32_t queue = 0, index = 0;
  bool transfer = false, tensor = false;
  uint32_t dma_queue = 0;
};

// The bytes of one operand: the same runs in each of some partitions.
struct Access {
  uint32_t node = 0;
  bool write = false, accumulates = false, updates = false;
  Memory memory = Memory::none;
  uint32_t core = 0;  // of a pair, whose memory
  uint32_t partition = 0, partitions = 1;
  std::vector<std::pair<int64_t, int64_t>> runs;  // sorted, apart
};

std::vector<std::pair<int64_t, int64_t>> runs_of(const View& v) {
  const auto size = static_cast<int64_t>(dtype_bytes(v.dtype));
  std::vector<int64_t> offsets{v.offset};
  for (const isa::Dim& d : v.pattern()) {
    std::vector<int64_t> next;
    for (int64_t base : offsets) {
      for (uint32_t k = 0; k < d.count; ++k) next.push_back(base + int64_t{d.step} * k * size);
    }
    offsets = std::move(next);
  }
  std::ranges::sort(offsets);
  std::vector<std::pair<int64_t, int64_t>> runs;
  for (int64_t o : offsets) {
    if (!runs.empty() && o <= runs.back().second) {
      runs.back().second = std::max(runs.back().second, o + size);
    } else {
      runs.emplace_back(o, o + size);
    }
  }
  return runs;
}

bool meet(const Access& a, const Access& b) {
  if (a.memory != b.memory || a.core != b.core || a.partition + a.partitions <= b.partition ||
      b.partition + b.partitions <= a.partition) {
    return false;
  }
  for (size_t i = 0, j = 0; i < a.runs.size() && j < b.runs.size();) {
    if (a.runs[i].second <= b.runs[j].first) {
      ++i;
    } else if (b.runs[j].second <= a.runs[i].first) {
      ++j;
    } else {
      return true;
    }
  }
  return false;
}

class Judge {
 public:
  Judge(const isa::Executable& executable, const spec::ChipSpec& spec) : exe_(executable), spec_(spec) {
    for (uint32_t q = 0; q < exe_.queues.size(); ++q) {
      first_.push_back(static_cast<uint32_t>(nodes_.size()));
      for (uint32_t i = 0; i < exe_.queues[q].code.size(); ++i) add(q, i);
    }
  }

  Judgement decide() {
    const std::vector<uint32_t> all = run(kNone);
    for (uint32_t q = 0; q < exe_.queues.size(); ++q) {
      if (all[q] < exe_.queues[q].code.size()) return {Verdict::deadlock, fmt::format("queue {} at {}", q, all[q]), {}};
    }
    for (uint32_t n = 0; n < nodes_.size(); ++n) started_without_.push_back(run(n));
    Judgement out;
    if (std::string pair = unordered_pair(out.order); !pair.empty()) return {Verdict::race, pair, {}};
    out.why = undefined_read();
    if (!out.why.empty()) out.verdict = Verdict::undefined;
    return out;
  }

 private:
  void add(uint32_t q, uint32_t index) {
    const isa::Program& p = exe_.queues[q];
    const isa::Instruction& i = p.code[index];
    const bool transfer = isa::is_dma(i.opcode);
    const auto node = static_cast<uint32_t>(nodes_.size());
    nodes_.push_back({q, index, transfer, !transfer && i.engine == isa::EngineKind::tensor, i.dma_queue});
    for (int k = 0; k < i.operand_count; ++k) {
      const size_t first = accesses_.size();
      for (const View& v : isa::touched(p, i, k)) add_access(node, v, isa::access_of(p, i, k), isa::accumulates(p, i));
      // A transfer's own destination, which it may read before it writes: element by element.
      const bool source = i.opcode == isa::Opcode::dma_compute && p.operand(i, k) == p.operand(i, 0);
      for (size_t a = first; a < accesses_.size(); ++a) accesses_[a].updates = transfer && (k == 0 || source);
    }
  }
  void add_access(uint32_t node, const View& v, isa::Access access, bool accumulates) {
    if (v.elements() == 0) return;
    const uint32_t core = v.memory == Memory::hbm ? 0 : exe_.queues[nodes_[node].queue].core ^ v.peer;
    Access a{node, access != isa::Access::read, false, false, v.memory, core, v.partition, v.partitions, runs_of(v)};
    a.accumulates = accumulates && access == isa::Access::read_write;
    if (access == isa::Access::read_write && !a.accumulates) {  // reads, then writes
      a.write = false;
      accesses_.push_back(a);
      a.write = true;
    }
    accesses_.push_back(std::move(a));
  }

  // How many instructions of each queue start if `held` never completes. `order`: in which order, if wanted.
  std::vector<uint32_t> run(uint32_t held, std::vector<uint32_t>* order = nullptr) const {
    std::vector<uint32_t> next(exe_.queues.size());
    std::vector<uint64_t> semaphores(size_t{exe_.semaphores} * exe_.lnc);
    auto ready = [&](const isa::Program& p, const isa::Instruction& i) {
      return std::ranges::all_of(p.waits_of(i), [&](const isa::Wait& w) {
        return semaphores[isa::semaphore_number(exe_, p.core, w.semaphore)] >= w.value;
      });
    };
    for (bool progress = true; progress;) {
      progress = false;
      for (uint32_t q = 0; q < next.size(); ++q) {
        const isa::Program& p = exe_.queues[q];
        while (next[q] < p.code.size() && ready(p, p.code[next[q]])) {
          const uint32_t node = first_[q] + next[q]++;
          if (order) order->push_back(node);
          progress = true;
          for (uint32_t number : isa::raised_by(exe_, p.core, p.code[nodes_[node].index]))
            semaphores[number] += increments(node, held);
        }
      }
    }
    return next;
  }
  uint32_t increments(uint32_t node, uint32_t held) const {
    const Node& n = nodes_[node];
    const uint32_t full = n.transfer ? spec_.dma.engines : 1;
    if (held == kNone || node < held || nodes_[held].queue != n.queue || nodes_[held].transfer != n.transfer)
      return full;
    if (n.transfer && n.dma_queue != nodes_[held].dma_queue) return full;
    return full - 1;  // the held instruction or share, and what follows it in order
  }

  bool after(uint32_t before, uint32_t now) const {
    return nodes_[now].index >= started_without_[before][nodes_[now].queue];
  }

  // Whether the machine keeps b behind a by itself: reads and writes of one engine happen in its order, but what it
  // has written is seen later only.
  bool in_order(const Access& a, const Access& b) const {
    const Node &x = nodes_[a.node], &y = nodes_[b.node];
    if (x.transfer || y.transfer || x.queue != y.queue || x.index > y.index) return false;
    return x.index == y.index || b.write;
  }

  std::string unordered_pair(std::vector<uint64_t>& order) const {
    for (size_t i = 0; i < accesses_.size(); ++i) {
      for (size_t j = i; j < accesses_.size(); ++j) {
        const Access &a = accesses_[i], &b = accesses_[j];
        if (!(a.write || b.write) || (i == j) || !meet(a, b)) continue;
        if (a.node == b.node && a.updates && b.updates) continue;
        const bool forward = in_order(a, b) || after(a.node, b.node),
                   backward = in_order(b, a) || after(b.node, a.node);
        if (!forward && !backward) {
          return fmt::format("queue {} at {} and queue {} at {}", nodes_[a.node].queue, nodes_[a.node].index,
                             nodes_[b.node].queue, nodes_[b.node].index);
        }
        order.push_back((uint64_t{a.node} << 33) | (uint64_t{b.node} << 1) | (forward ? 1 : 0));
      }
    }
    return {};
  }

  // Of a program without races, in which every legal order shows every access the same bytes.
  std::string undefined_read() const {
    std::vector<uint32_t> order;
    run(kNone, &order);
    enum : uint8_t { kNothing, kByTensor, kByOther };
    std::map<std::tuple<Memory, uint32_t, uint32_t>, std::vector<uint8_t>> memory;  // by core and partition
    auto bytes = [&](const Access& a, uint32_t p) -> std::vector<uint8_t>& {
      std::vector<uint8_t>& m = memory[{a.memory, a.core, p}];
      if (m.size() < static_cast<size_t>(a.runs.back().second)) m.resize(static_cast<size_t>(a.runs.back().second));
      return m;
    };
    for (const isa::HbmTensor& t : exe_.tensors) {
      if (t.role != isa::TensorRole::input && t.role != isa::TensorRole::constant) continue;
      std::vector<uint8_t>& m = memory[{Memory::hbm, 0, 0}];
      m.resize(std::max<size_t>(m.size(), t.address + t.bytes));
      std::fill_n(m.begin() + static_cast<ptrdiff_t>(t.address), t.bytes, kByOther);
    }
    std::vector<std::vector<const Access*>> of(nodes_.size());
    for (const Access& a : accesses_) of[a.node].push_back(&a);
    for (uint32_t node : order) {
      for (bool writes : {false, true}) {
        for (const Access* a : of[node]) {
          for (uint32_t p = a->partition; p < a->partition + a->partitions; ++p) {
            std::vector<uint8_t>& m = bytes(*a, p);
            for (auto [from, to] : a->runs) {
              for (int64_t b = from; b < to; ++b) {
                uint8_t& by = m[static_cast<size_t>(b)];
                const bool fine = a->accumulates ? by == kByTensor : by != kNothing;
                if (!writes && (!a->write || a->accumulates) && !fine) {
                  return fmt::format("queue {} at {}: byte {} of partition {}", nodes_[node].queue, nodes_[node].index,
                                     b, p);
                }
                if (writes && a->write) by = nodes_[node].tensor ? kByTensor : kByOther;
              }
            }
          }
        }
      }
    }
    return {};
  }

  const isa::Executable& exe_;
  const spec::ChipSpec& spec_;
  std::vector<Node> nodes_;
  std::vector<uint32_t> first_;  // node of each queue's first instruction
  std::vector<Access> accesses_;
  std::vector<std::vector<uint32_t>> started_without_;  // by node: run(node)
};

}  // namespace

Judgement judge(const isa::Executable& executable, const spec::ChipSpec& spec) {
  return Judge(executable, spec).decide();
}

}  // namespace presil::campaign
