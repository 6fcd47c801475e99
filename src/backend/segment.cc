#include "backend/segment.h"

#include <algorithm>
#include <map>

#include "backend/queues.h"
#include "isa/slots.h"

namespace presil::backend {
namespace {

using isa::Instruction;
using isa::Memory;
using isa::View;
using tile::TileProgram;
using Steps = std::vector<std::pair<uint32_t, int64_t>>;  // register, bytes

Steps steps_of(const isa::Program& p, const Instruction& i, int k) {
  Steps steps;
  for (const isa::Delta& d : p.deltas_of(i)) {
    if (d.of_register && d.target == isa::Delta::Target::operand && d.index == k) steps.emplace_back(d.level, d.step);
  }
  return steps;
}

// All that a view whose address comes from registers may touch.
View all_of(View v, uint64_t bytes) {
  constexpr uint64_t kRun = uint64_t{1} << 30;
  v.dtype = DType::uint8, v.offset = 0, v.rank = 1;
  v.dims[0] = {1, static_cast<uint32_t>(std::min(bytes, kRun))};
  if (bytes <= kRun) return v;
  // Runs that overlap, since a view is a rectangle.
  const uint64_t runs = (bytes + kRun - 1) / kRun;
  v.rank = 2, v.dims[1] = v.dims[0];
  v.dims[0] = {static_cast<int32_t>((bytes - kRun + runs - 2) / (runs - 1)), static_cast<uint32_t>(runs)};
  const auto over = static_cast<int64_t>((runs - 1) * static_cast<uint64_t>(v.dims[0].step) + kRun - bytes);
  v.dims[1].count -= static_cast<uint32_t>(over);
  return v;
}

// How the operands on one tile or tensor move.
struct Motion {
  bool any = false, alike = true;  // alike: all by the same registers and steps
  Steps steps;
  int64_t begin = INT64_MAX, end = INT64_MIN;  // bytes, where registers hold 0
};

class Maker {
 public:
  Maker(const TileProgram& program, const Crew& crew, const Placement& placement, const std::vector<LiveRange>& ranges,
        const SegmentPlace& place, uint32_t streams, const spec::ChipSpec& spec)
      : program_(program), crew_(crew), placement_(placement), ranges_(ranges), place_(place), spec_(spec) {
    sub_.tiles = program.tiles, sub_.tensors = program.tensors;
    own_.places = placement.places;
    sync_.sequencers = crew.sequencers, sync_.streams = streams;
    out_.raised.resize(streams), out_.drainer.assign(streams, kNoStream), out_.busy.resize(crew.sequencers.size());
    issued_.resize(streams);
  }

  Segment run() {
    for (uint32_t n = place_.first; n < place_.last; ++n) observe(n);
    if (place_.loop != nullptr) copy(true);
    once_ = static_cast<uint32_t>(sub_.code.code.size());
    const std::vector<uint32_t> before = issued_;
    copy(false);
    per_pass_ = issued_;
    for (size_t s = 0; s < before.size(); ++s) per_pass_[s] -= before[s];
    own_.places.resize(sub_.tiles.size());
    const std::vector<LiveRange> live = live_ranges(sub_);
    if (place_.loop != nullptr) inherit(live);
    find_waits(sub_, own_, live, sync_);
    number_signals();
    return std::move(out_);
  }

 private:
  Motion& motion(const View& v) { return v.memory == Memory::hbm ? tensors_[v.base] : tiles_[v.base]; }

  void observe(uint32_t n) {
    const Instruction& i = program_.code.code[n];
    const tile::RegisterUse use = tile::register_use(program_.code, i);
    if (use.written != isa::kNoRegister) written_.push_back(use.written);
    for (int k = 0; k < i.operand_count; ++k) {
      const View& v = program_.code.operand(i, k);
      if (!v.present()) continue;
      Motion& m = motion(v);
      const Steps steps = steps_of(program_.code, i, k);
      m.alike = m.alike && (!m.any || steps == m.steps);
      m.any = true, m.steps = steps;
      const isa::ByteRange range = isa::byte_range(v);
      m.begin = std::min(m.begin, range.begin), m.end = std::max(m.end, range.end);
    }
  }

  bool constant(uint32_t reg) const { return std::ranges::count(written_, reg) == 0; }
  uint32_t counter() const {
    return place_.loop == nullptr
               ? isa::kNoRegister
               : program_.code.word(program_.code.code[place_.loop->first], isa::slots::loop::counter);
  }
  // Operands whose places are known to one another: registers add the same to all.
  bool comparable(const Motion& m) const {
    return m.alike && std::ranges::all_of(m.steps, [&](const auto& s) { return constant(s.first); });
  }
  bool by_counter(const Motion& m) const {
    return std::ranges::any_of(m.steps, [&](const auto& s) { return s.first == counter(); });
  }
  // No two iterations touch the same bytes.
  bool apart(const Motion& m) const {
    if (!comparable(m) || m.steps.size() != 1 || !by_counter(m)) return false;
    const auto step =
        static_cast<int32_t>(program_.code.word(program_.code.code[place_.loop->first], isa::slots::loop::step));
    return static_cast<__int128>(std::abs(m.steps[0].second)) * step >= m.end - m.begin;
  }

