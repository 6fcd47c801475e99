#include "backend/lower_loops.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "backend/arrange.h"
#include "backend/emit.h"
#include "backend/loop_plan.h"
#include "backend/loop_ranges.h"
#include "backend/queues.h"
#include "base/text.h"
#include "isa/control.h"
#include "isa/slots.h"

namespace presil::backend {
namespace {

using isa::Instruction;
using isa::Opcode;
using tile::Region;
using tile::TileProgram;
namespace slots = isa::slots;

// Registers of the program to those of sequencers, the same everywhere.
std::vector<uint32_t> assign_registers(const std::vector<LiveRange>& ranges, uint32_t& used) {
  std::vector<uint32_t> order, assigned(ranges.size(), isa::kNoRegister);
  for (uint32_t r = 0; r < ranges.size(); ++r) {
    if (ranges[r].used()) order.push_back(r);
  }
  std::ranges::stable_sort(order, {}, [&](uint32_t r) { return ranges[r].first; });
  std::vector<uint32_t> until;  // by number: last instruction that needs it
  for (uint32_t r : order) {
    auto free = std::ranges::find_if(until, [&](uint32_t last) { return last < ranges[r].first; });
    if (free == until.end()) free = until.insert(free, 0);
    *free = ranges[r].last;
    assigned[r] = static_cast<uint32_t>(free - until.begin());
  }
  used = static_cast<uint32_t>(until.size());
  return assigned;
}

// By branch: the construct that it belongs to, and whether it goes to the else side.
using Targets = std::map<uint32_t, std::pair<uint32_t, bool>>;

// What all queues are written from.
struct Lowering {
  const TileProgram& program;
  const Crew& crew;
  const LoopPlan& plan;
  const Placement& placement;
  std::vector<uint32_t> numbers;  // by register of the program: the one of a sequencer
  uint32_t registers = 0;         // that those take
  Targets targets;
};

// One sequencer's queue.
class Writer {
 public:
  Writer(const Lowering& from, uint32_t lane)
      : program_(from.program),
        crew_(from.crew),
        plan_(from.plan),
        placement_(from.placement),
        from_(from),
        lane_(lane) {}

  isa::Program run() {
    classify();
    for (const Action& a : plan_.actions) {
      switch (a.kind) {
        case Action::Kind::segment:
          segment(a);
          break;
        case Action::Kind::meet:
          meet(a);
          break;
        case Action::Kind::control:
          control(a.index);
          break;
        case Action::Kind::label:
          labels_[{a.index, a.otherwise}] = here();
          break;
        case Action::Kind::counted:
          counted(a.index);
          break;
      }
    }
    resolve();
    return std::move(out_);
  }
  uint32_t registers() const { return from_.registers + static_cast<uint32_t>(classes_.size()); }

 private:
  using History = std::map<uint32_t, int64_t>;
  struct Class {
    History history;
    int64_t behind = 0;  // its register begins that far below zero: waits may look back by an iteration
  };

  uint16_t meeting() const { return static_cast<uint16_t>(crew_.sequencers.size()); }
  uint32_t here() const { return static_cast<uint32_t>(out_.code.size()); }

  void classify() {
    std::vector<bool> waited(plan_.streams);
    for (const Action& a : plan_.actions) {
      if (a.kind == Action::Kind::segment) {
        const Segment& s = plan_.segments[a.index];
        for (const SegmentStep& step : s.steps) {
          for (uint32_t w = step.wait_begin; w < step.wait_end && step.lane == lane_; ++w)
            waited[s.waits[w].stream] = true;
        }
      } else if (a.kind == Action::Kind::meet) {
        for (const StreamWait& w : a.drains[lane_]) waited[w.stream] = true;
        if (crew_.alive(lane_, a.next)) waited[meeting()] = true;
      }
    }
    class_of_.assign(plan_.streams, kNoStream);
    for (uint32_t s = 0; s < plan_.histories.size(); ++s) {
      const History& history = plan_.histories[s];
      if (!waited[s] || history.empty()) continue;
      auto same = std::ranges::find(classes_, history, &Class::history);
      if (same == classes_.end()) {
        same = classes_.insert(same, {history, 0});
        for (const auto& [region, more] : history) same->behind = std::max(same->behind, more);
      }
      class_of_[s] = static_cast<uint32_t>(same - classes_.begin());
    }
    for (uint32_t c = 0; c < classes_.size(); ++c) {
      Instruction& i = add(Opcode::register_move, isa::kNoSource);
      word(i, slots::register_move::dst) = from_.registers + c;
      word(i, slots::register_move::imm) = static_cast<uint32_t>(-classes_[c].behind);
    }
  }

