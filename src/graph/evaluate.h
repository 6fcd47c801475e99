// The meaning of each primitive, spelled out: slow, in double precision (or int64), rounded once per node. It folds
// constants and is the independent oracle that compiled programs are tested against. Nonlinear functions are the
// engines' own tables (numerics/activation.h), so folded weights are the same bits on every machine.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "graph/graph.h"

namespace presil::graph {

// The bytes of node.output, whose dtype and shape stand in the graph and equal infer(graph, node). `inputs` are the
// operands' bytes. Errors: integer division by zero, an index out of range, a function that has no integer form.
Result<std::vector<std::byte>> evaluate(const Graph& graph, const Node& node,
                                        std::span<const std::span<const std::byte>> inputs);

}  // namespace presil::graph
