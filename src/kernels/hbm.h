// HbmView: a strided logical view of a tensor in HBM, so that reshapes, transposes and slices of values that live there
// move no data; load and store copy between such a view and a Block.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/block.h"

namespace presil::kernels {

struct HbmView {
  uint32_t tensor = 0;
  DType dtype = DType::fp32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // elements; 0 broadcasts
  int64_t offset = 0;            // elements
};

HbmView row_major(uint32_t tensor, DType, const std::vector<int64_t>& shape);
// As the functions of the same name on Blocks; `reshaped` gives nothing when the strides do not permit it.
std::optional<HbmView> reshaped(const HbmView&, const std::vector<int64_t>& shape);
HbmView transposed(const HbmView&, const std::vector<int64_t>& permutation);
HbmView sliced(const HbmView&, int axis, Range);
// Broadcast to `shape` (numpy rules): extents 1 and missing leading axes repeat.
HbmView broadcast(const HbmView&, const std::vector<int64_t>& shape);

// Equal shapes; dtypes may differ (the DMA converts). Large copies are split so that users can start early.
void load(Context&, const HbmView& from, const Block& to);
void store(Context&, const Block& from, const HbmView& to);
// HBM to HBM, equal shapes.
void copy(Context&, const HbmView& from, const HbmView& to);

}  // namespace presil::kernels