  Instruction& add(Opcode opcode, uint32_t source) {
    Instruction& i = out_.append(opcode, crew_.sequencers[lane_].kind);
    i.engine_index = crew_.sequencers[lane_].index, i.source = source;
    i.wait_begin = static_cast<uint32_t>(out_.waits.size());
    i.delta_begin = static_cast<uint32_t>(out_.deltas.size());
    return i;
  }
  uint32_t& word(const Instruction& i, int slot) {
    return out_.attributes[i.attribute_begin + static_cast<uint32_t>(slot)];
  }

  // To the last instruction, whose pools end there.
  void wait(uint32_t stream, int64_t value) {
    Instruction& i = out_.code.back();
    const uint32_t c = class_of_[stream];
    if (c != kNoStream) {
      isa::Delta d(isa::Delta::Target::wait, i.wait_count, static_cast<uint16_t>(from_.registers + c), 1);
      d.of_register = true;
      out_.deltas.push_back(d), ++i.delta_count;
      value += classes_[c].behind;
    }
    CHECK(value >= 0, "waits do not look back further than an iteration");
    out_.waits.push_back({static_cast<uint16_t>(stream), static_cast<uint32_t>(value)});
    ++i.wait_count;
  }

  void segment(const Action& a) {
    const Segment& s = plan_.segments[a.index];
    for (const SegmentStep& step : s.steps) {
      if (step.lane != lane_) continue;
      copy(step.instruction);
      last_source_ = out_.code.back().source;
      for (uint32_t w = step.wait_begin; w < step.wait_end; ++w)
        wait(s.waits[w].stream, a.counts[s.waits[w].stream] + s.waits[w].value);
      if (step.signal != kNoStream) out_.code.back().signal = static_cast<uint16_t>(step.signal);
    }
  }

  // An instruction of the program, with its addresses and registers here.
  void copy(uint32_t n) {
    const Instruction& from = program_.code.code[n];
    Instruction& i = add(from.opcode, from.source);
    i.dma_queue = from.dma_queue;
    for (int k = 0; k < from.operand_count; ++k)
      out_.views[i.operand_begin + static_cast<uint32_t>(k)] =
          absolute(program_.code.operand(from, k), placement_, program_.tensors);
    const isa::InstructionRow& row = isa::row(from.opcode);
    for (int k = 0; k < from.attribute_count; ++k) {
      uint32_t value = program_.code.word(from, k);
      const bool reg = row.attributes[static_cast<size_t>(k)].kind == isa::AttributeKind::sequencer_register;
      word(i, k) = reg && value != isa::kNoRegister ? from_.numbers[value] : value;
    }
    for (isa::Delta d : program_.code.deltas_of(from)) {
      d.level = static_cast<uint16_t>(from_.numbers[d.level]);
      out_.deltas.push_back(d), ++i.delta_count;
    }
  }

  void meet(const Action& a) {
    if (a.raisers[lane_]) {
      add(Opcode::wait, last_source_).signal = meeting();
      for (const StreamWait& w : a.drains[lane_]) wait(w.stream, w.value);
    }
    if (!crew_.alive(lane_, a.next)) return;
    add(Opcode::wait, last_source_);
    wait(meeting(), a.target);
  }

  void control(uint32_t n) {
    if (!crew_.alive(lane_, n)) return;
    at_[n] = here();
    last_source_ = program_.code.code[n].source;
    copy(n);
  }

  void counted(uint32_t region) {
    for (uint32_t c = 0; c < classes_.size(); ++c) {
      auto more = classes_[c].history.find(region);
      if (more == classes_[c].history.end()) continue;
      Instruction& i = add(Opcode::register_alu, last_source_);
      word(i, slots::register_alu::dst) = word(i, slots::register_alu::a) = from_.registers + c;
      word(i, slots::register_alu::imm) = static_cast<uint32_t>(more->second);
    }
  }

