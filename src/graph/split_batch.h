// The same graph for a batch in parts, one after the other: what is too large for the core's memory at once then fits.
#pragma once
#include <optional>

#include "graph/graph.h"

namespace presil::graph {

// The batch: what all inputs have as their first extent; 1 if they differ or have none.
int64_t batch_of(const Graph& graph);

// Nodes that depend on the inputs appear once per part, each with 1 / parts of the batch; results are joined at the
// outputs. Nothing when parts does not divide the batch or some node mixes elements of it.
std::optional<Graph> split_batch(const Graph& graph, int64_t parts);

}  // namespace presil::graph
