// The nodes of a graph in an order in which every operand exists before it is read.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "onnx/model.h"

namespace presil::onnx {

// Indices into graph.nodes; the graph's own order where it is one. `outside`: names of the graphs around it, which it
// may read. Errors: a tensor produced twice or read but never produced, a cycle.
Result<std::vector<size_t>> node_order(const GraphValue& graph, const std::set<std::string>& outside = {});

// What a node reads: its operands, and what the graphs inside it take from around them. Sorted.
std::vector<std::string> names_read(const NodeValue& node);

}  // namespace presil::onnx
