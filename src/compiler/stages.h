// Where values live and which steps run in bands: what fits stays in SBUF whole; where tensors are too large for that,
// consecutive row-local steps run band by band so that only the stage's ends touch HBM.
#pragma once
#include "compiler/plan.h"
#include "compiler/rows.h"
#include "spec/chip_spec.h"

namespace presil::compiler {

// Fills plan.dtypes. With a precision other than auto, what the tensor engine multiplies has that type; what only the
// other engines touch stays in fp32, their native format, so that chains and normalizations do not round at every step.
void choose_dtypes(const graph::Graph&, Plan& plan);

// Fills plan.stages and plan.tensors from plan.steps and plan.dtypes.
Result<void> plan_stages(const graph::Graph&, const spec::ChipSpec&, Plan& plan);

// Element type of a tensor inside the core.
inline DType value_dtype(const graph::Graph&, const Plan& plan, graph::TensorId t) { return plan.dtypes[t.value]; }

// Rows of every tensor that band `band` of a stage computes or reads (by tensor; empty where untouched), and the part
// of them that this band owns (each row of a tensor that leaves the stage is owned by one band).
struct BandRows {
  std::vector<Rows> needed, owned;
};
BandRows band_rows(const graph::Graph&, const Plan&, const Stage&, uint32_t band);

}  // namespace presil::compiler
