// A batch in parts: one after the other, so that what is too large for a core's memory at once then fits, or one on
// each of several cores.
#pragma once
#include <optional>

#include "graph/graph.h"

namespace presil::graph {

// The batch: what all inputs have as their first extent; 1 if they differ or have none.
int64_t batch_of(const Graph& graph);

// Nodes that depend on the inputs appear once per part, each with 1 / parts of the batch; results are joined at the
// outputs. Nothing when parts does not divide the batch or some node mixes elements of it.
std::optional<Graph> split_batch(const Graph& graph, int64_t parts);

// One part alone: the same graph for 1 / parts of what some inputs have on an axis, where all parts compute the same.
// That is the batch of all inputs; or else axis 0, or 1, of the first input (rows of a matrix, queries), while all
// parts have the other inputs whole. Nothing where parts cannot be told apart that way, or where operands of a part
// would have to differ: one without a batch that stretches over it and is not known to repeat.
struct BatchPart {
  static constexpr int kWhole = -1;
  Graph graph;
  std::vector<int> input_axes, output_axes;  // where the parts lie side by side
};
std::optional<BatchPart> batch_part(const Graph& graph, int64_t parts);

}  // namespace presil::graph
