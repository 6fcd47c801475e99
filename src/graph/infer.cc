// Dtype and shape of each primitive's output. Every check of an operand's rank and size lives here, so that an executor
// or a lowering may rely on them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/graph.h"
#include "graph/shape.h"

namespace presil::graph {
namespace {

struct Context {
  const Graph& graph;
  const Node& node;
  const Tensor& in(size_t i) const { return graph.at(node.inputs[i]); }
  size_t inputs() const { return node.inputs.size(); }
  const Attributes& attrs() const { return node.attrs; }
  Error error(std::string message) const {
    return bad_input(fmt::format("{}: {}", op_name(node.op), message), node.source);
  }
};

bool is_comparison(ElementwiseFn fn) { return fn >= ElementwiseFn::equal && fn <= ElementwiseFn::less_equal; }
bool is_logical(ElementwiseFn fn) { return fn >= ElementwiseFn::logical_and && fn <= ElementwiseFn::logical_xor; }

Result<void> want_inputs(const Context& c, size_t low, size_t high) {
  if (c.inputs() >= low && c.inputs() <= high) return {};
  return c.error(low == high ? fmt::format("has {} inputs, takes {}", c.inputs(), low)
                             : fmt::format("has {} inputs, takes {} to {}", c.inputs(), low, high));
}

Result<void> want_same_dtype(const Context& c, size_t first) {
  for (size_t i = first + 1; i < c.inputs(); ++i) {
    if (c.in(i).dtype == c.in(first).dtype) continue;
    return c.error(fmt::format("operands '{}' is {} and '{}' is {}, expected one dtype", c.in(first).name,
                               dtype_name(c.in(first).dtype), c.in(i).name, dtype_name(c.in(i).dtype)));
  }
  return {};
}

Result<int64_t> one_axis(const Context& c, size_t rank) {
  if (c.attrs().axes.size() != 1) return c.error(fmt::format("has {} axes, takes one", c.attrs().axes.size()));
  int64_t axis = c.attrs().axes[0];
  if (axis < 0 || axis >= static_cast<int64_t>(rank)) {
    return c.error(fmt::format("axis {} is outside a tensor of rank {}", axis, rank));
  }
  return axis;
}

Result<TensorType> infer_elementwise(const Context& c) {
  ElementwiseFn fn = c.attrs().fn;
  size_t arity = static_cast<size_t>(elementwise_arity(fn));
  TRY(want_inputs(c, arity, arity));
  bool where = fn == ElementwiseFn::where;
  TRY(want_same_dtype(c, where ? 1 : 0));
  bool boolean_in = where || is_logical(fn) || fn == ElementwiseFn::logical_not;
  if (boolean_in && c.in(0).dtype != DType::boolean) {
    return c.error(fmt::format("{} needs a boolean operand, '{}' is {}", elementwise_name(fn), c.in(0).name,
                               dtype_name(c.in(0).dtype)));
  }
  Shape shape = c.in(0).shape;
  for (size_t i = 1; i < arity; ++i) {
    std::optional<Shape> joined = broadcast(shape, c.in(i).shape);
    if (!joined) {
      return c.error(fmt::format("{} of '{}' {} and '{}' {}: the shapes do not broadcast", elementwise_name(fn),
                                 c.in(i - 1).name, shape_text(shape), c.in(i).name, shape_text(c.in(i).shape)));
    }
    shape = *joined;
  }
  DType dtype = is_comparison(fn) ? DType::boolean : c.in(where ? 1 : 0).dtype;
  return TensorType{dtype, shape};
}

// The type of sums of products.
Result<DType> product_dtype(const Context& c) {
  DType dtype = c.in(0).dtype;
  if (!c.attrs().integers) return dtype;
  if (dtype != DType::bf16)
    return c.error(fmt::format("operands of integers are {}, expected bf16", dtype_name(dtype)));
  if (c.inputs() > 2) return c.error("a product of integers takes no bias");
  return DType::fp32;
}

Result<TensorType> infer_matmul(const Context& c) {
  TRY(want_inputs(c, 2, 3));
  TRY(want_same_dtype(c, 0));
  const Shape &a = c.in(0).shape, &b = c.in(1).shape;
  if (a.size() < 2 || b.size() < 2) {
    return c.error(fmt::format("operands {} and {} need at least two dimensions", shape_text(a), shape_text(b)));
  }
  std::optional<Shape> batch = broadcast({a.begin(), a.end() - 2}, {b.begin(), b.end() - 2});
  if (!batch || a.back() != b[b.size() - 2]) {
    return c.error(fmt::format("operands {} and {} do not fit", shape_text(a), shape_text(b)));
  }
  if (c.inputs() == 3 && c.in(2).shape != Shape{b.back()}) {
    return c.error(fmt::format("bias {} should be [{}]", shape_text(c.in(2).shape), b.back()));
  }
  Shape out = *batch;
  out.push_back(a[a.size() - 2]);
  out.push_back(b.back());
  return TensorType{TRY(product_dtype(c)), out};
}

Result<void> want_window_attributes(const Context& c, size_t spatial, bool transposed) {
  const Attributes& a = c.attrs();
  bool filled = a.strides.size() == spatial && a.dilations.size() == spatial && a.pads.size() == 2 * spatial &&
                (!transposed || a.output_padding.size() == spatial);
  if (!filled) return c.error(fmt::format("strides, dilations or pads do not have {} spatial axes", spatial));
  for (size_t i = 0; i < spatial; ++i) {
    if (a.strides[i] < 1 || a.dilations[i] < 1 || a.strides[i] > kWindowMax || a.dilations[i] > kWindowMax) {
      return c.error(
          fmt::format("stride {} and dilation {} must be from 1 to {}", a.strides[i], a.dilations[i], kWindowMax));
    }
    int64_t extra = transposed ? a.output_padding[i] : 0;
    if (extra < 0 || extra > kWindowMax) return c.error(fmt::format("output padding {} is out of range", extra));
  }
  for (int64_t pad : a.pads) {
    if (pad < 0 || pad > kWindowMax) return c.error(fmt::format("pad {} must be from 0 to {}", pad, kWindowMax));
  }
  return {};
}

Result<int64_t> window_positions(const Context& c, int64_t in, size_t axis, size_t spatial, int64_t kernel) {
  const Attributes& a = c.attrs();
  if (kernel < 1 || kernel > kWindowMax)
    return c.error(fmt::format("kernel {} must be from 1 to {}", kernel, kWindowMax));
  int64_t padded = in + a.pads[axis] + a.pads[axis + spatial];
  int64_t window = a.dilations[axis] * (kernel - 1) + 1;
  if (window > padded) {
    return c.error(
        fmt::format("a window of {} does not fit into {} (with padding) on spatial axis {}", window, padded, axis));
  }
  return (padded - window) / a.strides[axis] + 1;
}

Result<TensorType> infer_conv(const Context& c) {
  TRY(want_inputs(c, 2, 3));
  TRY(want_same_dtype(c, 0));
  const Shape &x = c.in(0).shape, &w = c.in(1).shape;
  bool transposed = c.node.op == Op::conv_transpose;
  if (x.size() < 3 || x.size() > 5 || w.size() != x.size()) {
    return c.error(fmt::format("input {} and weight {} need the same rank, 3 to 5", shape_text(x), shape_text(w)));
  }
  size_t spatial = x.size() - 2;
  TRY(want_window_attributes(c, spatial, transposed));
  int64_t group = c.attrs().group;
  bool divides = group >= 1 && x[1] % group == 0;
  bool fits = divides && (transposed ? x[1] == w[0] : x[1] / group == w[1] && w[0] % group == 0);
  if (!fits || (transposed && w[1] > kElementsMax / group)) {
    return c.error(fmt::format("input {}, weight {} and group {} do not fit", shape_text(x), shape_text(w), group));
  }
  int64_t channels_out = transposed ? w[1] * group : w[0];
  if (c.inputs() == 3 && c.in(2).shape != Shape{channels_out}) {
    return c.error(fmt::format("bias {} should be [{}]", shape_text(c.in(2).shape), channels_out));
  }
  const Attributes& a = c.attrs();
  Shape out = {x[0], channels_out};
  for (size_t i = 0; i < spatial; ++i) {
    if (transposed) {
      if (w[i + 2] < 1 || w[i + 2] > kWindowMax)
        return c.error(fmt::format("kernel {} must be from 1 to {}", w[i + 2], kWindowMax));
      int64_t window = a.dilations[i] * (w[i + 2] - 1) + 1;
      int64_t size = (x[i + 2] - 1) * a.strides[i] + window + a.output_padding[i] - a.pads[i] - a.pads[i + spatial];
      if (size < 1) return c.error(fmt::format("padding leaves nothing of spatial axis {}", i));
      out.push_back(size);
    } else {
      out.push_back(TRY(window_positions(c, x[i + 2], i, spatial, w[i + 2])));
    }
  }
  if (transposed && a.integers) return c.error("has no form for integers");
  return TensorType{TRY(product_dtype(c)), out};
}

Result<TensorType> infer_pool(const Context& c) {
  TRY(want_inputs(c, 1, 1));
  const Shape& x = c.in(0).shape;
  if (x.size() < 3 || c.attrs().kernel.size() != x.size() - 2) {
    return c.error(fmt::format("input {} and a kernel of {} axes do not fit", shape_text(x), c.attrs().kernel.size()));
  }
  TRY(want_window_attributes(c, x.size() - 2, false));
  Shape out = {x[0], x[1]};
  for (size_t i = 0; i + 2 < x.size(); ++i) {
    out.push_back(TRY(window_positions(c, x[i + 2], i, x.size() - 2, c.attrs().kernel[i])));
  }
  return TensorType{c.in(0).dtype, out};
}

Result<TensorType> infer_reduce(const Context& c) {
  TRY(want_inputs(c, 1, 1));
  const Shape& x = c.in(0).shape;
  std::vector<bool> reduced(x.size(), false);
  for (int64_t axis : c.attrs().axes) {
    if (axis < 0 || axis >= static_cast<int64_t>(x.size()) || reduced[axis]) {
      return c.error(fmt::format("axis {} is repeated or outside a tensor of rank {}", axis, x.size()));
    }
    reduced[axis] = true;
  }
  Shape out;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!reduced[i]) out.push_back(x[i]);
    if (reduced[i] && c.attrs().keepdims) out.push_back(1);
  }
  return TensorType{c.in(0).dtype, out};
}

