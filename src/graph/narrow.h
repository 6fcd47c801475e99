// int64 exists for shapes and indices while a model is imported; what is left at run time computes in int32.
#pragma once
#include "graph/graph.h"

namespace presil::graph {

// Every int64 tensor becomes int32. Errors: a constant with data that does not fit, naming the value.
Result<Graph> narrow_int64(Graph graph);

}  // namespace presil::graph
