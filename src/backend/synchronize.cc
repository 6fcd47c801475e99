// Vector clocks: each sequencer knows, per stream, the last event that is complete whenever its current instruction
// starts. Waiting for an event also teaches what that event's instruction knew when it started. Candidates are taken
// latest first, so a wait that another one implies is never emitted.
#include "backend/synchronize.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "backend/queues.h"

namespace presil::backend {
namespace {

using isa::Instruction;
using isa::Memory;
using tile::TileProgram;

// Streams and the event of every instruction.
Result<Synchronization> number_events(const TileProgram& program, const spec::ChipSpec& spec, const Options& options) {
  Synchronization out;
  std::map<uint8_t, uint32_t> queues;  // used, to their rank
  for (const Instruction& i : program.code.code) {
    Sequencer s{i.engine, i.engine_index};
    auto at = std::lower_bound(out.sequencers.begin(), out.sequencers.end(), s);
    if (at == out.sequencers.end() || *at != s) out.sequencers.insert(at, s);
    if (is_dma(i)) queues[i.dma_queue] = 0;
  }
  auto sequencers = static_cast<uint32_t>(out.sequencers.size());
  uint32_t rank = 0;
  for (auto& [queue, r] : queues) r = rank++;
  uint32_t ahead = 1;
  if (!queues.empty()) {
    const uint32_t count = std::min(spec.semaphores.count, options.semaphores_max);
    uint32_t free = count > sequencers ? count - sequencers : 0;
    ahead = std::min(options.transfers_ahead, free / static_cast<uint32_t>(queues.size()));
  }
  if (ahead == 0 || sequencers > spec.semaphores.count) {
    return unsupported(fmt::format("{} engines and {} DMA queues need a semaphore each, the core has {}", sequencers,
                                   queues.size(), spec.semaphores.count),
                       program.model);
  }
  out.streams = sequencers + ahead * static_cast<uint32_t>(queues.size());
  std::vector<uint32_t> issued(sequencers), transfers(queues.size());
  for (const Instruction& i : program.code.code) {
    Sequencer s{i.engine, i.engine_index};
    auto lane = static_cast<uint32_t>(std::lower_bound(out.sequencers.begin(), out.sequencers.end(), s) -
                                      out.sequencers.begin());
    out.sequencer.push_back(lane);
    if (is_dma(i)) {
      uint32_t queue = queues[i.dma_queue], n = transfers[queue]++;
      out.events.push_back({sequencers + queue * ahead + n % ahead, n / ahead + 1});
    } else {
      out.events.push_back({lane, ++issued[lane]});
    }
  }
  return out;
}

class Synchronizer {
 public:
  Synchronizer(const TileProgram& program, const Placement& placement, const std::vector<LiveRange>& ranges,
               Synchronization& out)
      : program_(program), placement_(placement), ranges_(ranges), out_(out), needs_(out.streams) {
    size_t streams = out.streams;
    known_.assign(out.sequencers.size(), std::vector<uint32_t>(streams));
    current_snapshot_.assign(out.sequencers.size(), 0);
    snapshots_.assign(streams, 0);  // snapshot 0: nothing is known
    instructions_.resize(streams);
    tiles_.resize(program.tiles.size());
    tensors_.resize(program.tensors.size());
    count_accesses();
    for (const TileProgram::Order& edge : program.order) orders_.push_back(edge);
    std::sort(orders_.begin(), orders_.end(),
              [](const auto& a, const auto& b) { return std::pair(a.after, a.before) < std::pair(b.after, b.before); });
  }

  void run() {
    auto n = static_cast<uint32_t>(program_.code.code.size());
    for (uint32_t i = 0; i < n; ++i) {
      out_.wait_begin.push_back(static_cast<uint32_t>(out_.waits.size()));
      step(i);
    }
    out_.wait_begin.push_back(static_cast<uint32_t>(out_.waits.size()));
  }

 private:
  struct Storage {
    size_t accesses = 0;
    bool written = false;
    std::unique_ptr<AccessLog> log;
    std::vector<Event> inherited;  // of the tiles that held this memory before
    std::vector<Event> last;       // once it has ended
  };

  Storage& storage(const isa::View& v) { return v.memory == Memory::hbm ? tensors_[v.base] : tiles_[v.base]; }

  void count_accesses() {
    for (const Instruction& i : program_.code.code) {
      for (int k = 0; k < i.operand_count; ++k) {
        const isa::View& v = program_.code.operand(i, k);
        if (!v.present()) continue;
        Storage& s = storage(v);
        ++s.accesses;
        s.written |= isa::access_of(program_.code, i, k) != isa::Access::read;
      }
    }
  }

  // A tile begins: whatever used its memory must have ended before anything is written here.
  void begin(Storage& s, const isa::View& v) {
    uint64_t bytes = v.memory == Memory::hbm ? program_.tensors[v.base].bytes : program_.tiles[v.base].bytes;
    s.log = std::make_unique<AccessLog>(bytes, s.accesses);
    if (v.memory == Memory::hbm) return;
    std::map<uint32_t, uint32_t> latest;
    for (uint32_t t : placement_.places[v.base].previous) {
      for (const Event& e : tiles_[t].last) latest[e.stream] = std::max(latest[e.stream], e.count);
    }
    for (auto [stream, count] : latest) s.inherited.push_back({stream, count});
  }

