// Graph: what to compute. Tensors and nodes of generalized primitives; front ends (onnx/, models/) produce it,
// compiler/ reads it. All shapes are static; constants carry their bytes, or none when compiled without data.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "numerics/dtype.h"

namespace presil::graph {

using TensorId = Id<struct TensorTag>;
using Shape = std::vector<int64_t>;

inline int64_t element_count(const Shape& s) {
  int64_t n = 1;
  for (int64_t d : s) n *= d;
  return n;
}

// Bytes of a constant, row-major; shared because folding passes alias them.
using Bytes = std::shared_ptr<const std::vector<std::byte>>;

// Constants up to this size are always read, so their values, and what is computed from them, may decide the structure
// of the graph. Larger ones, and whatever is computed from those, are opaque: no decision looks at their values, hence
// a graph imported with data and one imported without have the same nodes and shapes.
inline constexpr int64_t kSmallConstantBytes = 64 * 1024;

// Added to a score, this or less means that a softmax leaves it out: far below any score.
inline constexpr double kMaskedMax = -65504;  // fp16's least number

struct Tensor {
  std::string name;
  DType dtype = DType::fp32;
  Shape shape;
  bool constant = false;
  bool opaque = false;  // constants only: see kSmallConstantBytes
  bool causal = false;  // constants only: [n, n], 0 where column <= row, elsewhere at most kMaskedMax
  Bytes data;           // constants only; null when data was not read
};

// Primitives. The importer decomposes everything else into these. Axes are never negative.
enum class Op : uint8_t {
  elementwise,     // fn over 1-3 operands of one dtype with numpy broadcasting (ElementwiseFn)
  cast,            // to the output's dtype; float to integer truncates, to boolean compares with zero
  matmul,          // [..., M, K] x [..., K, N] + optional bias [N]; batch dims broadcast; see Attributes::integers
  conv,            // x [N, C, spatial...], w [M, C/group, k...], optional bias [M]; 1-D and 2-D; as matmul
  conv_transpose,  // x [N, C, spatial...], w [C, M/group, k...], optional bias [M]
  pool,            // max or average over windows of x [N, C, spatial...]; padding never wins a maximum
  reduce,          // sum, mean, max, min, prod over axes
  softmax,         // over one axis
  layer_norm,      // x, scale, bias (both of shape x.shape[axis:]) over the last axes from `axis`
  resize,          // nearest or linear to the output's shape; scales (output over input, per axis) map coordinates
  reshape,         // includes squeeze, unsqueeze, flatten; shape is the output's
  transpose,       // axes is the permutation: output dim i is input dim axes[i]
  slice,           // starts, ends, steps per entry of axes, resolved: 0 <= start, end <= dim (-1 for a full reverse)
  concat,
  pad,     // constant, reflect, edge; pads are not negative
  gather,  // data, indices (negative ones count from the end), axis
  expand,  // broadcast to the output's shape
  select,  // condition of one boolean element, then, else, of one type: what is not chosen need not be computed. With
           // two inputs only one choice exists: the condition has to equal `expected`
  enter,   // in a loop: what `leave` takes over from the iteration before; the operand in the first one
  leave,   // trips, go, again, entered, next, and such pairs of all that the loop carries: behind a loop that runs
           // while `go`, then `again` of each iteration holds, `trips` times at most: the last `next`, or what entered
};
inline constexpr int kOpCount = static_cast<int>(Op::leave) + 1;
std::string_view op_name(Op op);

enum class ElementwiseFn : uint8_t {
  // unary; round is half to even, trunc toward zero
  identity,
  neg,
  abs,
  sign,
  exp,
  log,
  sqrt,
  rsqrt,
  reciprocal,
  square,
  sigmoid,
  tanh,
  erf,
  gelu,
  gelu_tanh,
  silu,
  softplus,
  mish,
  relu,
  leaky_relu,
  hard_sigmoid,
  hard_swish,
  elu,
  floor,
  ceil,
  trunc,
  round,
  sin,
  cos,
  logical_not,
  clip,
  saturate,  // round, then clip: what storing to an integer type does; NaN becomes 0, or the limit next to it
  // binary; comparisons give boolean, div of integers truncates, mod has the sign of the divisor
  add,
  sub,
  mul,
  div,
  pow,
  max,
  min,
  mod,
  equal,
  greater,
  greater_equal,
  less,
  less_equal,
  logical_and,
  logical_or,
  logical_xor,
  // ternary; the condition is boolean
  where,
};
inline constexpr int kElementwiseFnCount = static_cast<int>(ElementwiseFn::where) + 1;
std::string_view elementwise_name(ElementwiseFn fn);
int elementwise_arity(ElementwiseFn fn);

enum class PoolKind : uint8_t { max, average };
enum class ReduceKind : uint8_t { sum, mean, max, min, prod };
enum class PadMode : uint8_t { constant, reflect, edge };
enum class ResizeMode : uint8_t { nearest, linear };
// Source: ONNX Resize, coordinate_transformation_mode and nearest_mode.
enum class ResizeCoordinates : uint8_t { half_pixel, pytorch_half_pixel, asymmetric, align_corners };
enum class ResizeRounding : uint8_t { round_prefer_floor, round_prefer_ceil, floor, ceil };

// One flat struct: each op uses the fields its comment above names; the rest keep their defaults.
struct Attributes {
  ElementwiseFn fn = ElementwiseFn::identity;
  // leaky_relu, elu: alpha; clip, saturate: low, high; hard_sigmoid: clip(alpha x + beta, 0, 1); hard_swish: x times
  // that.
  float alpha = 0, beta = 0;
  // Windows (conv, conv_transpose, pool): always filled, one entry per spatial axis; pads begins then ends. The kernel
  // is the weight's for convolutions. Of the pad op: pads per axis of the tensor.
  std::vector<int64_t> strides, dilations, pads, kernel, output_padding;
  int64_t group = 1;
  // conv, matmul: both operands hold integers of magnitude up to 255, which bf16 holds exactly; the sums leave as fp32.
  bool integers = false;
  PoolKind pool = PoolKind::max;
  bool count_include_pad = false;
  ReduceKind reduce = ReduceKind::sum;
  std::vector<int64_t> axes;  // reduce, slice; transpose permutation; softmax, concat, gather, layer_norm: one
  bool keepdims = true;
  std::vector<int64_t> starts, ends, steps;
  PadMode pad_mode = PadMode::constant;
  float pad_value = 0;
  ResizeMode resize = ResizeMode::nearest;
  ResizeCoordinates coordinates = ResizeCoordinates::half_pixel;
  ResizeRounding rounding = ResizeRounding::round_prefer_floor;
  std::vector<float> scales;
  float epsilon = 0;
  bool expected = true;  // select
  // enter, leave: the number of their loop. An enter with a second entry counts iterations from 0, up to that.
  std::vector<int64_t> loop;
};

struct Node {
  Op op = Op::elementwise;
  std::vector<TensorId> inputs;
  TensorId output;
  Attributes attrs;
  std::string source;  // ONNX node name (or "#12 Conv" when unnamed)
};

struct Graph {
  std::string name;
  std::vector<Tensor> tensors;
  std::vector<Node> nodes;  // topological order
  std::vector<TensorId> inputs, outputs;

  const Tensor& at(TensorId id) const { return tensors[id.value]; }
  Tensor& at(TensorId id) { return tensors[id.value]; }
};

struct Finding {
  std::string where, message;
};
// Everything wrong with a graph: order, dangling ids, arity, shapes that an op cannot have. Empty when sound.
std::vector<Finding> verify(const Graph& graph);

// Output dtype and shape of a node from its inputs'; the only place where shapes are computed. For cast, reshape,
// expand and resize the output tensor says what is wanted, and the answer is that, checked. Errors carry the node's
// source.
struct TensorType {
  DType dtype = DType::fp32;
  Shape shape;
};
Result<TensorType> infer(const Graph& graph, const Node& node);

std::string print(const Graph& graph);

// Nodes by op, most frequent first: "conv 62, elementwise.add 14, ..."
std::string op_histogram(const Graph& graph);

}  // namespace presil::graph
