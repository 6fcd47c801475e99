// Runs a Graph on the host, one node at a time (evaluate.h): the oracle for compiled programs.
#pragma once
#include <span>
#include <vector>

#include "graph/host_tensor.h"

namespace presil::graph {

// One tensor per graph output. Errors: an input that is missing or of another dtype or shape, a constant without data,
// and those of evaluate().
Result<std::vector<HostTensor>> interpret(const Graph& graph, std::span<const HostTensor> inputs);

}  // namespace presil::graph
