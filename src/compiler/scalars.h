// Values without axes as vectors of one element, so that kernels always have an axis to put on partitions.
#pragma once
#include "graph/graph.h"

namespace presil::compiler {

// Tensors of rank 0 that are made while the model runs get the shape [1]; inputs and outputs of rank 0 stay, with a
// reshape behind or before them. Indices of a gather stay too: their rank is part of the result's.
graph::Graph with_vectors_for_scalars(graph::Graph);

}  // namespace presil::compiler