Result<TensorType> infer_softmax(const Context& c) {
  TRY(want_inputs(c, 1, 1));
  TRY(one_axis(c, c.in(0).shape.size()));
  return TensorType{c.in(0).dtype, c.in(0).shape};
}

Result<TensorType> infer_layer_norm(const Context& c) {
  TRY(want_inputs(c, 3, 3));
  const Shape& x = c.in(0).shape;
  int64_t axis = TRY(one_axis(c, x.size()));
  Shape normalized(x.begin() + axis, x.end());
  for (size_t i = 1; i < 3; ++i) {
    if (c.in(i).shape == normalized) continue;
    return c.error(
        fmt::format("'{}' is {}, expected {}", c.in(i).name, shape_text(c.in(i).shape), shape_text(normalized)));
  }
  return TensorType{c.in(0).dtype, x};
}

Result<TensorType> infer_resize(const Context& c) {
  TRY(want_inputs(c, 1, 1));
  const Shape &x = c.in(0).shape, &out = c.graph.at(c.node.output).shape;
  if (out.size() != x.size() || c.attrs().scales.size() != x.size()) {
    return c.error(fmt::format("input {}, output {} and {} scales differ in rank", shape_text(x), shape_text(out),
                               c.attrs().scales.size()));
  }
  for (size_t i = 0; i < x.size(); ++i) {
    double expected = static_cast<double>(x[i]) * c.attrs().scales[i];
    if (c.attrs().scales[i] > 0 && std::abs(static_cast<double>(out[i]) - expected) <= 1.0 + expected * 1e-6) continue;
    return c.error(fmt::format("axis {} of {} scaled by {} does not give {}", i, x[i], c.attrs().scales[i], out[i]));
  }
  return TensorType{c.in(0).dtype, out};
}

