// Graph to Executable: the table of contents of the compiler. Every arrow is one function, every value between two can
// be printed.
#pragma once
#include "backend/lower.h"
#include "base/cancel.h"
#include "compiler/plan.h"
#include "isa/executable.h"
#include "spec/chip_spec.h"
#include "tile/tile_program.h"

namespace presil::compiler {

struct Options {
  std::string precision = "auto";  // auto, fp32, tf32, bf16, fp16
  const Cancel* cancel = nullptr;  // asked between passes
  // Of the chip, at most; 0: all. As many are used as divide the batch evenly, each with its part of it.
  uint32_t cores = 1;
  uint32_t semaphores_max = UINT32_MAX;  // of a core's, that the program may use
};

struct Compilation {
  graph::Graph graph;        // simplified, of one core: what the plan's numbers refer to
  std::optional<Plan> plan;  // none of a graph with branches, whose pieces have one each
  isa::Executable executable;
};

// Steps, kinds, dtypes, blockings, stages and places; estimates are filled by compile(). Errors: an operation that
// no kernel does, a precision that does not exist, a tensor too large for the chip; compile(): more cores than the chip
// has.
Result<Plan> make_plan(const graph::Graph&, const spec::ChipSpec&, const Options&);
Result<Compilation> compile(graph::Graph, const spec::ChipSpec&, const Options&);

}  // namespace presil::compiler
