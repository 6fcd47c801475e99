// Executes what the core starts: in its order and on the spot, or behind it in several threads. There, instructions
// that touch the same places keep the core's order (chip/scoreboard.h), so the bits are the same, also of programs that
// race.
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

// `threads`, two at least: this one runs the core, at most some thousand instructions ahead, and executes when it has
// nothing else to do; the others execute. Faults are returned by finish() only. Nothing more is executed once it is
// cancelled.
std::unique_ptr<Executor> execute_behind(const isa::Executable& executable, const spec::ChipSpec& spec,
                                         chip::CoreMemory& memory, uint32_t threads, const Cancel* cancel = nullptr);

}  // namespace presil::system
