// The least time that a graph takes on a core, from the graph alone: no order, tiling or program of ours is in it.
#pragma once
#include "compiler/plan.h"
#include "graph/graph.h"
#include "spec/chip_spec.h"

namespace presil::compiler {

// Seconds that each resource needs at least; `plan` says in which types values are multiplied and stored.
//   tensor       products packed as densely as the array allows: a pass takes `rows` of the contraction and `columns`
//                of one operand, and streams the other at one vector per cycle (fp32: fp32_passes of them), in
//                instructions of at most moving_max vectors with their overhead and least time (but where there are
//                several small products, which may share them); products that are added count as one
//   elementwise  every product leaves PSUM through the vector or the scalar engine, an element per lane and cycle, and
//                transcendental functions run on the scalar engine
//   hbm          inputs, outputs and constants once, as the caller counts them
struct LowerBound {
  double tensor = 0, elementwise = 0, hbm = 0;
  double seconds() const;
  const char* resource() const;  // the one that is the bound
};
LowerBound lower_bound(const graph::Graph&, const Plan& plan, const spec::ChipSpec&, double hbm_seconds);

}  // namespace presil::compiler
