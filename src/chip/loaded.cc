#include "chip/loaded.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <unordered_map>

#include "base/hash.h"
#include "chip/bounds.h"
#include "isa/slots.h"

namespace presil::chip {
namespace {

// Products of sizes stay far inside 64 bits.
constexpr double kElementsMax = 0x1p40;

using isa::is_dma;

uint64_t amount_of(const isa::Program& p, const isa::Instruction& i) {
  if (i.operand_count == 0 || isa::is_control(i.opcode)) return 0;
  if (isa::is_matmul(i.opcode)) {
    const bool moves_bits = i.opcode == isa::Opcode::nc_matmul && p.word(i, isa::slots::nc_matmul::is_transpose) != 0;
    if (moves_bits) return 0;
    const isa::View& stationary = p.operand(i, 1);  // all of its numbers meet every column of the result
    return stationary.elements() * dtype_numbers(stationary.dtype) * p.operand(i, 0).elements_per_partition();
  }
  if (i.engine == isa::EngineKind::tensor && !is_dma(i.opcode)) return 0;
  const isa::View& dst = p.operand(i, 0);
  if (!is_dma(i.opcode)) return dst.elements();
  uint64_t bytes = 0;
  for (int k = 0; k < i.operand_count; ++k) {
    if (p.operand(i, k).present()) bytes = std::max(bytes, isa::moved(p, i, k).bytes());
  }
  return bytes;
}

Traffic traffic_of(const isa::Program& p, const isa::Instruction& i) {
  Traffic traffic{.amount = amount_of(p, i)};
  for (int k = 0; k < i.operand_count; ++k) {
    const isa::View& view = p.operand(i, k);
    if (!view.present()) continue;
    const uint64_t bytes = isa::moved(p, i, k).bytes();
    isa::Access access = isa::access_of(p, i, k);
    // Rows that may be skipped are not read for that.
    if (is_dma(i.opcode) && access == isa::Access::read_write) access = isa::Access::write;
    if (access != isa::Access::write) traffic.read[static_cast<size_t>(view.memory)] += bytes;
    if (access != isa::Access::read) traffic.written[static_cast<size_t>(view.memory)] += bytes;
  }
  return traffic;
}

class Loader {
 public:
  Loader(const isa::Executable& executable, const spec::ChipSpec& spec) : exe_(executable), spec_(spec) {}

  Result<Loaded> run() {
    if (exe_.queues.size() > 64) return bad_input(fmt::format("{} queues, at most 64 can run", exe_.queues.size()));
    if (exe_.semaphores > spec_.semaphores.count) {
      return bad_input(
          fmt::format("{} semaphores used, chip {} has {}", exe_.semaphores, spec_.name, spec_.semaphores.count));
    }
    if (exe_.lnc > spec_.lnc_max) {
      return bad_input(fmt::format("a logical core of {} physical cores, chip {} has logical cores of up to {}",
                                   exe_.lnc, spec_.name, spec_.lnc_max));
    }
    TRY(check_hbm());
    out_.cores = exe_.lnc;
    out_.semaphores = exe_.semaphores * exe_.lnc;
    out_.layers = static_cast<uint32_t>(exe_.layers.size());
    for (uint32_t q = 0; q < exe_.queues.size(); ++q) TRY(load_queue(q));
    find_partial_raises();
    find_rivals();
    out_.busiest_first.resize(totals_.size());
    std::iota(out_.busiest_first.begin(), out_.busiest_first.end(), 0u);
    std::stable_sort(out_.busiest_first.begin(), out_.busiest_first.end(),
                     [&](uint32_t a, uint32_t b) { return totals_[a] > totals_[b]; });
    return std::move(out_);
  }

 private:
  // TRY needs a value to hand out.
  struct Done {};

  Error error(uint32_t queue, uint32_t pc, std::string message) const {
    return bad_input(std::move(message), fmt::format("queue {} instruction {}", queue, pc));
  }

  Result<Done> check_hbm() const {
    if (exe_.hbm_bytes > spec_.hbm.bytes) {
      return bad_input(fmt::format("{} bytes of HBM used, a core of chip {} reaches {}", exe_.hbm_bytes, spec_.name,
                                   spec_.hbm.bytes));
    }
    for (const isa::HbmTensor& t : exe_.tensors) {
      if (t.bytes <= exe_.hbm_bytes && t.address <= exe_.hbm_bytes - t.bytes) continue;
      return bad_input(fmt::format("{} bytes at {} are outside of the executable's {} bytes of HBM", t.bytes, t.address,
                                   exe_.hbm_bytes),
                       fmt::format("tensor '{}'", t.name));
    }
    return Done{};
  }