Result<TensorType> infer_reshape(const Context& c) {
  TRY(want_inputs(c, 1, 1));
  const Shape& out = c.graph.at(c.node.output).shape;
  if (!checked_count(out) || checked_count(out) != checked_count(c.in(0).shape)) {
    return c.error(
        fmt::format("{} does not become {}: the element counts differ", shape_text(c.in(0).shape), shape_text(out)));
  }
  return TensorType{c.in(0).dtype, out};
}

Result<TensorType> infer_transpose(const Context& c) {
  TRY(want_inputs(c, 1, 1));
  const Shape& x = c.in(0).shape;
  std::vector<int64_t> sorted = c.attrs().axes;
  std::ranges::sort(sorted);
  bool permutation = sorted.size() == x.size();
  for (size_t i = 0; permutation && i < sorted.size(); ++i) permutation = sorted[i] == static_cast<int64_t>(i);
  if (!permutation)
    return c.error(fmt::format("{} is no permutation of rank {}", shape_text(c.attrs().axes), x.size()));
  Shape out;
  for (int64_t axis : c.attrs().axes) out.push_back(x[axis]);
  return TensorType{c.in(0).dtype, out};
}

Result<TensorType> infer_slice(const Context& c) {
  TRY(want_inputs(c, 1, 1));
  const Attributes& a = c.attrs();
  if (a.starts.size() != a.axes.size() || a.ends.size() != a.axes.size() || a.steps.size() != a.axes.size()) {
    return c.error("starts, ends, axes and steps differ in length");
  }
  Shape out = c.in(0).shape;
  std::vector<bool> sliced(out.size(), false);
  for (size_t i = 0; i < a.axes.size(); ++i) {
    if (a.axes[i] < 0 || a.axes[i] >= static_cast<int64_t>(out.size()) || sliced[a.axes[i]]) {
      return c.error(fmt::format("axis {} is repeated or outside a tensor of rank {}", a.axes[i], out.size()));
    }
    sliced[a.axes[i]] = true;
    int64_t dim = c.in(0).shape[a.axes[i]], step = a.steps[i];
    bool in_range = step > 0 ? a.starts[i] >= 0 && a.ends[i] <= dim : a.starts[i] < dim && a.ends[i] >= -1;
    if (step == 0 || step == INT64_MIN || !in_range) {
      return c.error(
          fmt::format("[{}:{}:{}] is not resolved for a dimension of {}", a.starts[i], a.ends[i], step, dim));
    }
    int64_t span = step > 0 ? a.ends[i] - a.starts[i] : a.starts[i] - a.ends[i], stride = step > 0 ? step : -step;
    out[a.axes[i]] = span <= 0 ? 0 : (span - 1) / stride + 1;
  }
  return TensorType{c.in(0).dtype, out};
}

