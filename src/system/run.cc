#include "system/run.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <set>

#include "base/text.h"
#include "chip/loaded.h"
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

}  // namespace

Result<RunResult> run(const isa::Executable& executable, const spec::ChipSpec& spec, const Options& options,
                      const std::vector<Input>& inputs, trace::Sink* sink) {
  TRY(check_assumptions(executable, options.assume));
  const chip::Loaded loaded = TRY(chip::load(executable, spec));
  chip::CoreOptions core;
  core.contention = options.contention;
  core.limits = {options.time_limit, options.event_limit, options.cancel};
  if (options.observer != nullptr) core.observers.push_back(options.observer);

  std::optional<chip::Checker> checker;
  if (options.check) core.observers.push_back(&checker.emplace(executable, spec));
  std::optional<chip::CoreMemory> memory;
  std::unique_ptr<chip::RegisterMemory> registers;
  std::unique_ptr<KnownMemory> known;
  core.sequencer = {nullptr, &options.assume, options.jumps_max};
  std::unique_ptr<Executor> executor;
  if (options.data) {
    memory.emplace(spec, executable.hbm_bytes);
    TRY(fill_hbm(executable, inputs, *memory));
    const bool behind = options.threads > 1 && sink == nullptr && !loaded.control;
    executor = behind ? execute_behind(executable, spec, *memory, options.threads, options.cancel)
                      : execute_here(executable, spec, *memory);
    core.observers.push_back(executor.get());
    if (loaded.control) registers = registers_of_data(executable, *memory);
    core.sequencer.memory = registers.get();
  } else if (loaded.control) {
    known = TRY(known_memory(executable, spec, inputs));
    core.observers.push_back(known.get());
    core.sequencer.memory = known.get();
  }

  chip::CoreResult done = chip::run_core(executable, loaded, spec, core, sink);
  const bool late_fault = executor && !executor->finish().empty();
  TRY(go_on_unless(options.cancel));
  if (late_fault) {  // noticed too late to stop the core where it happened
    Options alone = options;
    alone.threads = 1;
    return run(executable, spec, alone, inputs, sink);
  }
  if (!done.unknown_node.empty()) return unknown_value(done);
  RunResult result{std::move(done.outcome), done.elapsed, done.trace_hash, std::move(done.counters)};
  if (checker) result.findings = checker->findings();
  if (result.outcome.ok() && !result.findings.empty()) result.outcome = outcome_of(executable, result.findings);
  if (memory) result.outputs = outputs_of(executable, *memory);
  return result;
}

}  // namespace presil::system
