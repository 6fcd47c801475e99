#include "backend/emit.h"

#include <fmt/format.h>

#include <algorithm>

#include "backend/queues.h"
#include "base/text.h"

namespace presil::backend {
namespace {

using isa::Instruction;
using isa::Memory;

// Semaphores of each stream. One that would count beyond the hardware's maximum is followed by the next: event n of the
// stream then is the semaphore n / per_semaphore, and complete only after all earlier ones are.
struct SemaphoreMap {
  std::vector<uint32_t> first;          // by stream
  std::vector<uint64_t> per_semaphore;  // by stream: events one semaphore can count
  std::vector<uint32_t> increment;      // by stream
  uint32_t used = 0;

  isa::Wait wait(uint32_t stream, uint32_t n) const {
    uint64_t epoch = (n - 1) / per_semaphore[stream], rest = (n - 1) % per_semaphore[stream] + 1;
    return {static_cast<uint16_t>(first[stream] + epoch), static_cast<uint32_t>(rest * increment[stream])};
  }
  uint16_t signal(uint32_t stream, uint32_t n) const { return wait(stream, n).semaphore; }
};

// signalled[i]: the number of instruction i among those of its stream that somebody waits for, 0 if nobody does.
// Transfers all signal: the next one on the same semaphore may rely on it.
std::vector<uint32_t> number_signals(const Synchronization& sync, std::vector<uint32_t>& totals) {
  std::vector<std::vector<bool>> waited(sync.sequencers.size());
  std::vector<uint32_t> issued(sync.streams);
  for (const Event& e : sync.events) issued[e.stream] = std::max(issued[e.stream], e.count);
  for (size_t s = 0; s < waited.size(); ++s) waited[s].assign(issued[s] + 1, false);
  for (const Event& e : sync.waits) {
    if (e.stream < waited.size()) waited[e.stream][e.count] = true;
  }
  totals.assign(sync.streams, 0);
  std::vector<uint32_t> signalled;
  for (const Event& e : sync.events) {
    bool signals = e.stream >= waited.size() || waited[e.stream][e.count];
    signalled.push_back(signals ? ++totals[e.stream] : 0);
  }
  return signalled;
}

Result<SemaphoreMap> assign_semaphores(const Synchronization& sync, const std::vector<uint32_t>& totals,
                                       const spec::ChipSpec& spec, const std::string& model) {
  SemaphoreMap map;
  for (uint32_t s = 0; s < sync.streams; ++s) {
    map.increment.push_back(s < sync.sequencers.size() ? 1 : spec.dma.engines);
    map.per_semaphore.push_back(std::max<uint64_t>(1, spec.semaphores.maximum / map.increment[s]));
    map.first.push_back(map.used);
    map.used += static_cast<uint32_t>((totals[s] + map.per_semaphore[s] - 1) / map.per_semaphore[s]);
  }
  if (map.used > spec.semaphores.count || spec.dma.engines > spec.semaphores.maximum) {
    return unsupported(fmt::format("the program needs {} semaphores that count to {}, the core has {}", map.used,
                                   spec.semaphores.maximum, spec.semaphores.count),
                       model);
  }
  return map;
}

void append(const tile::TileProgram& program, uint32_t i, const Placement& placement, isa::Program& out) {
  Instruction copy = program.code.code[i];
  copy.operand_begin = static_cast<uint32_t>(out.views.size());
  copy.attribute_begin = static_cast<uint32_t>(out.attributes.size());
  copy.wait_begin = static_cast<uint32_t>(out.waits.size());
  copy.delta_begin = static_cast<uint32_t>(out.deltas.size());
  for (const isa::View& v : program.code.operands(program.code.code[i])) {
    out.views.push_back(absolute(v, placement, program.tensors));
  }
  for (uint32_t a : program.code.attrs(program.code.code[i])) out.attributes.push_back(a);
  out.code.push_back(copy);
}

}  // namespace

Result<uint64_t> assign_hbm(std::vector<isa::HbmTensor>& tensors, const spec::ChipSpec& spec) {
  uint64_t next = 0;
  for (isa::HbmTensor& t : tensors) {
    t.address = next;
    next += (t.bytes + kHbmAlignment - 1) / kHbmAlignment * kHbmAlignment;
    if (next > spec.hbm.bytes) {
      return unsupported(fmt::format("tensors need more than the {} of HBM that a core of {} reaches",
                                     bytes_text(spec.hbm.bytes), spec.name),
                         t.name);
    }
  }
  return next;
}

isa::View absolute(isa::View v, const Placement& placement, const std::vector<isa::HbmTensor>& tensors) {
  if (!v.present()) return v;
  if (v.memory == Memory::hbm) {
    v.offset += static_cast<int64_t>(tensors[v.base].address);
  } else {
    v.partition = static_cast<uint16_t>(v.partition + placement.places[v.base].partition);
    v.offset += placement.places[v.base].offset;
  }
  v.base = isa::kAbsolute;
  return v;
}

void give_names(tile::TileProgram&& program, const spec::ChipSpec& spec, isa::Executable& out) {
  out.spec_hash = spec::spec_hash(spec);
  out.chip = spec.name;
  out.model = std::move(program.model);
  out.precision = std::move(program.precision);
  out.tensors = std::move(program.tensors);
  out.sources = std::move(program.sources);
  out.layers = std::move(program.layers);
  out.activations = std::move(program.activations);
}

Result<isa::Executable> emit(tile::TileProgram&& program, const Placement& placement, const Synchronization& sync,
                             const spec::ChipSpec& spec) {
  isa::Executable out;
  std::vector<uint32_t> totals, signalled = number_signals(sync, totals);
  SemaphoreMap semaphores = TRY(assign_semaphores(sync, totals, spec, program.model));
  out.hbm_bytes = TRY(assign_hbm(program.tensors, spec));
  out.queues.resize(sync.sequencers.size());
  // By sequencer stream: the signal number of each of its instructions.
  std::vector<std::vector<uint32_t>> numbers(sync.streams);
  for (uint32_t i = 0; i < program.code.code.size(); ++i) {
    Event e = sync.events[i];
    std::vector<uint32_t>& of_stream = numbers[e.stream];
    if (of_stream.size() <= e.count) of_stream.resize(e.count + 1);
    of_stream[e.count] = signalled[i];
    isa::Program& queue = out.queues[sync.sequencer[i]];
    append(program, i, placement, queue);
    Instruction& instruction = queue.code.back();
    for (const Event& w : sync.waits_of(i))
      queue.waits.push_back(semaphores.wait(w.stream, numbers[w.stream][w.count]));
    instruction.wait_count = static_cast<uint8_t>(sync.waits_of(i).size());
    if (signalled[i]) instruction.signal = semaphores.signal(e.stream, signalled[i]);
  }
  out.semaphores = semaphores.used;
  give_names(std::move(program), spec, out);
  return out;
}

}  // namespace presil::backend