  uint32_t layer_of(const isa::Instruction& i) const {
    return i.source < exe_.sources.size() ? exe_.sources[i.source].layer : 0;
  }

  Result<Done> load_queue(uint32_t q) {
    const isa::Program& p = exe_.queues[q];
    if (std::string problem = repeat_problem(p); !problem.empty()) {
      return bad_input(problem, fmt::format("queue {}", q));
    }
    if (p.core >= exe_.lnc)
      return bad_input(fmt::format("is for core {} of a logical core, which has {}", p.core, exe_.lnc),
                       fmt::format("queue {}", q));
    LoadedQueue& queue = out_.queues.emplace_back();
    queue.core = p.core;
    queue.repeats = map_repeats(p);
    if (isa::has_control(p)) {
      const std::vector<isa::Finding> findings = isa::check_control(p, spec_.sequencer.registers);
      if (!findings.empty()) return bad_input(findings[0].text(), fmt::format("queue {}", q));
      out_.control = true;
    }
    if (!p.code.empty()) queue.engine = p.code[0].engine;
    queue.steps.reserve(p.code.size());
    queue.traffic.reserve(p.code.size());
    __int128 total = 0, times = 1;
    Cursor depth;  // walks statically: how many repeats are around an instruction
    for (uint32_t pc = 0; pc < p.code.size(); ++pc) {
      for (uint32_t r = queue.repeats.opened[pc]; r < queue.repeats.opened[pc + 1]; ++r) {
        depth.open[depth.depth++] = r;
        times *= queue.repeats.repeats[r].count;
      }
      TRY(check(q, pc, depth.depth));
      TRY(load_waits(q, pc, queue));
      queue.steps.push_back(make_step(p, p.code[pc], queue));
      queue.traffic.push_back(traffic_of(p, p.code[pc]));
      queue.steps.back().may_leave = may_leave(p, p.code[pc], repeats_around(queue.repeats, depth), exe_, spec_);
      total += times * queue.steps.back().occupancy;
      for (uint32_t k = 0; k < queue.repeats.closes[pc]; ++k)
        times /= queue.repeats.repeats[depth.open[--depth.depth]].count;
    }
    totals_.push_back(total);
    return Done{};
  }

  // Semaphores on which somebody waits for less than a whole transfer, or that engines raise as well, or the DMA
  // engines of two cores. Increments of a transfer must not be able to overtake those of an earlier one, either.
  void find_partial_raises() {
    std::vector<bool> partial(out_.semaphores);
    std::vector<uint8_t> moved_by(out_.semaphores);  // bit per core whose transfers raise it
    const int64_t whole = spec_.dma.engines;
    for (const LoadedQueue& q : out_.queues) {
      for (const LoadedWait& w : q.waits) {
        bool odd = w.value % whole != 0;
        for (uint32_t d = 0; d < w.delta_count; ++d) odd = odd || q.growths[w.delta_begin + d].step % whole != 0;
        if (odd) partial[w.semaphore] = true;
      }
      for (const Step& s : q.steps) {
        for (const uint16_t signal : {s.signal, s.remote}) {
          if (signal == isa::kNoSemaphore) continue;
          if (s.kind == Step::Kind::transfer) moved_by[signal] |= static_cast<uint8_t>(1u << q.core);
          if (s.kind != Step::Kind::transfer || moved_by[signal] == 3) partial[signal] = true;
        }
      }
    }
    for (LoadedTransfer& t : out_.transfers) {
      const timing::Transfer& timing = out_.timings[t.timing];
      const bool late = timing.start_latency > timing.completion + spec_.semaphores.wake;
      for (const uint16_t signal : {t.signal, t.remote})
        t.raises_whole = t.raises_whole && (signal == isa::kNoSemaphore || (late && !partial[signal]));
    }
  }

  // Who has to look whether a port is free, and at whom.
  void find_rivals() {
    std::vector<timing::Ports> taken(out_.queues.size());  // in any iteration
    for (size_t q = 0; q < taken.size(); ++q) {
      for (const Step& s : out_.queues[q].steps) taken[q] |= s.ports_move ? s.ports | ~timing::kSbufPort : s.ports;
    }
    for (size_t q = 0; q < taken.size(); ++q) {
      LoadedQueue& queue = out_.queues[q];
      timing::Ports wanted = 0;
      for (uint32_t other = 0; other < taken.size(); ++other) {
        const LoadedQueue& rival = out_.queues[other];
        if (rival.core != queue.core || rival.engine == queue.engine || (taken[other] & taken[q]) == 0) continue;
        queue.rivals.push_back(other);
        wanted |= taken[other];
      }
      for (Step& s : queue.steps) {
        s.ports &= wanted;
        s.ports_move = s.ports_move && (wanted & ~timing::kSbufPort) != 0;
      }
    }
  }