  // Targets, where their instructions lie here.
  void resolve() {
    for (const auto& [n, at] : at_) {
      const Instruction& i = out_.code[at];
      const Instruction& from = program_.code.code[n];
      if (i.opcode == Opcode::loop) word(i, slots::loop::to) = labels_.at({n, false});
      if (i.opcode == Opcode::loop_end)
        word(i, slots::loop_end::to) = at_.at(program_.code.word(from, slots::loop_end::to));
      if (i.opcode == Opcode::branch) word(i, slots::branch::to) = labels_.at(from_.targets.at(n));
    }
  }

  const TileProgram& program_;
  const Crew& crew_;
  const LoopPlan& plan_;
  const Placement& placement_;
  const Lowering& from_;
  uint32_t lane_;
  isa::Program out_;
  std::vector<Class> classes_;
  std::vector<uint32_t> class_of_;  // by stream
  std::map<uint32_t, uint32_t> at_;
  std::map<std::pair<uint32_t, bool>, uint32_t> labels_;
  uint32_t last_source_ = isa::kNoSource;
};

void find_targets(const std::vector<Region>& regions, Targets& targets) {
  for (const Region& r : regions) {
    if (r.kind == Region::Kind::loop) {
      for (uint32_t n = r.first + 1; n < r.body_first; ++n) targets[n] = {r.first, false};
      for (uint32_t n = r.body_last; n + 1 < r.last; ++n) targets[n] = {r.first, false};
    } else if (r.kind == Region::Kind::choice) {
      targets[r.first] = {r.first, true};
      if (r.middle < r.last) targets[r.middle] = {r.first, false};
    }
    find_targets(r.body, targets), find_targets(r.otherwise, targets);
  }
}

Result<Placement> place_all(const TileProgram& program, const std::vector<LiveRange>& ranges,
                            const spec::ChipSpec& spec) {
  Placement placement;
  place_sbuf(program, ranges, spec, placement);
  if (!placement.misfit) place_psum(program, ranges, spec, placement);
  if (placement.misfit) return misfit_error(program, *placement.misfit, spec);
  return placement;
}

}  // namespace

Result<isa::Executable> lower_loops(TileProgram program, const spec::ChipSpec& spec, const Options& options,
                                    Statistics& statistics) {
  std::vector<isa::Finding> findings;
  const std::vector<Region> regions = tile::structure(program.code, &findings);
  if (!findings.empty()) return bad_input(findings[0].text(), program.model);
  const Crew crew = crew_of(program, regions);
  const auto lanes = static_cast<uint32_t>(crew.sequencers.size());
  const LoopRanges ranges = loop_ranges(program, regions);
  const Placement placement = TRY(place_all(program, ranges.tiles, spec));
  choose_queues(program, spec, options);
  const uint32_t count = std::min(spec.semaphores.count, options.semaphores_max);
  if (count < lanes + 2) {
    return unsupported(
        fmt::format("{} engines that run loops need {} semaphores, the core has {}", lanes, lanes + 2, count),
        program.model);
  }
  const LoopPlan plan = plan_loops(program, regions, crew, placement, ranges.tiles, count - lanes - 1, spec);
  TRY(go_on_unless(options.cancel));
  Lowering from{program, crew, plan, placement, {}, 0, {}};
  from.numbers = assign_registers(ranges.registers, from.registers);
  find_targets(regions, from.targets);
  isa::Executable out;
  out.hbm_bytes = TRY(assign_hbm(program.tensors, spec));
  for (uint32_t q = 0; q < lanes; ++q) {
    Writer writer(from, q);
    out.queues.push_back(writer.run());
    if (writer.registers() > spec.sequencer.registers) {
      return unsupported(fmt::format("loops need {} registers of a sequencer, which has {}", writer.registers(),
                                     spec.sequencer.registers),
                         program.model);
    }
    statistics.instructions += out.queues.back().code.size();
    statistics.waits += out.queues.back().waits.size();
  }
  statistics.stored = statistics.instructions;
  out.semaphores = plan.streams;
  give_names(std::move(program), spec, out);
  return out;
}

}  // namespace presil::backend
