#include "chip/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "chip/access_log.h"
#include "chip/byte_set.h"
#include "isa/touched.h"

namespace presil::chip {
namespace {

constexpr uint64_t kSramBucket = 1024, kHbmBucket = 64 * 1024;

// An operand of a static instruction; its place is relative to the offsets of an iteration.
struct Operand {
  uint8_t index = 0;
  isa::Memory memory = isa::Memory::none;
  uint8_t core = 0;  // of a pair, whose SBUF or PSUM
  isa::Access access = isa::Access::read;
  bool constant = false;  // in HBM that no instruction writes: only its being written is asked
  bool updated = false;   // a transfer reads each element and then writes it: its write says it all
  uint32_t shape = 0;
  int64_t begin = 0, extent = 0;
};

// SBUF and PSUM of one physical core.
struct Srams {
  Srams(const ShapeTable& shapes, const spec::ChipSpec& spec)
      : sbuf_log(shapes, spec.sbuf.bytes_per_partition, kSramBucket),
        psum_log(shapes, spec.psum.bytes_per_partition, kSramBucket),
        sbuf_written(spec.sbuf.partitions, spec.sbuf.bytes_per_partition),
        psum_written(spec.psum.partitions, spec.psum.bytes_per_partition),
        psum_foreign(spec.psum.partitions, spec.psum.bytes_per_partition) {}
  AccessLog sbuf_log, psum_log;
  PartitionedSet sbuf_written, psum_written;
  PartitionedSet psum_foreign;  // written last by another engine than the tensor engine
};

struct Static {
  std::vector<Operand> operands;
  bool dma = false, tensor = false, accumulates = false;
};

}  // namespace

struct Checker::State {
  State(const isa::Executable& executable, const spec::ChipSpec& spec)
      : exe(executable),
        order(executable, spec),
        hbm_log(shapes, executable.hbm_bytes, kHbmBucket),
        hbm_written(executable.hbm_bytes) {
    for (uint32_t core = 0; core < exe.lnc; ++core) srams.emplace_back(shapes, spec);
    for (const isa::HbmTensor& t : exe.tensors) {
      if (t.role != isa::TensorRole::input && t.role != isa::TensorRole::constant) continue;
      hbm_written.insert(static_cast<int64_t>(t.address), static_cast<int64_t>(t.address + t.bytes));
    }
    for (const isa::Program& program : exe.queues) prepare(program);
    mark_constants();
  }

  void prepare(const isa::Program& program) {
    std::vector<Static>& all = statics.emplace_back();
    for (const isa::Instruction& i : program.code) {
      Static& s = all.emplace_back();
      s.dma = isa::is_dma(i.opcode);
      s.tensor = i.engine == isa::EngineKind::tensor && !s.dma;
      s.accumulates = isa::accumulates(program, i);
      for (int k = 0; k < i.operand_count; ++k) {
        for (const isa::View& view : isa::touched(program, i, k)) {
          Placed p = place(view);
          if (p.shape.run == 0) continue;
          const uint8_t core = view.memory == isa::Memory::hbm ? 0 : program.core ^ view.peer;
          s.operands.push_back({static_cast<uint8_t>(k), view.memory, core, isa::access_of(program, i, k), false,
                                updates(program, i, k), shapes.intern(p.shape), p.begin, p.shape.extent()});
        }
      }
    }
  }

  // Whether a transfer works on its destination, through it or through a source that is the same.
  static bool updates(const isa::Program& program, const isa::Instruction& i, int k) {
    if (!isa::is_dma(i.opcode)) return false;
    if (k == 0) return isa::access_of(program, i, k) == isa::Access::read_write;
    return i.opcode == isa::Opcode::dma_compute && program.operand(i, k) == program.operand(i, 0);
  }

  // Reads of HBM that no instruction writes need no record.
  void mark_constants() {
    std::map<int64_t, int64_t> written;  // begin to end, disjoint
    for_each_hbm([&](const Operand& o, int64_t begin, int64_t end) {
      if (o.access == isa::Access::read) return;
      auto it = written.upper_bound(begin);
      if (it != written.begin() && std::prev(it)->second >= begin) --it, begin = it->first;
      for (; it != written.end() && it->first <= end; it = written.erase(it)) end = std::max(end, it->second);
      written[begin] = end;
    });
    for_each_hbm([&](Operand& o, int64_t begin, int64_t end) {
      auto it = written.lower_bound(end);  // the first that begins too late
      o.constant = o.access == isa::Access::read && (it == written.begin() || std::prev(it)->second <= begin);
    });
  }