  static std::vector<uint32_t> repeats_around(const RepeatMap& map, const Cursor& depth) {
    std::vector<uint32_t> counts;
    for (uint32_t level = 0; level < depth.depth; ++level) counts.push_back(map.repeats[depth.open[level]].count);
    return counts;
  }

  Result<Done> check(uint32_t q, uint32_t pc, uint32_t depth) const {
    const isa::Program& p = exe_.queues[q];
    const isa::Instruction& i = p.code[pc];
    if (i.engine != p.code[0].engine || i.engine_index != p.code[0].engine_index) {
      return error(q, pc,
                   fmt::format("runs on {}{}, its queue on {}{}", isa::engine_name(i.engine), i.engine_index,
                               isa::engine_name(p.code[0].engine), p.code[0].engine_index));
    }
    if (i.signal != isa::kNoSemaphore && i.signal >= exe_.semaphores) {
      return error(q, pc, fmt::format("signals semaphore {}, the executable has {}", i.signal, exe_.semaphores));
    }
    if (i.signal != isa::kNoSemaphore && i.signal_to != isa::SignalTo::own && exe_.lnc < 2) {
      return error(q, pc, fmt::format("signals the other core's semaphore {}, the executable is for one", i.signal));
    }
    if (isa::is_exchange(i.opcode)) {
      return error(q, pc, fmt::format("{} is not carried out yet (isa/exchange.h)", isa::row(i.opcode).name));
    }
    if (is_dma(i.opcode) && i.dma_queue >= spec_.dma.queues) {
      return error(q, pc, fmt::format("DMA queue {}, chip {} has {}", i.dma_queue, spec_.name, spec_.dma.queues));
    }
    if (uint32_t layer = layer_of(i); layer > 0 && layer >= exe_.layers.size()) {
      return error(q, pc, fmt::format("belongs to layer {}, the executable has {}", layer, exe_.layers.size()));
    }
    for (const isa::Delta& d : p.deltas_of(i)) {
      uint32_t limit = d.target == isa::Delta::Target::wait ? i.wait_count : i.operand_count;
      if ((!d.of_register && d.level >= depth) || d.index >= limit) {
        return error(q, pc,
                     fmt::format("a delta names level {} of {} and index {} of {}", d.level, depth, d.index, limit));
      }
    }
    return check_operands(q, pc);
  }

  // What has no meaning on any chip; what one chip forbids is the business of isa/rules.h.
  Result<Done> check_operands(uint32_t q, uint32_t pc) const {
    const isa::Program& p = exe_.queues[q];
    const isa::Instruction& i = p.code[pc];
    const isa::InstructionRow& row = isa::row(i.opcode);
    for (int k = 0; k < i.operand_count; ++k) {
      const isa::View& v = p.operand(i, k);
      const isa::OperandRow& r = row.operands[static_cast<size_t>(k)];
      if (!v.present() && !r.optional) return error(q, pc, fmt::format("{} has no operand '{}'", row.name, r.name));
      if (v.present() && v.base != isa::kAbsolute) {
        return error(q, pc, fmt::format("{} {} is on tile or tensor {}, not placed", row.name, r.name, v.base));
      }
      if (v.present() && v.peer != 0 && (exe_.lnc < 2 || v.memory != isa::Memory::sbuf || !is_dma(i.opcode))) {
        return error(q, pc,
                     fmt::format("{} {} is in {} of another core, where it does not reach", row.name, r.name,
                                 isa::memory_name(v.memory)));
      }
      double elements = v.partitions;
      for (const isa::Dim& d : v.pattern()) elements *= d.count;
      if (v.present() && (elements < 1 || elements > kElementsMax)) {
        return error(
            q, pc,
            fmt::format("{} {} has {:.3g} elements, from 1 to {:.3g}", row.name, r.name, elements, kElementsMax));
      }
    }
    if (!is_dma(i.opcode)) return Done{};
    return check_transfer(q, pc);
  }

  // As many elements on each side; of a table as many rows as are named.
  Result<Done> check_transfer(uint32_t q, uint32_t pc) const {
    const isa::Program& p = exe_.queues[q];
    const isa::Instruction& i = p.code[pc];
    const isa::InstructionRow& row = isa::row(i.opcode);
    const int index = isa::index_of(p, i);
    const uint64_t elements = isa::moved(p, i, 0).elements();
    for (int k = 0; k < i.operand_count; ++k) {
      const isa::View& v = p.operand(i, k);
      if (!v.present() || k == index) continue;
      const std::string_view name = row.operands[static_cast<size_t>(k)].name;
      if (isa::is_table(p, i, k) && (v.memory != isa::Memory::hbm || v.rank == 0))
        return error(q, pc, fmt::format("{} {} has no dimension that counts rows", row.name, name));
      if (isa::moved(p, i, k).elements() != elements)
        return error(
            q, pc,
            fmt::format("{} {} has {} elements, dst {}", row.name, name, isa::moved(p, i, k).elements(), elements));
    }
    return Done{};
  }

