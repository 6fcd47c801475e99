#include "timing/access.h"

#include <cstdlib>

namespace presil::timing {

uint64_t contiguous_run(const isa::View& view) {
  uint64_t run = 1;
  for (size_t k = view.rank; k-- > 0;) {
    const isa::Dim& d = view.dims[k];
    if (d.count == 1) continue;
    if (d.step != static_cast<int64_t>(run)) break;
    run *= d.count;
  }
  return run;
}

uint64_t innermost_stride_bytes(const isa::View& view) {
  for (size_t k = view.rank; k-- > 0;) {
    const isa::Dim& d = view.dims[k];
    if (d.count > 1) return static_cast<uint64_t>(std::abs(int64_t{d.step})) * dtype_bytes(view.dtype);
  }
  return 0;
}

bool is_16bit_float(DType t) { return t == DType::bf16 || t == DType::fp16; }

}  // namespace presil::timing