  // `moves`: its address comes from registers.
  View seen(const View& v, bool moves, bool earlier) {
    if (!v.present()) return v;
    const Motion& m = motion(v);
    View out = v;
    if (moves) {
      const bool exact = comparable(m) && (!by_counter(m) || apart(m));
      const bool hbm = v.memory == Memory::hbm;
      if (!exact) out = all_of(v, hbm ? program_.tensors[v.base].bytes : program_.tiles[v.base].bytes);
      if (exact && earlier && apart(m)) out.base = twin(v);
    }
    if (earlier && out.base == v.base && v.memory != Memory::hbm && lives_within(v.base)) out.base = twin(v);
    return out;
  }

  // Of a tile that every iteration makes anew.
  bool lives_within(uint32_t tile) const {
    return place_.loop != nullptr && ranges_[tile].first > place_.loop->first &&
           ranges_[tile].last < place_.loop->last - 1;
  }

  // What stands for a tile or tensor in the iteration before.
  uint32_t twin(const View& v) {
    const bool hbm = v.memory == Memory::hbm;
    auto [at, fresh] = (hbm ? tensor_twins_ : tile_twins_).try_emplace(v.base, 0);
    if (!fresh) return at->second;
    if (hbm) {
      at->second = static_cast<uint32_t>(sub_.tensors.size());
      sub_.tensors.push_back(program_.tensors[v.base]);
    } else {
      at->second = static_cast<uint32_t>(sub_.tiles.size());
      sub_.tiles.push_back(program_.tiles[v.base]);
      own_.places.push_back({placement_.places[v.base].partition, placement_.places[v.base].offset, {}});
    }
    return at->second;
  }

  // Appends what all sequencers do in one pass.
  void copy(bool earlier) {
    std::map<uint32_t, uint32_t> at;  // instruction of the program to the first one here
    uint32_t transfer = 0;
    for (uint32_t n = place_.first; n < place_.last; ++n) {
      at[n] = static_cast<uint32_t>(sub_.code.code.size());
      const Instruction& i = program_.code.code[n];
      for (uint32_t q = 0; q < crew_.sequencers.size(); ++q) {
        if (!crew_.executes(q, program_, n)) continue;
        append(i, q, earlier);
        if (!earlier) out_.steps.push_back({.instruction = n, .lane = q});
        if (is_dma(i)) {
          const uint32_t stream =
              static_cast<uint32_t>(crew_.sequencers.size()) + 1 + place_.first_slot + transfer++ % place_.slots;
          sync_.events.push_back({stream, ++issued_[stream]});
          if (out_.drainer[stream] == kNoStream) out_.drainer[stream] = q;
        } else {
          sync_.events.push_back({q, ++issued_[q]});
        }
        out_.busy[q] = out_.busy[q] || i.operand_count > 0 || i.signal != isa::kNoSemaphore;
      }
    }
    for (const TileProgram::Order& o : program_.order) {
      if (o.before < place_.first || o.after >= place_.last) continue;
      const uint32_t end = o.after + 1 < place_.last ? at[o.after + 1] : static_cast<uint32_t>(sub_.code.code.size());
      for (uint32_t b = at[o.before]; b < at[o.before + 1]; ++b) {
        for (uint32_t a = at[o.after]; a < end; ++a) sub_.order.push_back({b, a});
      }
    }
  }

  void append(const Instruction& i, uint32_t lane, bool earlier) {
    Instruction c = i;
    c.engine = crew_.sequencers[lane].kind, c.engine_index = crew_.sequencers[lane].index;
    c.operand_begin = static_cast<uint32_t>(sub_.code.views.size());
    c.attribute_begin = static_cast<uint32_t>(sub_.code.attributes.size());
    c.delta_begin = 0, c.delta_count = 0;
    for (int k = 0; k < i.operand_count; ++k)
      sub_.code.views.push_back(seen(program_.code.operand(i, k), !steps_of(program_.code, i, k).empty(), earlier));
    std::ranges::copy(program_.code.attrs(i), std::back_inserter(sub_.code.attributes));
    sub_.code.code.push_back(c);
    sync_.sequencer.push_back(lane);
  }

