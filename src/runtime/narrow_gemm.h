// One product with packed weights as a workload: what `presil bench gemm` runs in fp8, mxfp8 and with sparsity.
#pragma once
#include <optional>

#include "kernels/narrow_gemm.h"
#include "runtime/inputs.h"
#include "runtime/workload.h"

namespace presil::runtime {

struct NarrowGemmOptions {
  kernels::NarrowGemm gemm;
  std::optional<NamedArray> weights;  // a [m, k], bf16; otherwise drawn from `seed`
  uint64_t seed = 0;
  uint32_t cores = 0;     // that share b's columns evenly, at most; 0: all of the chip
  bool with_data = true;  // false: no weights, the executable can be timed only
  const Cancel* cancel = nullptr;
};

// Errors: sizes or a chip that the instructions refuse, weights of another shape.
Result<Workload> narrow_gemm_workload(const NarrowGemmOptions& options, spec::ChipSpec chip);

}  // namespace presil::runtime