  // f(operand, begin, end) with the bytes it may touch in any iteration.
  template <class F>
  void for_each_hbm(F&& f) {
    for (size_t q = 0; q < statics.size(); ++q) {
      const isa::Program& program = exe.queues[q];
      for (uint32_t pc = 0; pc < statics[q].size(); ++pc) {
        for (Operand& o : statics[q][pc].operands) {
          if (o.memory != isa::Memory::hbm) continue;
          int64_t begin = o.begin, end = o.begin + o.extent;
          for (const isa::Delta& d : program.deltas_of(program.code[pc])) {
            if (d.target != isa::Delta::Target::operand || d.index != o.index) continue;
            if (d.of_register) {  // anywhere
              begin = 0, end = static_cast<int64_t>(exe.hbm_bytes);
              continue;
            }
            int64_t furthest = d.step * (iterations(program, pc, d.level) - 1);
            (furthest < 0 ? begin : end) += furthest;
          }
          f(o, begin, end);
        }
      }
    }
  }

  static int64_t iterations(const isa::Program& program, uint32_t pc, uint32_t level) {
    for (const isa::Repeat& r : program.repeats) {
      if (r.first <= pc && pc < r.last && level-- == 0) return r.count;
    }
    return 1;
  }

  void executed(const Executed& e) {
    const isa::Instruction& i = exe.queues[e.queue].code[e.instruction];
    const Static& s = statics[e.queue][e.instruction];
    Site site{e.queue, e.instruction};
    for (size_t k = 0; k < e.wait_values.size(); ++k) {
      order.wait(site, exe.queues[e.queue].waits_of(i)[k].semaphore, e.wait_values[k]);
    }
    Epoch epoch = s.dma ? order.transfer(site, &ambiguities) : order.step(site, &ambiguities);
    for (const HappensBefore::Ambiguity& a : ambiguities) report_ambiguity(a);
    ambiguities.clear();
    // All inputs are read before anything is written.
    for (const Operand& o : s.operands) {
      if (o.access != isa::Access::write)
        read(site, epoch, s, o, e.offsets[o.index], o.updated && e.offsets[o.index] == e.offsets[0]);
    }
    for (const Operand& o : s.operands) {
      if (o.access != isa::Access::read) write(site, epoch, s, o, e.offsets[o.index]);
    }
  }

  AccessLog& log(const Operand& o) {
    if (o.memory == isa::Memory::hbm) return hbm_log;
    return o.memory == isa::Memory::sbuf ? srams[o.core].sbuf_log : srams[o.core].psum_log;
  }

  void read(Site site, Epoch epoch, const Static& s, const Operand& o, int64_t offset, bool updated) {
    const Shape& shape = shapes[o.shape];
    int64_t begin = o.begin + offset;
    bool accumulates = s.accumulates && o.access == isa::Access::read_write;
    PartitionedSet& foreign = srams[o.core].psum_foreign;
    if (!written(o, shape, begin)) {
      if (accumulates) {
        report(Finding::Kind::psum, site, "accumulates onto", o, begin, "no matmul has started");
      } else {
        report(Finding::Kind::never_written, site, "reads", o, begin, "nothing has written");
      }
    } else if (accumulates && !foreign.never_used() && foreign.touches(shape, begin)) {
      report(Finding::Kind::psum, site, "accumulates onto", o, begin, "another engine has written");
    }
    if (o.constant || accumulates || updated) return;  // what updates is ordered as a write
    enter(site, epoch, s, o, begin, false);
  }

  void write(Site site, Epoch epoch, const Static& s, const Operand& o, int64_t offset) {
    const Shape& shape = shapes[o.shape];
    int64_t begin = o.begin + offset;
    enter(site, epoch, s, o, begin, true);
    Srams& own = srams[o.core];
    switch (o.memory) {
      case isa::Memory::sbuf:
        return own.sbuf_written.insert(shape, begin);
      case isa::Memory::psum:
        own.psum_written.insert(shape, begin);
        if (!s.tensor) {
          own.psum_foreign.insert(shape, begin);
        } else if (!s.accumulates && !own.psum_foreign.never_used()) {
          own.psum_foreign.erase(shape, begin);
        }
        return;
      case isa::Memory::hbm:
        return for_each_run(shape, begin, [&](int64_t from, int64_t to) { hbm_written.insert(from, to); });
      case isa::Memory::none:
        return;
    }
  }

  bool written(const Operand& o, const Shape& shape, int64_t begin) {
    if (o.memory == isa::Memory::sbuf) return srams[o.core].sbuf_written.contains(shape, begin);
    if (o.memory == isa::Memory::psum) return srams[o.core].psum_written.contains(shape, begin);
    if (hbm_written.contains(begin, begin + shape.extent())) return true;
    bool all = true;
    for_each_run(shape, begin, [&](int64_t from, int64_t to) { all = all && hbm_written.contains(from, to); });
    return all;
  }