  void end(Storage& s) {
    s.last = s.log->last_events();
    s.log.reset();
  }

  void step(uint32_t i) {
    const Instruction& instruction = program_.code.code[i];
    uint32_t lane = out_.sequencer[i];
    Event event = out_.events[i];
    bool transfer = is_dma(instruction);
    needs_.clear();
    if (transfer && event.count > 1) needs_.add({event.stream, event.count - 1});
    for (; next_order_ < orders_.size() && orders_[next_order_].after == i; ++next_order_) {
      needs_.add(out_.events[orders_[next_order_].before]);
    }
    // Reads first: a write may supersede what they conflict with.
    for (isa::Access pass : {isa::Access::read, isa::Access::read_write, isa::Access::write}) {
      for (int k = 0; k < instruction.operand_count; ++k) {
        if (isa::access_of(program_.code, instruction, k) == pass) operand(i, k, pass, event, transfer, known_[lane]);
      }
    }
    resolve(lane);
    instructions_[event.stream].push_back(i);
    snapshot_of_.push_back(current_snapshot_[lane]);
    for (const isa::View& v : program_.code.operands(instruction)) {
      if (v.present() && v.memory != Memory::hbm && ranges_[v.base].last == i && storage(v).log) end(storage(v));
    }
  }

  void operand(uint32_t i, int k, isa::Access a, Event event, bool transfer, std::span<const uint32_t> known) {
    const Instruction& instruction = program_.code.code[i];
    const isa::View& v = program_.code.operand(instruction, k);
    if (!v.present()) return;
    Storage& s = storage(v);
    // An input or a constant. A tile that is only read here was written before; others take over its memory.
    if (!s.written && v.memory == Memory::hbm) return;
    if (!s.log) begin(s, v);
    Access access{&v, a != isa::Access::write, a != isa::Access::read};
    access.accumulates = access.writes && instruction.engine == isa::EngineKind::tensor && v.memory == Memory::psum;
    access.asynchronous = transfer;
    access.event = event;
    if (access.writes) {
      for (const Event& e : s.inherited) {
        if (known[e.stream] < e.count && (transfer || e.stream != event.stream)) needs_.add(e);
      }
    }
    s.log->access(access, known, needs_);
  }

  // Emits the waits that `lane` needs and learns what they imply.
  void resolve(uint32_t lane) {
    std::vector<uint32_t>& known = known_[lane];
    candidates_.clear();
    for (uint32_t s : needs_.streams()) {
      uint32_t count = needs_.count(s);
      if (known[s] < count) candidates_.push_back({instructions_[s][count - 1], {s, count}});
    }
    std::sort(candidates_.begin(), candidates_.end(),
              [](const Candidate& a, const Candidate& b) { return a.instruction > b.instruction; });
    size_t first = out_.waits.size();
    for (const Candidate& c : candidates_) {
      if (known[c.event.stream] >= c.event.count) continue;
      out_.waits.push_back(c.event);
      const uint32_t* learnt = snapshots_.data() + size_t{snapshot_of_[c.instruction]} * out_.streams;
      for (size_t s = 0; s < known.size(); ++s) known[s] = std::max(known[s], learnt[s]);
      known[c.event.stream] = std::max(known[c.event.stream], c.event.count);
    }
    if (out_.waits.size() == first) return;
    std::sort(out_.waits.begin() + static_cast<ptrdiff_t>(first), out_.waits.end(),
              [](const Event& a, const Event& b) { return a.stream < b.stream; });
    current_snapshot_[lane] = static_cast<uint32_t>(snapshots_.size() / out_.streams);
    snapshots_.insert(snapshots_.end(), known.begin(), known.end());
  }

  struct Candidate {
    uint32_t instruction;
    Event event;
  };

  const TileProgram& program_;
  const Placement& placement_;
  const std::vector<LiveRange>& ranges_;
  Synchronization& out_;
  Needs needs_;
  std::vector<Storage> tiles_, tensors_;
  std::vector<std::vector<uint32_t>> known_;         // by sequencer, by stream
  std::vector<uint32_t> current_snapshot_;           // by sequencer
  std::vector<uint32_t> snapshot_of_;                // by instruction
  std::vector<uint32_t> snapshots_;                  // pool, out_.streams each
  std::vector<std::vector<uint32_t>> instructions_;  // by stream: instruction of each event
  std::vector<TileProgram::Order> orders_;           // by `after`
  size_t next_order_ = 0;
  std::vector<Candidate> candidates_;
};

}  // namespace

void find_waits(const TileProgram& program, const Placement& placement, const std::vector<LiveRange>& ranges,
                Synchronization& numbered) {
  Synchronizer(program, placement, ranges, numbered).run();
}

Result<Synchronization> synchronize(const TileProgram& program, const Placement& placement,
                                    const std::vector<LiveRange>& ranges, const spec::ChipSpec& spec,
                                    const Options& options) {
  Synchronization out = TRY(number_events(program, spec, options));
  find_waits(program, placement, ranges, out);
  return out;
}

}  // namespace presil::backend
