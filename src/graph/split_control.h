// Cuts a graph at its choices (Op::select): pieces that run from beginning to end, and branches between them. What one
// piece makes and another needs is an output of the one and an input of the other, by name.
#pragma once
#include <string>
#include <vector>

#include "graph/graph.h"

namespace presil::graph {

struct Piece;
using Pieces = std::vector<Piece>;

struct Piece {
  Graph graph;  // of a piece without branch
  // A branch, if `node` is not empty: which graph node it stems from, the tensor that decides, and what then runs. A
  // way that cannot be taken has `impossible` set.
  std::string node, condition;
  Pieces then, otherwise;
  bool then_impossible = false, otherwise_impossible = false;
};

bool has_choices(const Graph& graph);
// In order; none of the graphs holds a choice. Names of tensors between pieces are unique and differ from those of the
// graph's inputs and outputs, which stay.
Pieces split_control(const Graph& graph);

}  // namespace presil::graph