  void enter(Site site, Epoch epoch, const Static& s, const Operand& o, int64_t begin, bool writes) {
    Access access{o.shape, begin, begin + o.extent, epoch, site, writes, s.tensor};
    AccessLog& log = this->log(o);
    log.enter(
        access, [&](const Epoch& before) { return ordered(before, access); },
        [&](const Access& before) { report_race(before, access, o); });
    if (log.wants_cleaning()) clean(log);
  }

  bool ordered(const Epoch& before, const Access& now) const {
    if (before.agent == now.epoch.agent && order.is_engine(now.epoch.agent)) {
      if (before.number == now.epoch.number || now.write) return true;
    }
    return order.complete(before, now.site.queue);
  }

  // What everybody knows to be complete conflicts with nothing any more. An engine need not know that its own reads
  // are complete: it writes after them anyway.
  void clean(AccessLog& log) {
    order.known_to_all(complete, complete_to_others);
    log.clean(
        [&](const Access& a) { return (a.write ? complete : complete_to_others)[a.epoch.agent] >= a.epoch.number; });
  }

  std::string name(Site s) const {
    const isa::Instruction& i = exe.queues[s.queue].code[s.instruction];
    return fmt::format("{} of {}", instruction_text(exe, s.queue, s.instruction), source_text(exe, i.source));
  }

  std::string where(const Operand& o, int64_t begin) const {
    const Shape& shape = shapes[o.shape];
    if (o.memory == isa::Memory::hbm)
      return fmt::format("hbm bytes [{}, {}){}", begin, begin + o.extent, tensor(begin));
    return fmt::format("{}{} partitions [{}, {}) bytes [{}, {})", core_prefix(exe, o.core), isa::memory_name(o.memory),
                       shape.partition, shape.partition + shape.partitions, begin, begin + o.extent);
  }

  std::string tensor(int64_t address) const {
    for (const isa::HbmTensor& t : exe.tensors) {
      if (static_cast<uint64_t>(address) - t.address < t.bytes) return fmt::format(" of tensor '{}'", t.name);
    }
    return {};
  }

  bool is_new(Finding::Kind kind, Site site, Site other) {
    return known.insert({kind, site.queue, site.instruction, other.queue, other.instruction}).second;
  }

  // `doing` the place, of which `what` is wrong.
  void report(Finding::Kind kind, Site site, const char* doing, const Operand& o, int64_t begin, const char* what) {
    if (!is_new(kind, site, {})) return;
    findings.push_back({kind, site, {}, fmt::format("{} {} {} that {}", name(site), doing, where(o, begin), what)});
  }

  void report_race(const Access& before, const Access& now, const Operand& o) {
    if (!is_new(Finding::Kind::race, now.site, before.site)) return;
    findings.push_back({Finding::Kind::race, now.site, before.site,
                        fmt::format("{} {} {}; no semaphore orders it after {}, which {} there", name(now.site),
                                    now.write ? "writes" : "reads", where(o, now.begin), name(before.site),
                                    before.write ? "writes" : "reads")});
  }

  void report_ambiguity(const HappensBefore::Ambiguity& a) {
    if (!is_new(Finding::Kind::ambiguous_wait, a.wait, a.signal)) return;
    findings.push_back({Finding::Kind::ambiguous_wait, a.wait, a.signal,
                        fmt::format("{} waits for semaphore {}, which {} can raise as well before what it waits for",
                                    name(a.wait), a.semaphore, name(a.signal))});
  }

  const isa::Executable& exe;
  HappensBefore order;
  ShapeTable shapes;
  std::vector<Srams> srams;  // by core
  AccessLog hbm_log;
  PagedSet hbm_written;
  std::vector<std::vector<Static>> statics;  // per queue and instruction
  std::vector<HappensBefore::Ambiguity> ambiguities;
  std::vector<uint32_t> complete, complete_to_others;
  std::set<std::tuple<Finding::Kind, uint32_t, uint32_t, uint32_t, uint32_t>> known;
  std::vector<Finding> findings;
};

std::string_view finding_name(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::never_written:
      return "never_written";
    case Finding::Kind::race:
      return "race";
    case Finding::Kind::psum:
      return "psum";
    case Finding::Kind::ambiguous_wait:
      return "ambiguous_wait";
  }
  return {};
}

Checker::Checker(const isa::Executable& executable, const spec::ChipSpec& spec)
    : state_(std::make_unique<State>(executable, spec)) {}
Checker::~Checker() = default;

std::string Checker::executed(const Executed& instruction) {
  state_->executed(instruction);
  return {};
}

const std::vector<Finding>& Checker::findings() const { return state_->findings; }

}  // namespace presil::chip
