// What integers can be while a model runs. The engines compute in fp32, where whole numbers are exact up to 2^24:
// integer arithmetic is allowed exactly where intervals show that nothing leaves that range, for any values of the
// inputs.
#pragma once
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace presil::compiler {

inline constexpr int64_t kExactMax = int64_t{1} << 24;

// Both ends included.
struct Interval {
  int64_t low = 0, high = 0;
  bool exact() const { return low >= -kExactMax && high <= kExactMax; }
  auto operator<=>(const Interval&) const = default;
};

// By tensor. Floats have the interval of int32, which is what a cast makes of them; inputs that of their type (int64
// narrows to int32 on its way into the core).
std::vector<Interval> integer_ranges(const graph::Graph&);

// Whether a node that computes with integers or makes them does so exactly; the error names the node and the intervals.
Result<void> check_exact(const graph::Graph&, const graph::Node&, const std::vector<Interval>& ranges);

}  // namespace presil::compiler
