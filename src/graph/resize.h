// Where a resized element comes from: the one definition that the interpreter and the compiler share.
// Source: ONNX Resize; coordinates in fp32, as onnxruntime computes them, so that ties fall the same way.
#pragma once
#include <vector>

#include "graph/graph.h"

namespace presil::graph {

// out = in[low] * (1 - high_weight) + in[high] * high_weight; nearest has low == high and weight 0.
struct ResizeTap {
  int64_t low = 0, high = 0;
  float high_weight = 0;
};

// One tap per output index along an axis of size `in` that becomes `out`.
std::vector<ResizeTap> resize_taps(const Attributes& attrs, size_t axis, int64_t in, int64_t out);

}  // namespace presil::graph
