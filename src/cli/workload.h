// From what the command line names to something that runs: chip, graph, executable.
#pragma once
#include <map>
#include <optional>

#include "base/result.h"
#include "cli/options.h"
#include "compiler/compile.h"
#include "graph/graph.h"
#include "isa/executable.h"
#include "spec/chip_spec.h"

namespace presil::cli {

struct Workload {
  spec::ChipSpec chip;
  isa::Executable executable;
  std::optional<graph::Graph> graph;    // of a model, as the plan names it
  std::optional<compiler::Plan> plan;   // of a model
  std::map<std::string, int64_t> dims;  // as given with --dim
  double compile_seconds = 0;           // on the host; loading included
};

bool has_suffix(const std::string& path, std::string_view suffix);

// "NAME=N" and "NAME=1x3x224x224". Errors name the argument.
Result<std::pair<std::string, int64_t>> parse_dim(const std::string& text);
Result<std::pair<std::string, graph::Shape>> parse_shape(const std::string& text);

Result<graph::Graph> load_graph(const std::string& path, const std::vector<std::string>& dims,
                                const std::vector<std::string>& shapes, bool with_data, bool double_as_fp32);

// A model is compiled; a .presil file is read and must have been compiled for the chip unless `retime`.
Result<Workload> load_workload(const WorkloadOptions& options, bool with_data);

}  // namespace presil::cli
