// Tile programs of the primitives. Each appends to the Context's builder the instructions that compute `out` from `in`
// (Blocks in SBUF); hbm.h loads and stores them. Spatial kernels compute the rows that
// `out` holds (row_begin, shape[2]) and read the rows that `in` holds; the caller provides all rows that are needed and
// exist; rows and columns outside the image are padding. Sizes, K/M/N limits, memories and engines come from the spec.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "kernels/block.h"
#include "kernels/hbm.h"
#include "numerics/activation.h"

namespace presil::kernels {

// Spatial window of convolution and pooling: {rows, columns}.
struct Window {
  int64_t kernel[2] = {1, 1}, stride[2] = {1, 1}, dilation[2] = {1, 1};
  int64_t pad_begin[2] = {0, 0}, pad_end[2] = {0, 0};
};

// Weights of a matmul-like kernel in SBUF.
struct Weights {
  Block weights;
  std::optional<Block> bias;  // [M], partition axis 0, fp32, groups as out's
};

// What happens to a matmul's result on its way out of PSUM: f(x * scale + bias + addend); bias is in Weights. The
// addend is laid out as `out`; scale is 1 with it. The tensor engine adds 16-bit addends (whose groups are no larger
// than the array's rows), the vector engine others.
struct Epilogue {
  Activation function = Activation::copy;
  float scale = 1.0f;
  float alpha = 0;
  std::optional<Block> addend;
};
// What leaves PSUM: all views have the same elements.
struct Evacuation {
  isa::View psum, out;
  std::optional<isa::View> bias, addend;
};
// PSUM to SBUF on the scalar or the vector engine, whichever has less to do.
void evacuate(Context&, const Evacuation&, const Epilogue& = {});

// --- convolution (conv.cc) ---
// Dense: weights [C, kh, kw, M], partition axis 0 with in's groups. out[n, m, y, x] = f(sum w * in + bias).
void conv(Context&, const Window&, const Weights&, const Block& in, const Block& out, const Epilogue& = {});
// 1x1 convolution or matmul with constant weights [K, M]: any axes, K on in's and M on out's partitions, both blocks
// dense over the same free axes.
void linear(Context&, const Weights&, const Block& in, const Block& out, const Epilogue& = {});
// Free axes lie row-major without gaps.
bool is_dense(const Block&);
// Depthwise (channel multiplier 1; depthwise.cc): weights [C, kh, kw] fp32, partition axis 0 with in's groups.
void depthwise(Context&, const Window&, const Weights&, const Block& in, const Block& out);

// --- pooling, resize (pool.cc, resize.cc): rank 4, partition axis 1 ---
void pool(Context&, graph::PoolKind, const Window&, bool count_include_pad, const Block& in, const Block& out);
struct ResizeParams {
  graph::ResizeMode mode = graph::ResizeMode::nearest;
  graph::ResizeCoordinates coordinates = graph::ResizeCoordinates::half_pixel;
  graph::ResizeRounding rounding = graph::ResizeRounding::round_prefer_floor;
  float scale[2] = {1, 1};  // output over input: rows, columns
};
void resize(Context&, const ResizeParams&, const Block& in, const Block& out);

// --- transposed convolution (conv_transpose.cc) ---
// Dense (group 1): weights [C, kh, kw, M], partition axis 0 with in's groups; bias as above.
void conv_transpose(Context&, const Window&, const Weights&, const Block& in, const Block& out, const Epilogue& = {});

// The same for few output channels and a filter that tiles the output (stride = kernel, no padding), stored to rows
// `rows` of `out` [N, M, H, W] by itself (conv_transpose_stored.cc). bias: [P, M], repeated in P partitions, as many as
// the chip has or the result needs.
bool can_store_conv_transpose(const spec::ChipSpec&, const Window&, int64_t channels);
void conv_transpose_stored(Context&, const Window&, const Weights&, const Block& in, const HbmView& out, Range rows,
                           const Epilogue& = {});

// --- reductions (reduce.cc) ---
// Axes may include the partition axis. `out` keeps reduced axes with extent 1.
void reduce(Context&, graph::ReduceKind, const std::vector<int64_t>& axes, const Block& in, const Block& out);
// exp(x - max) / sum over a free axis.
void softmax(Context&, int axis, const Block& in, const Block& out);
// (x - mean) / sqrt(var + epsilon) * scale + bias over the free axes from `axis` on. scale and bias: blocks of the same
// trailing shape, repeated in all partitions (of groups cut as in's, or of one group that is large enough), or absent.
void layer_norm(Context&, int axis, float epsilon, const Block& in, const std::optional<Block>& scale,
                const std::optional<Block>& bias, const Block& out);

// The same over features that lie on partitions (layer_norm_across.cc): in and out are [rows, features], of a float
// type of 2 or 4 bytes, cut alike; scale and bias are [features], fp32, cut as they are.
void layer_norm_across(Context&, float epsilon, const Block& in, const std::optional<Block>& scale,
                       const std::optional<Block>& bias, const Block& out);

// --- matmul of blocks (matmul.cc) ---
// out[b..., M, N] = alpha * a[b..., M, K] x b[b..., K, N]. a's partition axis is its last (K), b's is rank-2 (K) with
// the same group cut, out's is M (rank-2). Batch axes broadcast.
void matmul(Context&, const Block& a, const Block& b, const Block& out, float alpha = 1.0f);

// --- gather by run-time indices (gather.cc) ---
// out[leading..., index axes..., trailing...] = data[leading..., indices, trailing...], with `axis` leading axes; equal
// types. indices: int32, the index axes alone, on the same partitions as out. An index outside the axis is a fault.
void gather(Context&, const HbmView& data, int axis, const Block& indices, const Block& out);
// Negative indices count from the end. rows < kGatherRowsMax: beyond, sums would not be exact.
inline constexpr int64_t kGatherRowsMax = 1 << 24;
Block wrapped_indices(Context&, const Block& indices, int64_t rows);

// --- change of partition axis or of the group cut (relayout.cc) ---
// Copies `in` to `out` (same logical shape) through the tensor engine's transpose, or DMA (the .cc states the choice).
void relayout(Context&, const Block& in, const Block& out);

}  // namespace presil::kernels