  Result<Done> load_waits(uint32_t q, uint32_t pc, LoadedQueue& queue) const {
    const isa::Program& p = exe_.queues[q];
    const isa::Instruction& i = p.code[pc];
    for (uint32_t k = 0; k < i.wait_count; ++k) {
      const isa::Wait& wait = p.waits_of(i)[k];
      if (wait.semaphore >= exe_.semaphores) {
        return error(q, pc,
                     fmt::format("waits for semaphore {}, the executable has {}", wait.semaphore, exe_.semaphores));
      }
      LoadedWait& loaded = queue.waits.emplace_back();
      loaded.semaphore = static_cast<uint16_t>(semaphore_number(exe_, p.core, wait.semaphore));
      loaded.value = wait.value;
      loaded.delta_begin = static_cast<uint32_t>(queue.growths.size());
      for (const isa::Delta& d : p.deltas_of(i)) {
        if (d.target == isa::Delta::Target::wait && d.index == k)
          queue.growths.push_back({d.of_register ? kRepeatDepthMax + d.level : d.level, d.step});
      }
      loaded.delta_count = static_cast<uint16_t>(queue.growths.size() - loaded.delta_begin);
    }
    return Done{};
  }

  uint32_t number_of(const timing::Transfer& timing) {
    const std::array<int64_t, 6> key{timing.start_latency,
                                     timing.dispatch,
                                     timing.full.on_queue,
                                     timing.last.on_queue,
                                     static_cast<int64_t>(timing.full.bytes),
                                     timing.engines_used};
    auto [first, last] = numbers_.equal_range(hash_bytes(std::as_bytes(std::span(key)), 0));
    for (; first != last; ++first) {
      if (out_.timings[first->second] == timing) return first->second;
    }
    out_.timings.push_back(timing);
    const auto number = static_cast<uint32_t>(out_.timings.size() - 1);
    numbers_.emplace(hash_bytes(std::as_bytes(std::span(key)), 0), number);
    return number;
  }

  void signals_of(const isa::Program& p, const isa::Instruction& i, Step& step) const {
    for (uint32_t number : raised_by(exe_, p.core, i)) {
      const bool own = number / exe_.semaphores == p.core;
      (own ? step.signal : step.remote) = static_cast<uint16_t>(number);
    }
  }

  Step make_step(const isa::Program& p, const isa::Instruction& i, const LoadedQueue& queue) {
    Step step;
    step.wait_count = i.wait_count;
    step.wait_begin = static_cast<uint32_t>(queue.waits.size()) - i.wait_count;
    signals_of(p, i, step);
    step.layer = layer_of(i);
    if (is_dma(i.opcode)) {
      step.kind = Step::Kind::transfer;
      step.extra = static_cast<uint32_t>(out_.transfers.size());
      const timing::Transfer timing = timing::transfer(p, i, spec_);
      out_.transfers.push_back({number_of(timing), i.dma_queue, step.signal, step.remote, true, step.layer, i.source});
      step.occupancy = step.latency = timing.trigger;
      step.prepare = timing.prepare;
      return step;
    }
    timing::Cost cost = timing::cost(p, i, spec_);
    step.occupancy = cost.occupancy;
    step.latency = cost.latency;
    step.prepare = cost.prepare;
    if (isa::is_control(i.opcode)) step.kind = Step::Kind::control;
    step.parts = cost.parts, step.parts_busy = cost.parts_busy;
    step.ports = timing::ports_of(p, i, spec_);
    step.ports_move =
        step.ports != 0 && spec_.vector.psum_with_scalar == spec::PortRule::in_part &&
        std::ranges::any_of(p.deltas_of(i), [&](const isa::Delta& d) {
          return d.target == isa::Delta::Target::operand && p.operand(i, d.index).memory == isa::Memory::psum;
        });
    if (const int table = timing::table_of(p, i); table != 0) {
      step.extra = static_cast<uint32_t>(table), step.kind = Step::Kind::table;
    }
    return step;
  }

  const isa::Executable& exe_;
  const spec::ChipSpec& spec_;
  Loaded out_;
  std::unordered_multimap<uint64_t, uint32_t> numbers_;  // hashes of timings, to their places
  std::vector<__int128> totals_;                         // occupancy of all instructions of a queue
};

}  // namespace

Result<Loaded> load(const isa::Executable& executable, const spec::ChipSpec& spec) {
  return Loader(executable, spec).run();
}

}  // namespace presil::chip