Result<TensorType> infer_concat(const Context& c) {
  if (c.inputs() == 0) return c.error("has no inputs");
  TRY(want_same_dtype(c, 0));
  Shape out = c.in(0).shape;
  int64_t axis = TRY(one_axis(c, out.size()));
  for (size_t i = 1; i < c.inputs(); ++i) {
    Shape other = c.in(i).shape;
    bool fits = other.size() == out.size();
    int64_t size = fits ? other[axis] : 0;
    if (fits) other[axis] = out[axis];
    if (!fits || other != out || size > kElementsMax) {
      return c.error(fmt::format("'{}' {} does not fit '{}' {} on axis {}", c.in(i).name, shape_text(c.in(i).shape),
                                 c.in(0).name, shape_text(c.in(0).shape), axis));
    }
    out[axis] += size;
  }
  return TensorType{c.in(0).dtype, out};
}

Result<TensorType> infer_pad(const Context& c) {
  TRY(want_inputs(c, 1, 1));
  Shape out = c.in(0).shape;
  const std::vector<int64_t>& pads = c.attrs().pads;
  if (pads.size() != 2 * out.size()) return c.error(fmt::format("has {} pads for rank {}", pads.size(), out.size()));
  for (size_t i = 0; i < out.size(); ++i) {
    int64_t dim = out[i], before = pads[i], after = pads[i + out.size()];
    if (before < 0 || after < 0 || before > kElementsMax || after > kElementsMax) {
      return c.error(fmt::format("pads {} and {} of axis {} are out of range", before, after, i));
    }
    bool reflects = c.attrs().pad_mode == PadMode::reflect && std::max(before, after) > std::max<int64_t>(dim - 1, 0);
    bool extends = c.attrs().pad_mode == PadMode::edge && dim == 0 && before + after > 0;
    if (reflects || extends) {
      return c.error(fmt::format("pads {} and {} need more than the {} elements of axis {}", before, after, dim, i));
    }
    out[i] += before + after;
  }
  return TensorType{c.in(0).dtype, out};
}

Result<TensorType> infer_gather(const Context& c) {
  TRY(want_inputs(c, 2, 2));
  const Shape &x = c.in(0).shape, &indices = c.in(1).shape;
  int64_t axis = TRY(one_axis(c, x.size()));
  if (c.in(1).dtype != DType::int64 && c.in(1).dtype != DType::int32) {
    return c.error(
        fmt::format("indices '{}' are {}, expected int32 or int64", c.in(1).name, dtype_name(c.in(1).dtype)));
  }
  Shape out(x.begin(), x.begin() + axis);
  out.insert(out.end(), indices.begin(), indices.end());
  out.insert(out.end(), x.begin() + axis + 1, x.end());
  return TensorType{c.in(0).dtype, out};
}

