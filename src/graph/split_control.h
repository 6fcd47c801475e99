// Cuts a graph at its choices (Op::select) and loops (Op::enter, Op::leave): pieces that run from beginning to end,
// branches between them, and loops around them. What one piece makes and another needs is an output of the one and an
// input of the other, by name.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace presil::graph {

struct Piece;
using Pieces = std::vector<Piece>;

// The body of a loop reads what it carries under the names under which it is left, and ends by writing those.
struct PieceLoop {
  std::string trips, go, again;    // tensors that decide, or empty
  int64_t trips_most = INT32_MAX;  // where no tensor says it
  bool runs = true;                // where no tensor says whether it begins
  bool once = false;               // whether it ends after its first iteration
  std::string iteration;           // tensor that holds the iteration's number, or empty
  Tensor iteration_type;
  Pieces body;
};

struct Piece {
  Graph graph;                    // of a piece without branch or loop
  std::optional<PieceLoop> loop;  // of node `node`
  // A branch, if `node` is not empty: which graph node it stems from, the tensor that decides, and what then runs. A
  // way that cannot be taken has `impossible` set.
  std::string node, condition;
  Pieces then, otherwise;
  bool then_impossible = false, otherwise_impossible = false;
};

bool has_choices(const Graph& graph);  // or loops
// In order; none of the graphs holds a choice. Names of tensors between pieces are unique and differ from those of the
// graph's inputs and outputs, which stay.
Pieces split_control(const Graph& graph);

}  // namespace presil::graph
