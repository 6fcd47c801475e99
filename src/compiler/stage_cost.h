// What a stage costs, coarsely: enough to weigh rows computed twice, which bands of a long stage need, against trips of
// what lies between two shorter ones to HBM.
#pragma once
#include <functional>

#include "compiler/plan.h"
#include "spec/chip_spec.h"

namespace presil::compiler {

// Seconds of a stage with `bands` bands, all images. `in_hbm`: tensors too large to stay in SBUF between stages.
double stage_seconds(const graph::Graph&, const spec::ChipSpec&, const Plan&, const Stage&,
                     const std::function<bool(graph::TensorId)>& in_hbm);

}  // namespace presil::compiler