Result<TensorType> infer_expand(const Context& c) {
  TRY(want_inputs(c, 1, 1));
  const Shape& out = c.graph.at(c.node.output).shape;
  if (broadcast(c.in(0).shape, out) != out) {
    return c.error(fmt::format("{} does not broadcast to {}", shape_text(c.in(0).shape), shape_text(out)));
  }
  return TensorType{c.in(0).dtype, out};
}

Result<TensorType> infer_cast(const Context& c) {
  TRY(want_inputs(c, 1, 1));
  return TensorType{c.graph.at(c.node.output).dtype, c.in(0).shape};
}

Result<TensorType> infer_select(const Context& c) {
  TRY(want_inputs(c, 2, 3));
  if (c.in(0).dtype != DType::boolean || element_count(c.in(0).shape) != 1)
    return c.error(fmt::format("the condition '{}' is {} {}, expected one boolean", c.in(0).name,
                               dtype_name(c.in(0).dtype), shape_text(c.in(0).shape)));
  TRY(want_same_dtype(c, 1));
  if (c.inputs() == 3 && c.in(1).shape != c.in(2).shape)
    return c.error(fmt::format("gives {} or {}", shape_text(c.in(1).shape), shape_text(c.in(2).shape)));
  return TensorType{c.in(1).dtype, c.in(1).shape};
}

Result<TensorType> infer_enter(const Context& c) {
  TRY(want_inputs(c, 1, 1));
  if (c.attrs().loop.empty()) return c.error("belongs to no loop");
  return TensorType{c.in(0).dtype, c.in(0).shape};
}

Result<TensorType> infer_leave(const Context& c) {
  TRY(want_inputs(c, 5, SIZE_MAX));
  if (c.attrs().loop.empty()) return c.error("belongs to no loop");
  for (size_t i = 0; i < 3; ++i) {
    const bool fits = i == 0 ? is_integer(c.in(i).dtype) : c.in(i).dtype == DType::boolean;
    if (!fits || element_count(c.in(i).shape) != 1)
      return c.error(fmt::format("operand {} is {} {}, expected one {}", i, dtype_name(c.in(i).dtype),
                                 shape_text(c.in(i).shape), i == 0 ? "integer" : "boolean"));
  }
  if (c.inputs() % 2 == 0) return c.error("what enters last has no next");
  for (size_t i = 3; i < c.inputs(); i += 2) {
    if (c.in(i).dtype == c.in(i + 1).dtype && c.in(i).shape == c.in(i + 1).shape) continue;
    return c.error(fmt::format("{} {} becomes {} {}", dtype_name(c.in(i).dtype), shape_text(c.in(i).shape),
                               dtype_name(c.in(i + 1).dtype), shape_text(c.in(i + 1).shape)));
  }
  return TensorType{c.in(3).dtype, c.in(3).shape};
}

Result<TensorType> dispatch(const Context& c) {
  switch (c.node.op) {
    case Op::elementwise:
      return infer_elementwise(c);
    case Op::cast:
      return infer_cast(c);
    case Op::matmul:
      return infer_matmul(c);
    case Op::conv:
    case Op::conv_transpose:
      return infer_conv(c);
    case Op::pool:
      return infer_pool(c);
    case Op::reduce:
      return infer_reduce(c);
    case Op::softmax:
      return infer_softmax(c);
    case Op::layer_norm:
      return infer_layer_norm(c);
    case Op::resize:
      return infer_resize(c);
    case Op::reshape:
      return infer_reshape(c);
    case Op::transpose:
      return infer_transpose(c);
    case Op::slice:
      return infer_slice(c);
    case Op::concat:
      return infer_concat(c);
    case Op::pad:
      return infer_pad(c);
    case Op::gather:
      return infer_gather(c);
    case Op::expand:
      return infer_expand(c);
    case Op::select:
      return infer_select(c);
    case Op::enter:
      return infer_enter(c);
    case Op::leave:
      return infer_leave(c);
  }
  return c.error("unknown op");
}

}  // namespace

Result<TensorType> infer(const Graph& graph, const Node& node) {
  Context c{graph, node};
  TensorType type = TRY(dispatch(c));
  if (!checked_count(type.shape)) {
    return c.error(fmt::format("its output {} has more than {} elements", shape_text(type.shape), kElementsMax));
  }
  return type;
}

}  // namespace presil::graph
