#include "chip/summary.h"

#include <fmt/format.h>

#include <algorithm>

#include "isa/control.h"
#include "isa/slots.h"

namespace presil::chip {
namespace {

// The next instruction of a stopped queue that would raise `semaphore`: ahead of it, or in a repeat that is still open.
bool next_raiser(const isa::Executable& exe, const isa::Program& program, const LoadedQueue& queue, const Cursor& c,
                 uint32_t semaphore, uint32_t* instruction) {
  auto raises = [&](uint32_t pc) {
    const isa::Raised all = raised_by(exe, program.core, program.code[pc]);
    return std::ranges::find(all, semaphore) != all.end();
  };
  uint32_t first = isa::has_control(program) ? 0 : c.pc;  // branches may lead anywhere
  for (uint32_t pc = c.pc; pc < program.code.size(); ++pc) {
    if (raises(pc)) return *instruction = pc, true;
  }
  for (uint32_t level = 0; level < c.depth; ++level) {
    const isa::Repeat& r = queue.repeats.repeats[c.open[level]];
    if (c.iteration[level] + 1 < r.count) first = std::min(first, r.first);
  }
  for (uint32_t pc = first; pc < c.pc; ++pc) {
    if (raises(pc)) return *instruction = pc, true;
  }
  return false;
}

std::string raisers(const isa::Executable& exe, const Loaded& loaded, std::span<const Blocked> blocked,
                    uint32_t semaphore) {
  std::string text;
  for (const Blocked& b : blocked) {
    uint32_t instruction = 0;
    if (!next_raiser(exe, exe.queues[b.queue], loaded.queues[b.queue], b.cursor, semaphore, &instruction)) continue;
    if (!text.empty()) text += " or ";
    text += instruction_text(exe, b.queue, instruction);
  }
  return text.empty() ? "nothing left raises it" : text + " would raise it";
}

}  // namespace

std::vector<trace::Lane> lane_list(const isa::Executable& executable, const spec::ChipSpec& spec, uint32_t core) {
  std::vector<trace::Lane> lanes;
  for (uint32_t q = 0; q < executable.queues.size(); ++q) {
    const std::string name =
        queue_name(executable, q).substr(core_prefix(executable, executable.queues[q].core).size());
    lanes.push_back({fmt::format("core{}.{}", core + executable.queues[q].core, name), trace::Lane::Kind::engine});
  }
  for (uint32_t n = core; n < core + executable.lnc; ++n) {
    for (uint32_t e = 0; e < spec.dma.engines; ++e)
      lanes.push_back({fmt::format("core{}.dma{}", n, e), trace::Lane::Kind::dma});
  }
  return lanes;
}

void count_executed(const isa::Executable& executable, const Loaded& loaded,
                    std::span<const std::vector<uint64_t>> executed, Counters& counters) {
  counters.layers.resize(std::max<size_t>(1, executable.layers.size()));
  constexpr auto hbm = static_cast<size_t>(isa::Memory::hbm);
  for (uint32_t q = 0; q < loaded.queues.size(); ++q) {
    const LoadedQueue& queue = loaded.queues[q];
    for (uint32_t pc = 0; pc < queue.steps.size(); ++pc) {
      const uint64_t times = executed[q][pc];
      const Step& step = queue.steps[pc];
      const Traffic& traffic = queue.traffic[pc];
      LayerCounters& layer = counters.layers[step.layer];
      layer.instructions += times;
      layer.busy[static_cast<size_t>(queue.engine)] += static_cast<Time>(times) * step.occupancy;
      counters.engines[q].instructions += times;
      counters.instructions += times;
      if (queue.engine == isa::EngineKind::tensor && step.kind == Step::Kind::compute) {
        layer.macs += times * traffic.amount;
        counters.macs += times * traffic.amount;
      }
      layer.hbm_read_bytes += times * traffic.read[hbm];
      layer.hbm_write_bytes += times * traffic.written[hbm];
      for (size_t memory = 0; memory < traffic.read.size(); ++memory) {
        counters.read_bytes[memory] += times * traffic.read[memory];
        counters.written_bytes[memory] += times * traffic.written[memory];
      }
    }
  }
}

Outcome deadlock(const isa::Executable& exe, const Loaded& loaded, std::span<const Blocked> blocked) {
  const Blocked& first = blocked.front();
  Outcome o;
  o.kind = Outcome::Kind::deadlock;
  o.engine = queue_name(exe, first.queue);
  o.queue = first.queue;
  o.instruction = first.cursor.pc;
  o.source = source_text(exe, exe.queues[first.queue].code[first.cursor.pc].source);
  for (const Blocked& b : blocked) {
    if (!o.detail.empty()) o.detail += "; ";
    const isa::Instruction& i = exe.queues[b.queue].code[b.cursor.pc];
    o.detail +=
        fmt::format("{} of {} waits for semaphore {} >= {}, which is at {}: {}",
                    instruction_text(exe, b.queue, b.cursor.pc), source_text(exe, i.source),
                    b.semaphore % exe.semaphores, b.needed, b.value, raisers(exe, loaded, blocked, b.semaphore));
  }
  return o;
}

}  // namespace presil::chip
