// Quantized operators as primitives: integers travel as floats that hold them exactly, and convolutions and products of
// 8-bit operands as such of bf16 (graph.h, Attributes::integers).
#include <fmt/format.h>

#include <algorithm>

#include "graph/facts.h"
#include "graph/shape.h"
#include "onnx/converters.h"
#include "onnx/tensor_data.h"

namespace presil::onnx {
namespace {

using graph::Builder;
using graph::ReduceKind;

// Limits of what is rounded before a zero point that is not known is added; the result is clipped again.
constexpr float kBeforeZeroPoint = 65536;

Result<void> want_quantized(const Conversion& c, size_t i) {
  DType t = c.dtype(i);
  if (t == DType::int8 || t == DType::uint8 || t == DType::int16 || t == DType::uint16) return {};
  return c.refuse(fmt::format("'{}' is {}; quantized types are int8, uint8, int16 and uint16",
                              c.builder.at(c.inputs[i]).name, dtype_name(t)));
}

// One number for the whole tensor, or a vector along `axis` of a tensor of the given shape.
Result<TensorId> along(Conversion& c, size_t i, const Shape& shape, int64_t axis) {
  const Shape& own = c.shape(i);
  if (graph::element_count(own) == 1) return c.builder.reshape(c.inputs[i], {});
  if (own.size() == 1 && axis < static_cast<int64_t>(shape.size()) && own[0] == shape[static_cast<size_t>(axis)]) {
    Shape spread(shape.size(), 1);
    spread[static_cast<size_t>(axis)] = own[0];
    return c.builder.reshape(c.inputs[i], spread);
  }
  return c.refuse(fmt::format("'{}' is {}; it may hold one number, or one for each of axis {} of {}",
                              c.builder.at(c.inputs[i]).name, graph::shape_text(own), axis, graph::shape_text(shape)));
}

// round(x) + zero point, clipped to the type's range. `zero` may be absent.
Result<TensorId> quantized(Builder& b, TensorId x, std::optional<TensorId> zero, DType to) {
  graph::Facts range = graph::range_of(to);
  auto low = static_cast<float>(range.low), high = static_cast<float>(range.high);
  std::optional<std::vector<int64_t>> known;
  if (zero) known = b.integer_values(*zero);
  if (!zero || (known && known->size() == 1)) {
    float z = zero ? static_cast<float>((*known)[0]) : 0;
    TensorId r = TRY(b.unary(ElementwiseFn::saturate, x, low - z, high - z));
    return b.cast(TRY(b.binary(ElementwiseFn::add, r, z)), to);
  }
  TensorId r = TRY(b.unary(ElementwiseFn::saturate, x, -kBeforeZeroPoint, kBeforeZeroPoint));
  TensorId shifted = TRY(b.binary(ElementwiseFn::add, r, TRY(b.cast(*zero, DType::fp32))));
  return b.cast(TRY(b.unary(ElementwiseFn::clip, shifted, low, high)), to);
}

// x - zero point in bf16: exact for 8-bit types.
Result<TensorId> centred(Conversion& c, size_t i, std::optional<TensorId> zero) {
  Builder& b = c.builder;
  if (c.dtype(i) != DType::int8 && c.dtype(i) != DType::uint8)
    return c.error(fmt::format("'{}' is {}, expected int8 or uint8", b.at(c.inputs[i]).name, dtype_name(c.dtype(i))));
  // At run time the subtraction rounds on its way out; constants are subtracted where they are small.
  DType work = b.at(c.inputs[i]).constant ? DType::bf16 : DType::fp32;
  TensorId x = TRY(b.cast(c.inputs[i], work));
  if (zero) x = TRY(b.binary(ElementwiseFn::sub, x, TRY(b.cast(*zero, work))));
  return b.cast(x, DType::bf16);
}

Result<std::optional<TensorId>> zero_along(Conversion& c, size_t i, const Shape& shape, int64_t axis) {
  if (!c.has(i)) return std::optional<TensorId>();
  return std::optional(TRY(along(c, i, shape, axis)));
}

// The sums of a convolution of operands `x` and `w` with their zero points, in fp32.
Result<TensorId> integer_conv(Conversion& c, size_t x, size_t w, size_t x_zero, size_t w_zero) {
  Attributes attrs = TRY(conv_attributes(c, w));
  attrs.integers = true;
  TensorId left = TRY(centred(c, x, TRY(zero_along(c, x_zero, {}, 0))));
  TensorId right = TRY(centred(c, w, TRY(zero_along(c, w_zero, c.shape(w), 0))));
  return c.builder.add(Op::conv, {left, right}, attrs);
}

// A zero point per row [M] of a matrix stands as a column.
Result<TensorId> integer_matmul(Conversion& c, size_t a, size_t b, size_t a_zero, size_t b_zero) {
  Builder& builder = c.builder;
  std::optional<TensorId> rows, columns;
  if (c.has(a_zero)) {
    Shape shape = c.shape(a_zero);
    if (shape.size() == 1 && shape[0] > 1) shape.push_back(1);
    rows = TRY(builder.reshape(c.inputs[a_zero], shape));
  }
  if (c.has(b_zero)) columns = c.inputs[b_zero];
  TensorId left = TRY(centred(c, a, rows)), right = TRY(centred(c, b, columns));
  return matrix_product(c, left, right, {.integers = true});
}

// sums * (a_scale * b_scale / y_scale) as integers of y's zero point.
Result<TensorId> requantized(Conversion& c, TensorId sums, TensorId a_scale, TensorId b_scale, size_t y_scale,
                             size_t y_zero) {
  Builder& b = c.builder;
  TensorId to = TRY(along(c, y_scale, {}, 0));
  TensorId factor = TRY(b.binary(ElementwiseFn::div, TRY(b.binary(ElementwiseFn::mul, a_scale, b_scale)), to));
  TRY(want_quantized(c, y_zero));
  TensorId scaled = TRY(b.binary(ElementwiseFn::mul, sums, factor));
  return quantized(b, scaled, TRY(along(c, y_zero, {}, 0)), c.dtype(y_zero));
}

// Largest (or least) number of a tensor, with a rank that broadcasts to anything. Rows and columns first: they are
// reduced where the tensor is made.
Result<TensorId> extreme(Builder& b, ReduceKind kind, TensorId x) {
  size_t rank = b.shape(x).size();
  std::vector<int64_t> axes;
  for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  if (rank == 4) {
    x = TRY(b.reduce(kind, x, {2, 3}, true));
    axes = {0, 1};
  }
  return rank == 0 ? Result<TensorId>(x) : b.reshape(TRY(b.reduce(kind, x, axes, true)), {});
}

}  // namespace

// Source: ONNX DynamicQuantizeLinear; a range of nothing but zeros has the scale 1, as in onnxruntime.
Result<Tensors> convert_dynamic_quantize_linear(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  Builder& b = c.builder;
  TensorId x = c.inputs[0];
  TensorId high = TRY(b.binary(ElementwiseFn::max, TRY(extreme(b, ReduceKind::max, x)), 0.0));
  TensorId low = TRY(b.binary(ElementwiseFn::min, TRY(extreme(b, ReduceKind::min, x)), 0.0));
  TensorId range = TRY(b.binary(ElementwiseFn::sub, high, low));
  TensorId empty = TRY(b.binary(ElementwiseFn::equal, range, 0.0));
  TensorId scale = TRY(b.binary(ElementwiseFn::div, range, 255.0));
  scale = TRY(b.add(Op::elementwise, {empty, b.scalar(DType::fp32, 1), scale}, {.fn = ElementwiseFn::where}));
  TensorId below = TRY(b.unary(ElementwiseFn::neg, TRY(b.binary(ElementwiseFn::div, low, scale))));
  TensorId zero = TRY(b.cast(TRY(b.unary(ElementwiseFn::saturate, below, 0, 255)), DType::uint8));
  TensorId y = TRY(quantized(b, TRY(b.binary(ElementwiseFn::div, x, scale)), zero, DType::uint8));
  return Tensors{y, scale, zero};
}

Result<Tensors> convert_quantize_linear(Conversion& c) {
  TRY(c.want_inputs(2, 3));
  Builder& b = c.builder;
  c.ignore("saturate");  // only about fp8
  TRY(c.want_integer("block_size", 0));
  TRY(c.want_integer("precision", 0));
  int64_t given_type = TRY(c.integer("output_dtype", 0));
  constexpr int32_t kUint8 = 2;
  DType to =
      c.has(2) ? c.dtype(2)
               : TRY(to_dtype(given_type == 0 ? kUint8 : static_cast<int32_t>(given_type), c.options, c.node.title()));
  if (c.has(2)) TRY(want_quantized(c, 2));
  if (graph::range_of(to).high > 65535) return c.refuse(fmt::format("quantized to {}", dtype_name(to)));
  int64_t axis = c.rank(0) == 0 || c.rank(1) == 0 ? 0 : TRY(c.axis(TRY(c.integer("axis", 1)), c.rank(0)));
  c.ignore("axis");
  if (!is_float(c.dtype(0))) return c.refuse(fmt::format("'{}' is {}", b.at(c.inputs[0]).name, dtype_name(c.dtype(0))));
  TensorId x = TRY(b.cast(c.inputs[0], DType::fp32));
  TensorId scale = TRY(b.cast(TRY(along(c, 1, c.shape(0), axis)), DType::fp32));
  TensorId scaled = TRY(b.binary(ElementwiseFn::div, x, scale));
  return Tensors{TRY(quantized(b, scaled, TRY(zero_along(c, 2, c.shape(0), axis)), to))};
}

Result<Tensors> convert_dequantize_linear(Conversion& c) {
  TRY(c.want_inputs(2, 3));
  Builder& b = c.builder;
  TRY(c.want_integer("block_size", 0));
  TRY(c.want_integer("output_dtype", 0));
  int64_t axis = c.rank(0) == 0 || c.rank(1) == 0 ? 0 : TRY(c.axis(TRY(c.integer("axis", 1)), c.rank(0)));
  c.ignore("axis");
  if (c.dtype(0) != DType::int32) TRY(want_quantized(c, 0));
  TensorId x = TRY(b.cast(c.inputs[0], DType::fp32));
  std::optional<TensorId> zero = TRY(zero_along(c, 2, c.shape(0), axis));
  if (zero) x = TRY(b.binary(ElementwiseFn::sub, x, TRY(b.cast(*zero, DType::fp32))));
  TensorId scale = TRY(b.cast(TRY(along(c, 1, c.shape(0), axis)), DType::fp32));
  return Tensors{TRY(b.cast(TRY(b.binary(ElementwiseFn::mul, x, scale)), c.dtype(1)))};
}

Result<Tensors> convert_conv_integer(Conversion& c) {
  TRY(c.want_inputs(2, 4));
  return Tensors{TRY(c.builder.cast(TRY(integer_conv(c, 0, 1, 2, 3)), DType::int32))};
}

Result<Tensors> convert_matmul_integer(Conversion& c) {
  TRY(c.want_inputs(2, 4));
  return Tensors{TRY(c.builder.cast(TRY(integer_matmul(c, 0, 1, 2, 3)), DType::int32))};
}

Result<Tensors> convert_qlinear_conv(Conversion& c) {
  TRY(c.want_inputs(8, 9));
  Builder& b = c.builder;
  TensorId sums = TRY(integer_conv(c, 0, 3, 2, 5));
  Shape shape = b.shape(sums);
  if (c.has(8)) {
    TensorId bias = TRY(b.cast(TRY(along(c, 8, shape, 1)), DType::fp32));
    sums = TRY(b.binary(ElementwiseFn::add, sums, bias));
  }
  TensorId x_scale = TRY(along(c, 1, {}, 0)), w_scale = TRY(along(c, 4, shape, 1));
  return Tensors{TRY(requantized(c, sums, x_scale, w_scale, 6, 7))};
}

Result<Tensors> convert_qlinear_matmul(Conversion& c) {
  TRY(c.want_inputs(8, 8));
  TensorId sums = TRY(integer_matmul(c, 0, 3, 2, 5));
  Shape shape = c.builder.shape(sums);
  TensorId a_scale = TRY(along(c, 1, shape, std::max<int64_t>(static_cast<int64_t>(shape.size()) - 2, 0)));
  TensorId b_scale = TRY(along(c, 4, shape, static_cast<int64_t>(shape.size()) - 1));
  return Tensors{TRY(requantized(c, sums, a_scale, b_scale, 6, 7))};
}

}  // namespace presil::onnx
