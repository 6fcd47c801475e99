#include "system/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/check.h"
#include "base/hash.h"
#include "base/text.h"
#include "chip/loaded.h"
#include "isa/exchange.h"
#include "system/executor.h"
#include "system/hbm_image.h"
#include "system/registers.h"

namespace presil::system {
namespace {

// What a run that got through is worth when the checker found something.
chip::Outcome outcome_of(const isa::Executable& exe, const std::vector<chip::Finding>& findings) {
  const chip::Finding& first = findings.front();
  const bool order = first.kind == chip::Finding::Kind::race || first.kind == chip::Finding::Kind::ambiguous_wait;
  chip::Outcome o;
  o.kind = order ? chip::Outcome::Kind::race : chip::Outcome::Kind::fault;
  o.engine = chip::queue_name(exe, first.site.queue);
  o.queue = first.site.queue;
  o.instruction = first.site.instruction;
  o.source = chip::source_text(exe, exe.queues[first.site.queue].code[first.site.instruction].source);
  o.detail = first.text;
  if (findings.size() > 1) o.detail += fmt::format(" (and {})", count_text(findings.size() - 1, "more finding"));
  return o;
}

Error unknown_value(const chip::CoreResult& done) {
  return unsupported(
      fmt::format("the program goes on by a value that a run without data does not know ({})", done.outcome.source),
      done.unknown_node,
      fmt::format("--assume '{}=N', an --input that it follows from, or a run with data", done.unknown_node));
}

// Every assumption is about a node that decides something.
Result<Filled> check_assumptions(const isa::Executable& exe, const chip::Assumptions& assume) {
  if (assume.empty()) return Filled{};
  std::set<std::string> deciding;
  for (const isa::Program& p : exe.queues) {
    for (const isa::Instruction& i : p.code) {
      const bool decides = i.opcode == isa::Opcode::branch || i.opcode == isa::Opcode::loop;
      if (decides && i.source < exe.sources.size()) deciding.insert(exe.sources[i.source].graph_node);
    }
  }
  for (const auto& [node, value] : assume) {
    if (!deciding.contains(node))
      return bad_input("no branch or loop of the program stems from it", fmt::format("assumed node '{}'", node),
                       nearest_hint(node, std::vector<std::string>(deciding.begin(), deciding.end())));
  }
  return Filled{};
}

// One core of the run that is simulated.
struct Part {
  std::optional<chip::Checker> checker;
  std::optional<chip::CoreMemory> memory;
  std::vector<std::vector<std::byte>> storage;
  std::unique_ptr<Executor> executor;
  std::unique_ptr<chip::RegisterMemory> registers;
  std::unique_ptr<KnownMemory> known;
};

class Run {
 public:
  Run(const isa::Executable& executable, const chip::Loaded& loaded, const spec::ChipSpec& spec, const Options& options,
      const std::vector<Input>& inputs, trace::Sink* sink)
      : exe_(executable),
        loaded_(loaded),
        spec_(spec),
        options_(options),
        inputs_(inputs),
        sink_(sink),
        cores_(cores_of_run(spec, executable.cores, executable.lnc)) {
    for (uint32_t core : cores_) ++attached_[stack_of(spec, core)];
    if (options.data) result_.outputs = empty_outputs(executable);
  }

  Result<Filled> all() {
    if (options_.every_core || loaded_.control) return simulate(0, static_cast<uint32_t>(cores_.size()));
    for (uint32_t part = 0; part < cores_.size(); ++part) {
      const uint32_t same = first_like(part);
      if (same == part || options_.data) {
        TRY(simulate(part, 1));
      } else {
        add(part, done_[same]);
      }
    }
    return Filled{};
  }

  bool late_fault() const { return late_fault_; }

