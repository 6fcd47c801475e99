#include "report/what_if.h"

#include <algorithm>
#include <initializer_list>

#include "spec/fields.h"
#include "system/run.h"

namespace presil::report {
namespace {

using Kind = trace::WhatIf::Kind;

struct Lever {
  const char* resource;
  Kind kind;
  std::initializer_list<const char*> fields;
};

const Lever kLevers[] = {
    {"tensor", Kind::rate, {"tensor.clock"}},
    {"vector", Kind::rate, {"vector.clock"}},
    {"scalar", Kind::rate, {"scalar.clock"}},
    {"gpsimd", Kind::rate, {"gpsimd.clock"}},
    {"sync", Kind::rate, {"sync.clock"}},
    {"dma", Kind::rate, {"dma.engine_bandwidth", "dma.queue_bandwidth"}},
    {"hbm", Kind::rate, {"hbm.bandwidth"}},
    {"tensor", Kind::latency, {"tensor.latency"}},
    {"vector", Kind::latency, {"vector.latency"}},
    {"scalar", Kind::latency, {"scalar.latency", "scalar.table_load"}},
    {"gpsimd", Kind::latency, {"gpsimd.latency"}},
    {"sync", Kind::latency, {"sync.latency"}},
    {"dma",
     Kind::latency,
     {"dma.start_latency_from_hbm", "dma.start_latency_from_sbuf", "dma.completion", "dma.transfer_floor",
      "dma.trigger_from_hbm", "dma.trigger_from_sbuf", "dma.dispatch_per_descriptor", "dma.dispatch_max",
      "dma.software_descriptor", "dma.hardware_generation"}},
    {"semaphores", Kind::latency, {"semaphores.wake"}},
    {"sbuf", Kind::size, {"sbuf.partition_size"}},
    {"psum", Kind::size, {"psum.partition_size", "psum.banks"}},
};

// Gains below this part of the time are not worth compiling for.
constexpr Time kWorthCompiling = 200;

const spec::Field& field_of(const trace::WhatIf::Change& change) {
  const spec::Field* field = spec::find_field(change.section + "." + change.key);
  CHECK(field != nullptr, "levers name fields");
  return *field;
}

uint64_t better(uint64_t value, Kind kind) { return kind == Kind::latency ? value / 2 : 2 * value; }

}  // namespace

std::vector<trace::WhatIf> levers(const spec::ChipSpec& spec) {
  std::vector<trace::WhatIf> all;
  for (const Lever& lever : kLevers) {
    trace::WhatIf w{.resource = lever.resource, .kind = lever.kind};
    bool within_range = true;
    for (const char* path : lever.fields) {
      const spec::Field* f = spec::find_field(path);
      CHECK(f != nullptr, "levers name fields");
      const uint64_t value = f->get(spec);
      if (value == 0) continue;
      within_range &= better(value, lever.kind) <= f->most;
      spec::ChipSpec changed = spec;
      f->set(changed, better(value, lever.kind));
      w.changes.push_back(
          {std::string(f->section), std::string(f->key), spec::value_text(*f, spec), spec::value_text(*f, changed)});
    }
    if (within_range && !w.changes.empty()) all.push_back(std::move(w));
  }
  return all;
}

spec::ChipSpec changed(const spec::ChipSpec& spec, const trace::WhatIf& lever) {
  spec::ChipSpec out = spec;
  for (const trace::WhatIf::Change& change : lever.changes) {
    const spec::Field& f = field_of(change);
    f.set(out, better(f.get(spec), lever.kind));
  }
  return out;
}

Result<std::vector<trace::WhatIf>> what_ifs(const isa::Executable& executable, const spec::ChipSpec& spec, Time elapsed,
                                            const Judge& compiled_again, const Cancel* cancel) {
  std::vector<trace::WhatIf> all = levers(spec);
  for (trace::WhatIf& w : all) {
    const spec::ChipSpec chip = changed(spec, w);
    if (w.kind != Kind::size) w.same_program = TRY(system::run(executable, chip, {.cancel = cancel})).elapsed;
    const bool worth = w.kind == Kind::size || elapsed - w.same_program >= elapsed / kWorthCompiling;
    if (compiled_again == nullptr || !worth) continue;
    auto time = compiled_again(chip);
    if (time) w.compiled_for_it = *time;
    TRY(go_on_unless(cancel));
  }
  return all;
}

Time predicted(const trace::WhatIf& lever) {
  return lever.compiled_for_it != 0 ? lever.compiled_for_it : lever.same_program;
}

}  // namespace presil::report
