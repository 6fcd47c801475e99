// What a run was about (trace/about.h), from those who know: executable, chip and counters.
#pragma once
#include <span>
#include <string>

#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "system/run.h"
#include "trace/about.h"

namespace presil::report {

// Without texts of instructions, chip fields, what-ifs and memories: what summarize() needs.
trace::About about(const isa::Executable& executable, const spec::ChipSpec& spec, const system::RunResult& run);

// The same of some cores of the run.
trace::About about_cores(const isa::Executable& executable, const spec::ChipSpec& spec, const system::RunResult& run,
                         std::span<const system::CoreRun> cores);

// Adds what each static instruction is: "nc_matmul psum.fp32[16 x 448] <- sbuf.fp32[27 x 16], sbuf.fp32[27 x 448]".
void add_instruction_texts(const isa::Executable& executable, trace::About& about);

// Adds every value of the chip with its source, and the notes of its file.
void add_chip_fields(const spec::ChipSpec& spec, trace::About& about);

// What the matmuls of an executable compute in: its precision, or, when that is the model's own ("auto"), the type of
// most moving operands; fp32 without matmuls.
std::string matmul_precision(const isa::Executable& executable);
// Multiply-accumulates per second of one core.
double peak_macs_per_s(const spec::ChipSpec& spec, const std::string& precision);
// min(stacks attached, DMA engines of the cores together), reads and writes together.
double hbm_bound_bytes_per_s(const spec::ChipSpec& spec, uint64_t cores = 1, uint64_t stacks = 1);

}  // namespace presil::report