  Result<RunResult> result() {
    for (const chip::CoreResult& core : done_) {
      if (!core.unknown_node.empty()) return unknown_value(core);
    }
    for (uint32_t part = 0; part < cores_.size(); ++part) {
      const chip::CoreResult& core = done_[part];
      result_.elapsed = std::max(result_.elapsed, core.elapsed);
      if (result_.outcome.ok() && !core.outcome.ok()) {
        result_.outcome = core.outcome;
        if (part > 0) result_.outcome.engine = core_name(part) + core.outcome.engine;
      }
      result_.cores.push_back({cores_[part], core.elapsed, core.trace_hash, core.counters});
    }
    result_.counters = result_.cores.front().counters;
    result_.trace_hash = hash_of(result_.cores);
    if (result_.outcome.ok() && !result_.findings.empty()) result_.outcome = outcome_of(exe_, result_.findings);
    return std::move(result_);
  }

 private:
  uint32_t alike(uint32_t part) const { return attached_.at(stack_of(spec_, cores_[part])); }

  uint32_t first_like(uint32_t part) const {
    uint32_t first = 0;
    while (alike(first) != alike(part)) ++first;
    return first;
  }

  static uint64_t hash_of(const std::vector<CoreRun>& cores) {
    if (cores.size() == 1) return cores.front().trace_hash;
    std::vector<uint64_t> hashes;
    for (const CoreRun& core : cores) hashes.push_back(core.trace_hash);
    return hash_bytes(std::as_bytes(std::span(hashes)), 0);
  }

  // Parts [first, first + count) beside one another; a single one stands for all of its stack.
  Result<Filled> simulate(uint32_t first, uint32_t count) {
    std::vector<Part> parts(count);
    std::vector<chip::CoreJob> jobs(count);
    for (uint32_t n = 0; n < count; ++n) TRY(prepare(first + n, count > 1 ? 1 : alike(first + n), parts[n], jobs[n]));
    chip::CoreOptions core;
    core.contention = options_.contention;
    core.limits = {options_.time_limit, options_.event_limit, options_.cancel};
    std::vector<chip::CoreResult> done = chip::run_cores(jobs, spec_, core, first == 0 ? sink_ : nullptr);
    for (uint32_t n = 0; n < count; ++n) {
      late_fault_ = (parts[n].executor && !parts[n].executor->finish().empty()) || late_fault_;
      if (parts[n].checker) add_findings(first + n, parts[n].checker->findings());
      if (parts[n].memory) collect_outputs(exe_, first + n, *parts[n].memory, result_.outputs);
      add(first + n, std::move(done[n]));
    }
    return Filled{};
  }

  Result<Filled> prepare(uint32_t index, uint32_t alike, Part& part, chip::CoreJob& job) {
    const uint32_t core = cores_[index];
    job = {.executable = &exe_, .loaded = &loaded_, .core = core, .stack = stack_of(spec_, core), .alike = alike};
    job.traced = index == 0;
    job.sequencer = {nullptr, &options_.assume, options_.jumps_max};
    if (options_.observer != nullptr && index == 0) job.observers.push_back(options_.observer);
    if (options_.check && (index == 0 || loaded_.control)) job.observers.push_back(&part.checker.emplace(exe_, spec_));
    return options_.data ? prepare_data(index, part, job) : prepare_known(index, part, job);
  }

  Result<Filled> prepare_known(uint32_t index, Part& part, chip::CoreJob& job) {
    if (!loaded_.control) return Filled{};
    part.known = TRY(known_memory(exe_, spec_, inputs_, index));
    job.observers.push_back(part.known.get());
    job.sequencer.memory = part.known.get();
    return Filled{};
  }

  Result<Filled> prepare_data(uint32_t index, Part& part, chip::CoreJob& job) {
    part.memory.emplace(spec_, exe_.hbm_bytes, exe_.lnc);
    TRY(fill_hbm(exe_, inputs_, index, *part.memory, part.storage));
    const bool behind = options_.threads > 1 && sink_ == nullptr && !options_.every_core && !loaded_.control;
    part.executor = behind ? execute_behind(exe_, spec_, *part.memory, options_.threads, options_.cancel)
                           : execute_here(exe_, spec_, *part.memory);
    job.observers.push_back(part.executor.get());
    if (loaded_.control) part.registers = registers_of_data(exe_, *part.memory);
    job.sequencer.memory = part.registers.get();
    return Filled{};
  }

  // "core2: ", by its number on the chip; of a pair by that of the pair, in which cores have names.
  std::string core_name(uint32_t part) const {
    return exe_.lnc == 1 ? fmt::format("core{}: ", cores_[part]) : fmt::format("pair{}: ", cores_[part] / exe_.lnc);
  }