  // Tiles of both copies take over memory from whoever had it before.
  void inherit(const std::vector<LiveRange>& live) {
    std::vector<uint32_t> inner;
    for (uint32_t t = 0; t < sub_.tiles.size(); ++t) {
      own_.places[t].previous.clear();
      const bool twin = t >= program_.tiles.size();
      if (live[t].used() && (twin || lives_within(t))) inner.push_back(t);
    }
    for (uint32_t now : inner) {
      for (uint32_t before : inner) {
        if (live[before].last < live[now].first && share_memory(before, now))
          own_.places[now].previous.push_back(before);
      }
    }
  }
  bool share_memory(uint32_t a, uint32_t b) const {
    const tile::Tile &x = sub_.tiles[a], &y = sub_.tiles[b];
    const Place &p = own_.places[a], &q = own_.places[b];
    if (x.memory != y.memory) return false;
    if (x.memory == Memory::psum) {  // accumulation groups have a bank for themselves
      const uint64_t bank = std::max<uint64_t>(1, spec_.psum.bytes_per_partition / std::max(1u, spec_.psum.banks));
      return p.offset / bank == q.offset / bank;
    }
    return p.offset < q.offset + y.bytes && q.offset < p.offset + x.bytes && p.partition < q.partition + y.partitions &&
           q.partition < p.partition + x.partitions;
  }

  uint64_t increment(uint32_t stream) const { return stream < crew_.sequencers.size() ? 1 : spec_.dma.engines; }

  // Instructions that nobody waits for raise nothing; transfers always do.
  void number_signals() {
    const auto lanes = static_cast<uint32_t>(crew_.sequencers.size());
    std::vector<std::vector<uint32_t>> rank(lanes);  // by lane, by event of a pass from 1: its number among the waited
    for (uint32_t q = 0; q < lanes; ++q) rank[q].assign(per_pass_[q] + 1, 0);
    auto pass_event = [&](const Event& e) {
      return e.count > per_pass_[e.stream] ? e.count - per_pass_[e.stream] : e.count;
    };
    const auto total = static_cast<uint32_t>(sub_.code.code.size());
    for (uint32_t n = once_; n < total; ++n) {
      for (const Event& e : sync_.waits_of(n)) {
        if (e.stream < lanes) rank[e.stream][pass_event(e)] = 1;
      }
    }
    for (auto& events : rank) {
      uint32_t next = 0;
      for (uint32_t& r : events) r = r != 0 ? ++next : 0;
      out_.raised[static_cast<size_t>(&events - rank.data())] = next;
    }
    for (uint32_t s = lanes; s < sync_.streams; ++s) out_.raised[s] = per_pass_[s] * increment(s);
    const bool doubled = place_.loop != nullptr;
    for (uint32_t n = once_; n < total; ++n) {
      SegmentStep& step = out_.steps[n - once_];
      step.wait_begin = static_cast<uint32_t>(out_.waits.size());
      for (const Event& e : sync_.waits_of(n)) {
        const uint32_t event = pass_event(e);
        const bool before = doubled && e.count <= per_pass_[e.stream];
        const auto done = static_cast<int64_t>(e.stream < lanes ? rank[e.stream][event] : event * increment(e.stream));
        out_.waits.push_back({e.stream, done - (before ? static_cast<int64_t>(out_.raised[e.stream]) : 0)});
      }
      step.wait_end = static_cast<uint32_t>(out_.waits.size());
      const Event own = sync_.events[n];
      if (own.stream >= lanes || rank[own.stream][pass_event(own)] != 0) step.signal = own.stream;
    }
  }

  const TileProgram& program_;
  const Crew& crew_;
  const Placement& placement_;
  const std::vector<LiveRange>& ranges_;
  const SegmentPlace& place_;
  const spec::ChipSpec& spec_;
  TileProgram sub_;
  Placement own_;
  Synchronization sync_;
  Segment out_;
  std::vector<uint32_t> issued_, per_pass_, written_;
  uint32_t once_ = 0;  // where the pass begins whose waits count
  std::map<uint32_t, Motion> tiles_, tensors_;
  std::map<uint32_t, uint32_t> tile_twins_, tensor_twins_;
};

}  // namespace

uint32_t transfers_of(const TileProgram& program, uint32_t first, uint32_t last) {
  return static_cast<uint32_t>(
      std::count_if(program.code.code.begin() + first, program.code.code.begin() + last, is_dma));
}

uint32_t slots_for(uint32_t transfers, uint32_t limit) {
  if (transfers <= limit) return std::max(1u, transfers);
  for (uint32_t slots = limit; slots > limit / 2; --slots) {
    if (transfers % slots == 0) return slots;
  }
  return limit;
}

Segment make_segment(const TileProgram& program, const Crew& crew, const Placement& placement,
                     const std::vector<LiveRange>& ranges, const SegmentPlace& place, uint32_t streams,
                     const spec::ChipSpec& spec) {
  return Maker(program, crew, placement, ranges, place, streams, spec).run();
}

}  // namespace presil::backend
