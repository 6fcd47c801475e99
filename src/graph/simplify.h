// Graph-to-graph clean-up that a compiler for any machine wants: less work, richer primitives, same results up to
// rounding. Decisions look at shapes, constness and small constants only (see kSmallConstantBytes).
#pragma once
#include "graph/graph.h"

namespace presil::graph {

Result<Graph> simplify(Graph graph);

}  // namespace presil::graph
