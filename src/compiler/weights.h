// Weights as the kernels want them: re-laid out on the host, once, free of charge at run time (they lie in HBM when the
// program starts). Everything works without data too and then gives shapes only.
#pragma once
#include <optional>

#include "graph/graph.h"
#include "kernels/packed_conv.h"
#include "kernels/row_conv.h"

namespace presil::compiler {

struct HostTensor {
  DType dtype = DType::fp32;
  graph::Shape shape;
  std::vector<std::byte> data;  // empty: weights were not read
};

// The one element of a constant, if it has one and it was read.
std::optional<float> number_of(const graph::Tensor&);
// A constant in another dtype.
HostTensor converted(const graph::Tensor&, DType);
// Convolution weights [M, C/group, kh, kw] (1-D: [M, C/group, k]) to [C, kh, kw, m] for output channels [begin,
// begin+m); a grouped convolution becomes dense with zeros.
HostTensor conv_weights(const graph::Tensor&, int64_t channels, int64_t group, int64_t begin, int64_t m, DType);
// The same, for kernels::conv_rows, to [in_rows * C, passes, kw, out_rows * m_step].
HostTensor row_weights(const graph::Tensor&, const kernels::RowPacking&, int64_t stride, int64_t channels,
                       int64_t group, DType);
// The same, for kernels::conv_packed, to [kw * in_rows * C, out_rows * m_step]: filter columns outermost.
HostTensor packed_weights(const graph::Tensor&, const kernels::TapPacking&, int64_t stride, DType);
// [C, 1, kh, kw] to [C, kh, kw], fp32: they are per-partition scalars.
HostTensor depthwise_weights(const graph::Tensor&);
// [C, M/group, kh, kw] to [C, kh, kw, m], dense.
HostTensor transpose_weights(const graph::Tensor&, int64_t group, int64_t begin, int64_t m, DType);
// [K, N] to [K, n] for columns [begin, begin + n).
HostTensor linear_weights(const graph::Tensor&, int64_t begin, int64_t n, DType);

}  // namespace presil::compiler
