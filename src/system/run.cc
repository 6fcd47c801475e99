#include "system/run.h"

#include "chip/loaded.h"

namespace presil::system {

Result<RunResult> run(const isa::Executable& executable, const spec::ChipSpec& spec, const Options& options,
                      trace::Sink* sink) {
  const chip::Loaded loaded = TRY(chip::load(executable, spec));
  chip::CoreOptions core;
  core.contention = options.contention;
  core.limits = {options.time_limit, options.event_limit};
  chip::CoreResult done = chip::run_core(executable, loaded, spec, core, sink);
  return RunResult{std::move(done.outcome), done.elapsed, done.trace_hash, std::move(done.counters)};
}

}  // namespace presil::system
