#include "backend/lower_pair.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>

#include "backend/emit.h"
#include "backend/repeats.h"
#include "base/text.h"
#include "isa/exchange.h"
#include "isa/slots.h"

namespace presil::backend {
namespace {

using isa::Executable;
using isa::HbmTensor;
using isa::Memory;
using tile::TileProgram;

Result<uint32_t> shared_tensor(std::vector<HbmTensor>& all, size_t own, HbmTensor& t) {
  // A core's own tensors may have equal names, or none.
  const auto same = std::find_if(all.begin(), all.begin() + static_cast<ptrdiff_t>(own),
                                 [&](const HbmTensor& o) { return !t.name.empty() && o.name == t.name; });
  if (same == all.begin() + static_cast<ptrdiff_t>(own)) {
    all.push_back(std::move(t));
    return static_cast<uint32_t>(all.size() - 1);
  }
  if (same->dtype != t.dtype || same->shape != t.shape || same->role != t.role) {
    const auto what = [](const HbmTensor& x) {
      return fmt::format("{} {}[{}]", isa::role_name(x.role), dtype_name(x.dtype), fmt::join(x.shape, ", "));
    };
    return bad_input(fmt::format("core 0 has it as {}, core 1 as {}", what(*same), what(t)),
                     fmt::format("tensor '{}'", t.name));
  }
  if (!t.data.empty() && !same->data.empty() && t.data != same->data)
    return bad_input("the cores' constants differ", fmt::format("tensor '{}'", t.name));
  if (same->data.empty()) same->data = std::move(t.data);
  return static_cast<uint32_t>(same - all.begin());
}

// Both programs over the same list of tensors: those of core 0, then those that only core 1 has.
Result<void> share_tensors(std::array<TileProgram, 2>& cores) {
  std::vector<HbmTensor> all = std::move(cores[0].tensors);
  const size_t own = all.size();
  std::vector<uint32_t> number;
  for (HbmTensor& t : cores[1].tensors) number.push_back(TRY(shared_tensor(all, own, t)));
  for (isa::View& v : cores[1].code.views) {
    if (v.memory == Memory::hbm) v.base = number[v.base];
  }
  cores[0].tensors = all;
  for (HbmTensor& t : all) t.data.clear();  // the first core's are kept
  cores[1].tensors = std::move(all);
  return {};
}

// Two cores that take their exchanges in the same order never wait for each other in a circle.
void keep_exchanges_in_order(TileProgram& program) {
  std::optional<uint32_t> before;
  for (uint32_t n = 0; n < program.code.code.size(); ++n) {
    if (!isa::is_exchange(program.code.code[n].opcode)) continue;
    if (before) program.order.push_back({*before, n});
    before = n;
  }
}

// Semaphores that carrying out the exchanges takes: three of a pipe, one of an engine's barriers (isa/exchange.h).
uint32_t exchange_semaphores(const std::array<TileProgram, 2>& cores) {
  std::set<uint32_t> pipes;
  std::set<std::pair<isa::EngineKind, uint8_t>> engines;
  for (const TileProgram& p : cores) {
    for (const isa::Instruction& i : p.code.code) {
      if (i.opcode == isa::Opcode::sendrecv) pipes.insert(p.code.word(i, isa::slots::sendrecv::pipe_id));
      if (i.opcode == isa::Opcode::core_barrier) engines.insert({i.engine, i.engine_index});
    }
  }
  return static_cast<uint32_t>(3 * pipes.size() + engines.size());
}

bool has_exchange(const isa::Program& queue) {
  return std::ranges::any_of(queue.code, [](const isa::Instruction& i) { return isa::is_exchange(i.opcode); });
}

Error of_core(Error error, uint32_t core) {
  error.message = fmt::format("core {}: {}", core, error.message);
  return error;
}

// Core 1's own tensors, for what it spills, behind those of core 0.
void move_behind(Executable& exe, uint64_t shared_end, uint64_t bytes) {
  for (isa::Program& queue : exe.queues) {
    for (isa::View& v : queue.views) {
      if (v.memory == Memory::hbm && v.offset >= static_cast<int64_t>(shared_end))
        v.offset += static_cast<int64_t>(bytes);
    }
  }
  for (HbmTensor& t : exe.tensors) {
    if (t.address >= shared_end) t.address += bytes;
  }
  exe.hbm_bytes += bytes;
}

uint32_t joint_layer(Executable& out, const isa::Layer& layer) {
  const auto same = std::ranges::find_if(
      out.layers, [&](const isa::Layer& o) { return o.name == layer.name && o.kind == layer.kind; });
  if (same == out.layers.end()) {
    out.layers.push_back(layer);
    return static_cast<uint32_t>(out.layers.size() - 1);
  }
  same->macs += layer.macs, same->bytes += layer.bytes;
  return static_cast<uint32_t>(same - out.layers.begin());
}

void join(Executable& out, Executable&& second, size_t shared) {
  std::vector<uint32_t> layers;
  for (const isa::Layer& layer : second.layers) layers.push_back(joint_layer(out, layer));
  const auto sources = static_cast<uint32_t>(out.sources.size());
  for (isa::Source& s : second.sources) {
    s.layer = layers[s.layer];
    out.sources.push_back(std::move(s));
  }
  for (isa::Program& queue : second.queues) {
    queue.core = 1;
    for (isa::Instruction& i : queue.code) i.source += i.source == isa::kNoSource ? 0 : sources;
    out.queues.push_back(std::move(queue));
  }
  for (size_t t = shared; t < second.tensors.size(); ++t) out.tensors.push_back(std::move(second.tensors[t]));
  out.lnc = 2;
  out.semaphores = std::max(out.semaphores, second.semaphores);
  out.hbm_bytes = std::max(out.hbm_bytes, second.hbm_bytes);
}

Result<void> check(const std::array<TileProgram, 2>& cores, const spec::ChipSpec& spec) {
  if (spec.lnc_max < 2)
    return unsupported(fmt::format("a program for pairs of cores, chip {} has none", spec.name), cores[0].model);
  if (!cores[0].activations.empty() && !cores[1].activations.empty() && cores[0].activations != cores[1].activations)
    return unsupported("the cores' tables of functions differ", cores[0].model);
  return {};
}

}  // namespace

Result<Executable> lower_pair(std::array<TileProgram, 2> cores, const spec::ChipSpec& spec, const Options& options) {
  TRY(check(cores, spec));
  TRY(share_tensors(cores));
  std::vector<HbmTensor> shared = cores[1].tensors;
  const uint64_t shared_end = TRY(assign_hbm(shared, spec));
  Options alone = options;
  alone.reroll = false;  // what one core spills moves behind what the other one does, which repeats would hide
  const uint32_t semaphores = std::min(options.semaphores_max, spec.semaphores.count),
                 taken = exchange_semaphores(cores);
  alone.semaphores_max = semaphores - std::min(semaphores, taken);
  std::array<Executable, 2> lowered;
  for (uint32_t core = 0; core < 2; ++core) {
    keep_exchanges_in_order(cores[core]);
    Result<Executable> exe = lower(std::move(cores[core]), spec, alone);
    if (!exe) return of_core(exe.error(), core);
    lowered[core] = std::move(*exe);
  }
  Executable out = std::move(lowered[0]);
  if (out.activations.empty()) out.activations = lowered[1].activations;
  move_behind(lowered[1], shared_end, out.hbm_bytes - shared_end);
  join(out, std::move(lowered[1]), shared.size());
  if (out.hbm_bytes > spec.hbm.bytes)
    return unsupported(fmt::format("the pair's tensors take {}, chip {} has {} for it", bytes_text(out.hbm_bytes),
                                   spec.name, bytes_text(spec.hbm.bytes)),
                       out.model);
  for (isa::Program& queue : out.queues) {
    if (!options.reroll || has_exchange(queue)) continue;  // exchanges meet one by one
    const uint8_t core = queue.core;
    queue = reroll(queue);
    queue.core = core;
  }
  if (isa::has_exchanges(out)) TRY(isa::expand_exchanges(out, spec.dma.engines));
  return out;
}

}  // namespace presil::backend
