// Executes what the core starts, in the core's order: on the spot, or behind it in a thread of its own. Any order that
// the waits allow gives the same bits unless the program races, and both take the same order.
#pragma once
#include <memory>
#include <string>

#include "base/cancel.h"
#include "chip/core.h"
#include "chip/memory.h"
#include "isa/executable.h"
#include "spec/chip_spec.h"

namespace presil::system {

class Executor : public chip::Observer {
 public:
  // Waits for everything to be executed. Empty, or the first fault that has not been returned by executed().
  virtual std::string finish() = 0;
};

// Faults are returned where they happen.
std::unique_ptr<Executor> execute_here(const isa::Executable& executable, const spec::ChipSpec& spec,
                                       chip::CoreMemory& memory);

// The core runs ahead, at most some thousand instructions. `threads`, two at least: this one, which helps with the data
// once the core is done, one for the data, and more that take parts of its large instructions. Faults are returned by
// finish() only. Nothing more is executed once it is cancelled.
std::unique_ptr<Executor> execute_behind(const isa::Executable& executable, const spec::ChipSpec& spec,
                                         chip::CoreMemory& memory, uint32_t threads, const Cancel* cancel = nullptr);

}  // namespace presil::system