  // Of a core after the first, with its name: most of them every core has.
  void add_findings(uint32_t part, const std::vector<chip::Finding>& findings) {
    for (chip::Finding f : findings) {
      const auto same = [&](const chip::Finding& g) {
        return g.kind == f.kind && g.site == f.site && g.other == f.other;
      };
      if (std::ranges::any_of(result_.findings, same)) continue;
      if (part > 0) f.text = core_name(part) + f.text;
      result_.findings.push_back(std::move(f));
    }
  }

  void add(uint32_t part, chip::CoreResult done) {
    CHECK(done_.size() == part, "parts are simulated in order");
    done_.push_back(std::move(done));
  }

  const isa::Executable& exe_;
  const chip::Loaded& loaded_;
  const spec::ChipSpec& spec_;
  const Options& options_;
  const std::vector<Input>& inputs_;
  trace::Sink* sink_;
  std::vector<uint32_t> cores_;            // by part
  std::map<uint32_t, uint32_t> attached_;  // cores of the run by stack
  std::vector<chip::CoreResult> done_;     // by part
  RunResult result_;
  bool late_fault_ = false;
};

// Weights and other constants lie in each stack once, everything else is a core's own.
Result<Filled> check_cores(const isa::Executable& exe, const spec::ChipSpec& spec) {
  if (exe.lnc > 1 && spec.cores / spec.hbm.stacks % exe.lnc != 0) {
    return bad_input(fmt::format("compiled for logical cores of {}, a stack of chip {} has {} cores", exe.lnc,
                                 spec.name, spec.cores / spec.hbm.stacks));
  }
  if (exe.cores > spec.cores / exe.lnc) {
    return bad_input(fmt::format("compiled for {} {}cores, chip {} has {}", exe.cores, exe.lnc > 1 ? "logical " : "",
                                 spec.name, spec.cores / exe.lnc));
  }
  uint64_t constants = 0;
  for (const isa::HbmTensor& t : exe.tensors) {
    const bool shared = t.role == isa::TensorRole::constant && t.split_axis == isa::HbmTensor::kNotSplit;
    if (shared) constants += t.bytes;
  }
  const uint64_t attached = (exe.cores + spec.hbm.stacks - 1) / spec.hbm.stacks;
  const uint64_t own = exe.hbm_bytes - std::min(constants, exe.hbm_bytes);
  if (attached == 1 || own <= (spec.hbm.bytes - constants) / attached) return Filled{};
  return bad_input(fmt::format("{} cores share {} bytes of HBM, but need {} bytes each and {} for constants", attached,
                               spec.hbm.bytes, own, constants));
}

}  // namespace

std::vector<uint32_t> cores_of_run(const spec::ChipSpec& spec, uint32_t cores, uint32_t lnc) {
  const uint32_t attached = spec.cores / spec.hbm.stacks;
  std::vector<uint32_t> all;
  for (uint32_t n = 0; n < cores; ++n) all.push_back(n % spec.hbm.stacks * attached + n / spec.hbm.stacks * lnc);
  return all;
}

Result<RunResult> run(const isa::Executable& executable, const spec::ChipSpec& spec, const Options& options,
                      const std::vector<Input>& inputs, trace::Sink* sink) {
  if (isa::has_exchanges(executable)) {
    const isa::Executable expanded = TRY(isa::expand_exchanges(executable, spec.dma.engines));
    return run(expanded, spec, options, inputs, sink);
  }
  TRY(check_assumptions(executable, options.assume));
  TRY(check_assumptions(executable, options.assume));
  const chip::Loaded loaded = TRY(chip::load(executable, spec));
  TRY(check_cores(executable, spec));
  Run cores(executable, loaded, spec, options, inputs, sink);
  TRY(cores.all());
  TRY(go_on_unless(options.cancel));
  if (cores.late_fault()) {  // noticed too late to stop the core where it happened
    Options alone = options;
    alone.threads = 1;
    return run(executable, spec, alone, inputs, sink);
  }
  return cores.result();
}

}  // namespace presil::system
