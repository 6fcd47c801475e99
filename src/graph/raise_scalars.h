// Tensors of rank 0 while a model runs, as vectors of one element.
#pragma once
#include "base/result.h"
#include "graph/graph.h"

namespace presil::graph {

// The same graph where only inputs, outputs and constants have rank 0: what computes and stores blocks of tensors needs
// an axis. Reshapes stand where a scalar enters and leaves.
Result<Graph> raise_scalars(Graph graph);

}  // namespace presil::graph
