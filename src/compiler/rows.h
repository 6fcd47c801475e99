// Which rows of a step's inputs some rows of its output need: the arithmetic behind bands.
#pragma once
#include "compiler/plan.h"
#include "kernels/kernels.h"

namespace presil::compiler {

struct Rows {
  int64_t begin = 0, end = 0;  // [begin, end)
  bool empty() const { return end <= begin; }
};
Rows hull(const Rows& a, const Rows& b);

// The spatial window of a convolution or pool; 1-D becomes one row.
kernels::Window window_of(const graph::Graph&, const graph::Node&);

// Rows (axis 2) of input `index` of a row-local node that output rows `out` need, within the input.
Rows rows_needed(const graph::Graph&, const graph::Node&, size_t index, const Rows& out);
// Whether a step can run on some rows of its output at a time.
bool row_local(const graph::Graph&, const Step&);
// Whether a step reduces its input over rows and columns only, so that bands of it can be added up.
bool reduces_rows(const graph::Graph&, const Step&);

}  // namespace presil::compiler
