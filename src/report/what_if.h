// What would the run take if one resource of the chip were twice as good? Rates are doubled, latencies halved, memories
// doubled; each row names the keys of the chip file, so that anybody can repeat it.
#pragma once
#include <functional>
#include <vector>

#include "base/cancel.h"
#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "trace/about.h"

namespace presil::report {

// Every resource with what changes, in a fixed order; without those that the chip has for nothing (a latency of 0).
std::vector<trace::WhatIf> levers(const spec::ChipSpec& spec);

// The chip with these changes. The changes must be those of levers(spec).
spec::ChipSpec changed(const spec::ChipSpec& spec, const trace::WhatIf& lever);

// How long the workload takes when it is compiled again for a chip.
using Judge = std::function<Result<Time>(const spec::ChipSpec&)>;

// Each lever with the time of the same program on the changed chip, and, with a judge, that of the program compiled for
// it: for memories, and where the same program gains 0.5 % or more. A chip that the compiler refuses has no such time.
Result<std::vector<trace::WhatIf>> what_ifs(const isa::Executable& executable, const spec::ChipSpec& spec, Time elapsed,
                                            const Judge& compiled_again, const Cancel* cancel = nullptr);

// Of elapsed; compiled for it if that is known.
Time predicted(const trace::WhatIf& lever);

}  // namespace presil::report
