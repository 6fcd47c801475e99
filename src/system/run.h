// Runs an Executable on cores of a chip: in time, and with data also in bits.
//
//   auto r = system::run(executable, spec);                                          // time only
//   auto r = system::run(executable, spec, {.data = true, .check = true}, {{"x", bytes}});
//   if (r && r->outcome.ok()) use(r->outputs[0].bytes);
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "chip/checker.h"
#include "chip/core.h"
#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "trace/trace.h"

namespace presil::system {

struct Options {
  bool data = false;       // execute, from `inputs` and the executable's constants
  bool check = false;      // chip/checker.h
  uint32_t threads = 1;    // of the host; from two on, data is computed beside time and checks. No result depends on it
  bool contention = true;  // false: transfers of different queues do not slow each other (for laws)
  Time time_limit = kTimeMax;
  uint64_t event_limit = UINT64_MAX;
  const Cancel* cancel = nullptr;
  chip::Assumptions assume;              // in place of values that are not known without data
  uint64_t jumps_max = chip::kJumpsMax;  // backwards, before a run counts as endless
  chip::Observer* observer = nullptr;    // sees every instruction of the first core; changes nothing
  // Simulate every core, beside one another. Otherwise cores that do the same at the same time are simulated once,
  // which changes no result: those of an executable run the same program and meet at their stack only. What branches
  // on computed values is simulated on every core in any case.
  bool every_core = false;
};

// Row-major bytes of the whole HBM tensor of that name, in its dtype.
struct Input {
  std::string name;
  std::span<const std::byte> bytes;
};
struct Output {
  std::string name;
  std::vector<std::byte> bytes;
};

// One of several logical cores.
struct CoreRun {
  uint32_t core = 0;  // on the chip; of a pair its first physical one
  Time elapsed = 0;
  uint64_t trace_hash = 0;
  chip::Counters counters;
};

struct RunResult {
  chip::Outcome outcome;
  Time elapsed = 0;            // from the first instruction to the end of the last instruction or transfer
  uint64_t trace_hash = 0;     // of all events in time; the same with and without a trace, data, checker or threads
  chip::Counters counters;     // of the first core; no other one's stack is attached to more cores of the run
  std::vector<CoreRun> cores;  // each, in the order of their parts of tensors
  std::vector<chip::Finding> findings;  // of the checker; the first one is also the outcome of a run that got through
  std::vector<Output> outputs;          // with data, in the order of the executable's tensors
};

// The cores of a run are spread over the stacks: the first ones take one stack each. Of logical cores of `lnc` physical
// ones, the first of each. With a sink, the first core is recorded. The checker looks at the first core, as the others
// run the same program, and at all of them if they may branch differently.
std::vector<uint32_t> cores_of_run(const spec::ChipSpec& spec, uint32_t cores, uint32_t lnc = 1);

// Exchanges of a pair's cores are carried out first (isa/exchange.h); what results says about an instruction is then
// about the executable that expand_exchanges makes.
// Without data, `inputs` may be given for what decides branches, loops and addresses.
// Errors: an executable that does not hold together for this chip, or that has more cores; with data, inputs that are
// missing, unknown or of another size, constants without bytes; without data, a branch, loop or address that depends on
// a value that is neither known nor assumed; `cancelled`, within milliseconds of the request. What goes wrong inside
// the machine is an Outcome.
Result<RunResult> run(const isa::Executable& executable, const spec::ChipSpec& spec, const Options& options = {},
                      const std::vector<Input>& inputs = {}, trace::Sink* sink = nullptr);

}  // namespace presil::system
