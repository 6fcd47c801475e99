// What is known of a tensor's values from the nodes that make them: enough to see that quantized integers fit and that
// an activation is never negative. Never looks at opaque constants. A NaN is outside what facts speak of.
#pragma once
#include <functional>
#include <limits>

#include "graph/graph.h"

namespace presil::graph {

struct Facts {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool integral = false;
  bool within(double least, double most) const { return low >= least && high <= most; }
};

// The node that makes a tensor, or null.
using ProducerOf = std::function<const Node*(TensorId)>;

Facts facts_of(const Graph&, const ProducerOf&, TensorId);

// The least and the largest value of an integer type.
Facts range_of(DType integer);

}  // namespace presil::graph
