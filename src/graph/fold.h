// Constants: making them, reading those that decisions may depend on, and computing nodes whose inputs are all
// constant.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace presil::graph {

// Appends a constant; opaque when it is larger than kSmallConstantBytes or said to be.
TensorId add_constant(Graph& graph, std::string name, TensorType type, Bytes data, bool opaque);

// Values of a constant that is not opaque, else nothing.
std::optional<std::vector<int64_t>> small_integers(const Graph& graph, TensorId id);
std::optional<std::vector<double>> small_floats(const Graph& graph, TensorId id);

// True when every input is constant and the result is small, or no larger than its inputs together (a broadcast of one
// value to a gigabyte stays a node), and quickly computed. Depends on shapes only.
bool foldable(const Graph& graph, const Node& node);

// Turns the node's output into a constant: computed when all inputs have data, without data otherwise.
Result<void> fold_node(Graph& graph, const Node& node);

// Folds all foldable nodes of a graph.
Result<Graph> fold_constants(Graph graph);

// Removes nodes that no output depends on and tensors that nothing refers to. Inputs stay.
Graph remove_dead(Graph graph);

}  // namespace presil::graph
