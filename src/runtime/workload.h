// From a file to something that runs: chip, graph, plan, executable.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "compiler/compile.h"
#include "graph/graph.h"
#include "isa/executable.h"
#include "runtime/activation_file.h"
#include "spec/chip_spec.h"

namespace presil::runtime {

struct Rounding {
  bool stochastic = false;
  uint64_t seed = 0;
};

struct WorkloadOptions {
  std::string path;                                   // MODEL.onnx, FILE.presil, or FILE.txt: an executable's text
  std::optional<spec::ChipSpec> chip;                 // none: what an executable was compiled for, or trn2
  std::string precision = "auto";                     // of a model: auto (its own), fp32, tf32, bf16, fp16
  std::vector<std::pair<std::string, int64_t>> dims;  // of a model: dynamic dimensions by name
  std::vector<std::pair<std::string, graph::Shape>> shapes;  // of a model: whole shapes of inputs
  bool double_as_fp32 = false;
  bool with_data = true;  // false: weights are not read, the executable can be timed only
  bool retime = false;    // accept an executable that was compiled for another chip
  uint32_t cores = 0;     // at most so many of the chip's share the batch; 0: all. An executable has been given its own
  std::vector<Replacement> activations;  // tables in place of the program's functions
  std::optional<Rounding> rounding;      // none: as the executable says
  std::optional<uint8_t> cfp8_bias;
  const Cancel* cancel = nullptr;
};

struct Workload {
  spec::ChipSpec chip;
  isa::Executable executable;
  std::optional<graph::Graph> graph;    // of a model, as the plan names it
  std::optional<compiler::Plan> plan;   // of a model
  std::map<std::string, int64_t> dims;  // as given
  double compile_seconds = 0;           // on the host; loading included
  // The same workload compiled for another chip, to be timed; null: it cannot be compiled again.
  std::function<Result<isa::Executable>(const spec::ChipSpec&, const Cancel*)> compile_for;
};

// An executable's tensors of that role as all cores have them together, without data.
std::vector<isa::HbmTensor> whole_tensors(const isa::Executable& executable, isa::TensorRole role);

bool is_executable_file(const std::string& path);

Result<graph::Graph> load_graph(const WorkloadOptions& options);

// A model is compiled; an executable is read and must have been compiled for the chip unless `retime`. Errors: what
// the file, the chip or the compiler refuse; options of models given for an executable.
Result<Workload> load_workload(const WorkloadOptions& options);

// A graph that was made here.
Result<Workload> compile_workload(graph::Graph graph, spec::ChipSpec chip, const compiler::Options& options);

// Written whole or not at all; returns its bytes. Errors: a path that does not end in .presil, an unwritable file.
Result<void> check_executable_path(const std::string& path, const std::string& option);
Result<uint64_t> save_executable(const Workload& workload, const std::string& path, const std::string& option,
                                 const Cancel* cancel = nullptr);

}  // namespace presil::runtime
