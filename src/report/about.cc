#include "report/about.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/check.h"
#include "isa/slots.h"
#include "report/confidence.h"
#include "spec/fields.h"

namespace presil::report {
namespace {

std::array<const spec::EngineSpec*, isa::kEngineKindCount> engines_of(const spec::ChipSpec& spec) {
  return {&spec.tensor, &spec.vector, &spec.scalar, &spec.gpsimd, &spec.sync};
}

std::string kind_name(size_t kind) { return std::string(isa::engine_name(static_cast<isa::EngineKind>(kind))); }

trace::Unit engine_unit(const chip::EngineCounters& engine, const spec::ChipSpec& spec) {
  const auto kind = static_cast<size_t>(engine.kind);
  trace::Unit unit{.name = engine.name, .kind = kind_name(kind)};
  unit.instructions = engine.instructions;
  unit.busy = engine.busy;
  for (int c = 0; c < chip::kWaitCauseCount; ++c) {
    const Time waited = engine.waits[static_cast<size_t>(c)];
    if (waited > 0) unit.waits.push_back({std::string(wait_cause_name(static_cast<chip::WaitCause>(c))), waited});
  }
  unit.latency = engines_of(spec)[kind]->latency;
  return unit;
}

trace::Unit dma_unit(const chip::DmaCounters& engine, size_t index) {
  trace::Unit unit{.name = fmt::format("dma{}", index), .kind = "dma"};
  unit.instructions = engine.transfers;
  unit.bytes = engine.bytes;
  unit.busy = engine.busy;
  unit.waits = {{"latency", engine.waiting}, {"idle", engine.idle}};
  return unit;
}

// Of `cores` that do the same.
trace::Layer layer_of(const isa::Layer& layer, const chip::LayerCounters& counted, uint64_t cores,
                      const spec::ChipSpec& spec) {
  trace::Layer l{.name = layer.name, .kind = layer.kind};
  l.macs = cores * layer.macs;
  l.compulsory_bytes = cores * layer.bytes;
  l.hbm_bytes = cores * (counted.hbm_read_bytes + counted.hbm_write_bytes);
  l.instructions = cores * counted.instructions;
  l.time = counted.time;
  for (size_t e = 0; e < counted.busy.size(); ++e)
    l.busy.push_back({kind_name(e), counted.busy[e] / engines_of(spec)[e]->count});
  return l;
}

// Bytes of each tensor that some program reads by index alone, as many as it fetches.
std::map<uint64_t, uint64_t> fetched_bytes(const isa::Executable& executable) {
  std::map<uint64_t, uint64_t> fetched;  // by address
  for (const isa::Program& queue : executable.queues) {
    for (const isa::Instruction& i : queue.code) {
      if (!isa::is_dma(i.opcode) || !isa::is_table(queue, i, isa::slots::dma_copy::src)) continue;
      fetched[static_cast<uint64_t>(queue.operand(i, isa::slots::dma_copy::src).offset)] = 0;
    }
  }
  if (fetched.empty()) return fetched;
  for (const isa::Program& queue : executable.queues) {
    for (uint32_t pc = 0; pc < queue.code.size(); ++pc) {
      const isa::Instruction& i = queue.code[pc];
      if (!isa::is_dma(i.opcode) || queue.operand(i, isa::slots::dma_copy::src).memory != isa::Memory::hbm) continue;
      auto table = fetched.find(static_cast<uint64_t>(queue.operand(i, isa::slots::dma_copy::src).offset));
      if (table == fetched.end()) continue;
      uint64_t times = 1;
      for (const isa::Repeat& r : queue.repeats) times *= r.first <= pc && pc < r.last ? r.count : 1;
      table->second += times * isa::moved(queue, i, isa::slots::dma_copy::src).bytes();
    }
  }
  return fetched;
}

// Inputs, weights and outputs cross the HBM at least once; of tables, the rows that are fetched. Every core has inputs
// and outputs of its own.
uint64_t compulsory_bytes(const isa::Executable& executable, uint64_t cores) {
  const std::map<uint64_t, uint64_t> fetched = fetched_bytes(executable);
  uint64_t bytes = 0;
  for (const isa::HbmTensor& t : executable.tensors) {
    if (t.role == isa::TensorRole::scratch) continue;
    auto table = fetched.find(t.address);
    const uint64_t times = t.role == isa::TensorRole::constant ? 1 : cores;
    bytes += times * (table == fetched.end() ? t.bytes : std::min(t.bytes, table->second));
  }
  return bytes;
}

// A transfer within the HBM reads and writes it at once.
bool hbm_can_limit(const isa::Executable& executable, const spec::ChipSpec& spec, uint64_t attached) {
  uint64_t sides = attached;
  for (const isa::Program& queue : executable.queues) {
    for (const isa::Instruction& i : queue.code) {
      if (!isa::is_dma(i.opcode)) continue;
      const bool within =
          std::ranges::all_of(queue.operands(i), [](const isa::View& v) { return v.memory == isa::Memory::hbm; });
      if (within) sides = 2 * attached;
    }
  }
  return sides * spec.dma.engines * spec.dma.engine_bytes_per_s > spec.hbm.bytes_per_s;
}

std::set<uint32_t> stacks_of(const spec::ChipSpec& spec, std::span<const system::CoreRun> cores) {
  std::set<uint32_t> stacks;
  for (const system::CoreRun& core : cores) stacks.insert(stack_of(spec, core.core));
  return stacks;
}

std::string operand_text(const isa::View& view) {
  return fmt::format("{}.{}[{} x {}]", isa::memory_name(view.memory), dtype_name(view.dtype), view.partitions,
                     view.elements_per_partition());
}

std::string text_of(const isa::Program& program, const isa::Instruction& instruction) {
  std::string writes, reads;
  for (int k = 0; k < instruction.operand_count; ++k) {
    const isa::View& view = program.operand(instruction, k);
    if (!view.present()) continue;
    std::string& side = isa::access_of(program, instruction, k) == isa::Access::read ? reads : writes;
    side += (side.empty() ? "" : ", ") + operand_text(view);
  }
  std::string text(isa::row(instruction.opcode).name);
  if (!writes.empty()) text += " " + writes;
  if (!reads.empty()) text += " <- " + reads;
  return text;
}

std::string confidence_text(const spec::ChipSpec& chip) {
  const Confidence c = confidence_in(chip);
  if (c.suite.empty()) return c.level + ": no published measurement was compared with this chip";
  return fmt::format("{}: presil validate --suite {}, {:.1f} % mean error", c.level, c.suite, 100 * c.mean_abs_error);
}

}  // namespace

trace::About about(const isa::Executable& executable, const spec::ChipSpec& spec, const system::RunResult& run) {
  return about_cores(executable, spec, run, run.cores);
}

trace::About about_cores(const isa::Executable& executable, const spec::ChipSpec& spec, const system::RunResult& run,
                         std::span<const system::CoreRun> cores) {
  CHECK(!cores.empty(), "a run has a core");
  const chip::Counters& first = cores.front().counters;
  const std::set<uint32_t> stacks = stacks_of(spec, cores);
  trace::About a{.model = executable.model, .chip = spec.name};
  a.precision = matmul_precision(executable);
  a.confidence = confidence_text(spec);
  if (!run.outcome.ok()) a.outcome = chip::outcome_text(run.outcome);
  a.spec_hash = spec_hash(spec);
  a.trace_hash = cores.size() == run.cores.size() ? run.trace_hash : cores.front().trace_hash;
  a.cores = static_cast<uint32_t>(cores.size());
  for (const system::CoreRun& core : cores) {
    a.elapsed = std::max(a.elapsed, core.elapsed);
    a.instructions += core.counters.instructions;
    a.hbm_read_bytes += core.counters.read_bytes[static_cast<size_t>(isa::Memory::hbm)];
    a.hbm_write_bytes += core.counters.written_bytes[static_cast<size_t>(isa::Memory::hbm)];
  }
  for (const isa::Layer& layer : executable.layers) a.macs += a.cores * layer.macs;
  a.compulsory_bytes = compulsory_bytes(executable, a.cores);
  const uint32_t physical = a.cores * executable.lnc;
  a.peak_macs_per_s = physical * static_cast<uint64_t>(peak_macs_per_s(spec, a.precision));
  a.bf16_macs_per_s = physical * static_cast<uint64_t>(peak_macs_per_s(spec, "bf16"));
  a.hbm_bound_bytes_per_s = static_cast<uint64_t>(hbm_bound_bytes_per_s(spec, physical, stacks.size()));
  a.hbm_can_limit = hbm_can_limit(executable, spec, (physical + stacks.size() - 1) / stacks.size());
  a.wake = spec.semaphores.wake;
  for (size_t k = 0; k < isa::kEngineKindCount; ++k) {
    a.clocks.push_back({kind_name(k), engines_of(spec)[k]->clock_hz});
  }
  for (const isa::Source& s : executable.sources) a.sources.push_back({s.layer, s.tile_op, s.graph_node});
  for (size_t l = 0; l < executable.layers.size(); ++l) {
    a.layers.push_back(layer_of(executable.layers[l], first.layers[l], a.cores, spec));
  }
  for (const chip::EngineCounters& engine : first.engines) a.units.push_back(engine_unit(engine, spec));
  for (size_t e = 0; e < first.dma.size(); ++e) a.units.push_back(dma_unit(first.dma[e], e));
  return a;
}

void add_instruction_texts(const isa::Executable& executable, trace::About& about) {
  std::map<std::string, uint32_t> numbers;
  for (size_t q = 0; q < executable.queues.size(); ++q) {
    const isa::Program& queue = executable.queues[q];
    std::vector<uint32_t>& texts = about.units[q].instruction_texts;
    texts.clear();
    for (const isa::Instruction& i : queue.code) {
      auto [entry, fresh] = numbers.try_emplace(text_of(queue, i), static_cast<uint32_t>(about.texts.size()));
      if (fresh) about.texts.push_back(entry->first);
      texts.push_back(entry->second);
    }
  }
}

void add_chip_fields(const spec::ChipSpec& spec, trace::About& about) {
  const spec::Origin::Known none, &known = spec.origin.known ? *spec.origin.known : none;
  about.chip_file = known.file;
  about.chip_notes = known.notes;
  for (const spec::Field& f : spec::chip_fields()) {
    auto source = known.sources.find(f.path());
    about.fields.push_back({std::string(f.section), std::string(f.key), spec::value_text(f, spec),
                            source == known.sources.end() ? "" : source->second});
  }
}

std::string matmul_precision(const isa::Executable& executable) {
  if (executable.precision != "auto") return executable.precision;
  std::array<uint64_t, kDTypeCount> uses{};
  for (const isa::Program& queue : executable.queues) {
    for (const isa::Instruction& i : queue.code) {
      if (i.opcode != isa::Opcode::nc_matmul) continue;
      ++uses[static_cast<size_t>(queue.operand(i, isa::slots::nc_matmul::moving).dtype)];
    }
  }
  const auto most = std::ranges::max_element(uses) - uses.begin();
  return std::string(dtype_name(static_cast<DType>(most)));
}

double peak_macs_per_s(const spec::ChipSpec& spec, const std::string& precision) {
  const spec::TensorSpec& t = spec.tensor;
  const double full = static_cast<double>(t.rows) * t.columns * static_cast<double>(t.clock_hz) * t.count;
  if (precision == "fp32") return full / t.fp32_passes;
  if (precision == "fp8") return spec.generation >= 3 ? 2 * full : full;
  if (precision == "mxfp8") return 4 * full;
  // "bf16 4:16": all numbers that sparsity leaves out count as done.
  const auto colon = precision.find(':'), space = precision.find(' ');
  if (colon == std::string::npos || space == std::string::npos) return full;
  return full * std::stoi(precision.substr(colon + 1)) / std::stoi(precision.substr(space + 1));
}

double hbm_bound_bytes_per_s(const spec::ChipSpec& spec, uint64_t cores, uint64_t stacks) {
  return static_cast<double>(
      std::min(stacks * spec.hbm.bytes_per_s, cores * spec.dma.engines * spec.dma.engine_bytes_per_s));
}

}  // namespace presil::report
