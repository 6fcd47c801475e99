// The graphs of `presil bench`: one operation of a given size, made in memory.
#pragma once
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "cli/options.h"
#include "graph/graph.h"

namespace presil::cli {

struct BenchGraph {
  graph::Graph graph;
  std::vector<std::string> inputs;  // of those given, what is left for the run: weights are part of the graph
};

// Errors: sizes that do not fit one another, a weight that cannot be read.
Result<BenchGraph> bench_graph(const BenchOptions& options, DType dtype, const Cancel* cancel);

}  // namespace presil::cli
