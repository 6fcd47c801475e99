// Matrix products, normalizations, softmax and reductions.
#include <fmt/format.h>

#include <cmath>

#include "graph/shape.h"
#include "onnx/converters.h"

namespace presil::onnx {
namespace {

using graph::Builder;
using graph::ReduceKind;

Result<TensorId> transposed_if(Builder& b, TensorId x, bool transpose) {
  return transpose ? b.transpose(x, {1, 0}) : Result<TensorId>(x);
}

// [C] as [C, 1, 1...] against an input of the given rank.
Result<TensorId> per_channel(Builder& b, TensorId v, size_t rank) {
  Shape shape = b.shape(v);
  shape.resize(rank - 1, 1);
  return b.reshape(v, shape);
}

// scale = gamma / sqrt(var + epsilon), shift = beta - mean scale; computed once in double when the values are known.
struct Affine {
  TensorId scale, shift;
};
Result<Affine> batch_norm_affine(Conversion& c, float epsilon) {
  Builder& b = c.builder;
  auto gamma = b.float_values(c.inputs[1]), beta = b.float_values(c.inputs[2]);
  auto mean = b.float_values(c.inputs[3]), variance = b.float_values(c.inputs[4]);
  if (gamma && beta && mean && variance) {
    std::vector<double> scale(gamma->size()), shift(gamma->size());
    for (size_t i = 0; i < scale.size(); ++i) {
      scale[i] = (*gamma)[i] / std::sqrt((*variance)[i] + epsilon);
      shift[i] = (*beta)[i] - (*mean)[i] * scale[i];
    }
    return Affine{b.constant_floats(c.dtype(1), c.shape(1), scale), b.constant_floats(c.dtype(1), c.shape(1), shift)};
  }
  TensorId deviation = TRY(b.unary(ElementwiseFn::sqrt, TRY(b.binary(ElementwiseFn::add, c.inputs[4], epsilon))));
  TensorId scale = TRY(b.binary(ElementwiseFn::div, c.inputs[1], deviation));
  TensorId offset = TRY(b.binary(ElementwiseFn::mul, c.inputs[3], scale));
  return Affine{scale, TRY(b.binary(ElementwiseFn::sub, c.inputs[2], offset))};
}

struct ReduceArguments {
  std::vector<int64_t> axes;
  bool keepdims = true;
  bool nothing = false;  // noop_with_empty_axes
};

Result<ReduceArguments> reduce_arguments(Conversion& c, int64_t axes_input_since) {
  TRY(c.want_inputs(1, c.opset >= axes_input_since ? 2 : 1));
  ReduceArguments a;
  a.keepdims = TRY(c.flag("keepdims", true));
  bool noop = TRY(c.flag("noop_with_empty_axes", false));
  auto given = TRY(c.moved_integers("axes", 1, axes_input_since));
  if (given && !given->empty()) {
    a.axes = TRY(c.axes(*given, c.rank(0)));
    return a;
  }
  a.nothing = noop;
  for (size_t i = 0; i < c.rank(0); ++i) a.axes.push_back(static_cast<int64_t>(i));
  return a;
}

// reduce(before(x)); most reductions took their axes as an input from opset 18 on, ReduceSum from 13.
Result<TensorId> reduced(Conversion& c, ReduceKind kind, ElementwiseFn before = ElementwiseFn::identity) {
  ReduceArguments a = TRY(reduce_arguments(c, kind == ReduceKind::sum && c.node.op_type == "ReduceSum" ? 13 : 18));
  TensorId x = c.inputs[0];
  if (before != ElementwiseFn::identity) x = TRY(c.builder.unary(before, x));
  if (a.nothing) return x;
  return c.builder.reduce(kind, x, a.axes, a.keepdims);
}

// Softmax before opset 13 works on the matrix [dims before axis, dims from axis on].
template <class Rows>
Result<Tensors> over_softmax_axis(Conversion& c, Rows rows) {
  TRY(c.want_inputs(1, 1));
  int64_t axis = TRY(c.axis(TRY(c.integer("axis", c.opset >= 13 ? -1 : 1)), c.rank(0)));
  if (c.opset >= 13 || axis + 1 == static_cast<int64_t>(c.rank(0))) return Tensors{TRY(rows(c.inputs[0], axis))};
  Shape shape = c.shape(0);
  int64_t outer = graph::element_count({shape.begin(), shape.begin() + axis});
  TensorId flat =
      TRY(c.builder.reshape(c.inputs[0], {outer, graph::element_count({shape.begin() + axis, shape.end()})}));
  return Tensors{TRY(c.builder.reshape(TRY(rows(flat, 1)), shape))};
}

}  // namespace

Result<TensorId> matrix_product(Conversion& c, TensorId left, TensorId right, const Attributes& attrs) {
  Builder& b = c.builder;
  Shape a_shape = b.shape(left), b_shape = b.shape(right);
  if (a_shape.empty() || b_shape.empty()) return c.error("an operand is a scalar");
  if (a_shape.size() == 1) left = TRY(b.reshape(left, {1, a_shape[0]}));
  if (b_shape.size() == 1) right = TRY(b.reshape(right, {b_shape[0], 1}));
  TensorId product = TRY(b.add(Op::matmul, {left, right}, attrs));
  Shape shape = b.shape(product);
  if (b_shape.size() == 1) shape.pop_back();
  if (a_shape.size() == 1) shape.erase(shape.end() - (b_shape.size() == 1 ? 1 : 2));
  return b.reshape(product, shape);
}

Result<Tensors> convert_matmul(Conversion& c) {
  TRY(c.want_inputs(2, 2));
  return Tensors{TRY(matrix_product(c, c.inputs[0], c.inputs[1], {}))};
}

// alpha A B + beta C
Result<Tensors> convert_gemm(Conversion& c) {
  TRY(c.want_inputs(c.opset >= 11 ? 2 : 3, 3));
  Builder& b = c.builder;
  float alpha = TRY(c.real("alpha", 1)), beta = TRY(c.real("beta", 1));
  if (c.rank(0) != 2 || c.rank(1) != 2) return c.error("operands must be matrices");
  TensorId left = TRY(transposed_if(b, c.inputs[0], TRY(c.flag("transA", false))));
  TensorId right = TRY(transposed_if(b, c.inputs[1], TRY(c.flag("transB", false))));
  TensorId product = TRY(b.add(Op::matmul, {left, right}));
  if (alpha != 1) product = TRY(b.binary(ElementwiseFn::mul, product, alpha));
  if (!c.has(2) || beta == 0) return Tensors{product};
  TensorId addend = c.inputs[2];
  if (beta != 1) addend = TRY(b.binary(ElementwiseFn::mul, addend, beta));
  return Tensors{TRY(b.binary(ElementwiseFn::add, product, addend))};
}

// x scale + shift per channel; graph/simplify.h folds both into a preceding convolution.
Result<Tensors> convert_batch_normalization(Conversion& c) {
  TRY(c.want_inputs(5, 5));
  TRY(c.want_outputs(1));
  c.ignore("momentum");
  TRY(c.want_integer("training_mode", 0));
  TRY(c.want_integer("spatial", 1));
  if (c.rank(0) < 2) return c.error(fmt::format("input of rank {} has no channels", c.rank(0)));
  for (size_t i = 1; i < 5; ++i) {
    if (c.shape(i) != Shape{c.shape(0)[1]}) {
      return c.error(fmt::format("'{}' is {}, expected [{}]", c.builder.at(c.inputs[i]).name,
                                 graph::shape_text(c.shape(i)), c.shape(0)[1]));
    }
  }
  Affine affine = TRY(batch_norm_affine(c, TRY(c.real("epsilon", 1e-5f))));
  TensorId scale = TRY(per_channel(c.builder, affine.scale, c.rank(0)));
  TensorId shift = TRY(per_channel(c.builder, affine.shift, c.rank(0)));
  TensorId scaled = TRY(c.builder.binary(ElementwiseFn::mul, c.inputs[0], scale));
  return Tensors{TRY(c.builder.binary(ElementwiseFn::add, scaled, shift))};
}

// Each channel of each sample as one row of a layer norm, then scale and shift per channel.
Result<Tensors> convert_instance_normalization(Conversion& c) {
  TRY(c.want_inputs(3, 3));
  Builder& b = c.builder;
  if (c.rank(0) < 3) return c.error(fmt::format("input of rank {} has no spatial axes", c.rank(0)));
  Shape shape = c.shape(0);
  int64_t size = graph::element_count({shape.begin() + 2, shape.end()});
  TensorId rows = TRY(b.reshape(c.inputs[0], {shape[0], shape[1], size}));
  TensorId ones = TRY(b.expand(b.scalar(c.dtype(0), 1), {size})),
           zeros = TRY(b.expand(b.scalar(c.dtype(0), 0), {size}));
  float epsilon = TRY(c.real("epsilon", 1e-5f));
  Attributes attrs{.axes = {2}, .epsilon = epsilon};
  TensorId normal = TRY(b.reshape(TRY(b.add(Op::layer_norm, {rows, ones, zeros}, attrs)), shape));
  TensorId scaled = TRY(b.binary(ElementwiseFn::mul, normal, TRY(per_channel(b, c.inputs[1], shape.size()))));
  return Tensors{TRY(b.binary(ElementwiseFn::add, scaled, TRY(per_channel(b, c.inputs[2], shape.size()))))};
}

Result<Tensors> convert_layer_normalization(Conversion& c) {
  TRY(c.want_inputs(2, 3));
  TRY(c.want_outputs(1));
  Builder& b = c.builder;
  c.ignore("stash_type");
  int64_t axis = TRY(c.axis(TRY(c.integer("axis", -1)), c.rank(0)));
  Shape normalized(c.shape(0).begin() + axis, c.shape(0).end());
  TensorId scale = TRY(b.expand(c.inputs[1], normalized));
  TensorId bias = TRY(b.expand(c.has(2) ? c.inputs[2] : b.scalar(c.dtype(0), 0), normalized));
  float epsilon = TRY(c.real("epsilon", 1e-5f));
  Attributes attrs{.axes = {axis}, .epsilon = epsilon};
  return Tensors{TRY(b.add(Op::layer_norm, {c.inputs[0], scale, bias}, attrs))};
}

Result<Tensors> convert_softmax(Conversion& c) {
  return over_softmax_axis(c,
                           [&](TensorId x, int64_t axis) { return c.builder.add(Op::softmax, {x}, {.axes = {axis}}); });
}

// s - log(sum(exp(s))) with s = x - max(x)
Result<Tensors> convert_log_softmax(Conversion& c) {
  return over_softmax_axis(c, [&](TensorId x, int64_t axis) -> Result<TensorId> {
    Builder& b = c.builder;
    TensorId shifted = TRY(b.binary(ElementwiseFn::sub, x, TRY(b.reduce(ReduceKind::max, x, {axis}, true))));
    TensorId sum = TRY(b.reduce(ReduceKind::sum, TRY(b.unary(ElementwiseFn::exp, shifted)), {axis}, true));
    return b.binary(ElementwiseFn::sub, shifted, TRY(b.unary(ElementwiseFn::log, sum)));
  });
}

Result<Tensors> convert_reduce_max(Conversion& c) { return Tensors{TRY(reduced(c, ReduceKind::max))}; }
Result<Tensors> convert_reduce_mean(Conversion& c) { return Tensors{TRY(reduced(c, ReduceKind::mean))}; }
Result<Tensors> convert_reduce_min(Conversion& c) { return Tensors{TRY(reduced(c, ReduceKind::min))}; }
Result<Tensors> convert_reduce_prod(Conversion& c) { return Tensors{TRY(reduced(c, ReduceKind::prod))}; }
Result<Tensors> convert_reduce_sum(Conversion& c) { return Tensors{TRY(reduced(c, ReduceKind::sum))}; }
Result<Tensors> convert_reduce_l1(Conversion& c) {
  return Tensors{TRY(reduced(c, ReduceKind::sum, ElementwiseFn::abs))};
}
Result<Tensors> convert_reduce_sum_square(Conversion& c) {
  return Tensors{TRY(reduced(c, ReduceKind::sum, ElementwiseFn::square))};
}
Result<Tensors> convert_reduce_l2(Conversion& c) {
  return Tensors{TRY(c.builder.unary(ElementwiseFn::sqrt, TRY(reduced(c, ReduceKind::sum, ElementwiseFn::square))))};
}

// max + log(sum(exp(x - max)))
Result<Tensors> convert_reduce_log_sum_exp(Conversion& c) {
  Builder& b = c.builder;
  ReduceArguments a = TRY(reduce_arguments(c, 18));
  if (a.nothing) return Tensors{c.inputs[0]};
  TensorId largest = TRY(b.reduce(ReduceKind::max, c.inputs[0], a.axes, true));
  TensorId shifted = TRY(b.unary(ElementwiseFn::exp, TRY(b.binary(ElementwiseFn::sub, c.inputs[0], largest))));
  TensorId sum = TRY(b.unary(ElementwiseFn::log, TRY(b.reduce(ReduceKind::sum, shifted, a.axes, a.keepdims))));
  return Tensors{TRY(b.binary(ElementwiseFn::add, sum, TRY(b.reshape(largest, b.shape(sum)))))};
}

}  // namespace presil::onnx
