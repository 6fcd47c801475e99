#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "graph/shape.h"
#include "onnx/converters.h"
#include "onnx/tensor_data.h"

namespace presil::onnx {
namespace {

// Left fold of a variadic operator.
Result<TensorId> fold_inputs(Conversion& c, ElementwiseFn fn) {
  TRY(c.want_inputs(std::max<size_t>(c.inputs.size(), 1), SIZE_MAX));
  TensorId result = c.inputs[0];
  for (size_t i = 1; i < c.inputs.size(); ++i) result = TRY(c.builder.binary(fn, result, c.inputs[i]));
  return result;
}

Result<Tensors> one_float(Conversion& c, ElementwiseFn fn, const std::string& name, float otherwise) {
  TRY(c.want_inputs(1, 1));
  return Tensors{TRY(c.builder.unary(fn, c.inputs[0], TRY(c.real(name, otherwise))))};
}

}  // namespace

Result<Tensors> convert_identity(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  return c.inputs;
}

// What is not equal to itself.
Result<Tensors> convert_is_nan(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  TensorId same = TRY(c.builder.binary(ElementwiseFn::equal, c.inputs[0], c.inputs[0]));
  return Tensors{TRY(c.builder.unary(ElementwiseFn::logical_not, same))};
}

Result<Tensors> convert_dropout(Conversion& c) {
  TRY(c.want_inputs(1, c.opset >= 12 ? 3 : 1));
  TRY(c.want_outputs(1));
  c.ignore("ratio");
  c.ignore("seed");
  if (c.has(2) && TRY(c.constant_integers(2, "training_mode")) != std::vector<int64_t>{0}) {
    return c.refuse("training_mode is not supported");
  }
  return Tensors{c.inputs[0]};
}

Result<Tensors> convert_cast(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  c.ignore("saturate");  // only about fp8
  c.ignore("round_mode");
  int64_t to = TRY(c.integer("to", 0));
  DType dtype =
      TRY(to_dtype(to == static_cast<int32_t>(to) ? static_cast<int32_t>(to) : -1, c.options, c.node.title()));
  return Tensors{TRY(c.builder.cast(c.inputs[0], dtype))};
}

Result<Tensors> convert_clip(Conversion& c) {
  TRY(c.want_inputs(1, c.opset >= 11 ? 3 : 1));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (c.opset < 11) {
    float low = TRY(c.real("min", -kInfinity)), high = TRY(c.real("max", kInfinity));
    return Tensors{TRY(c.builder.unary(ElementwiseFn::clip, c.inputs[0], low, high))};
  }
  for (size_t i = 1; i <= 2; ++i) {
    if (c.has(i) && graph::element_count(c.shape(i)) != 1) {
      return c.error(
          fmt::format("{} has shape {}, expected a scalar", i == 1 ? "min" : "max", graph::shape_text(c.shape(i))));
    }
  }
  auto bound = [&](size_t i, double otherwise) -> std::optional<double> {
    if (!c.has(i)) return otherwise;
    auto values = c.builder.float_values(c.inputs[i]);
    return values && values->size() == 1 ? std::optional((*values)[0]) : std::nullopt;
  };
  std::optional<double> low = bound(1, -kInfinity), high = bound(2, kInfinity);
  if (low && high && is_float(c.dtype(0))) {
    return Tensors{
        TRY(c.builder.unary(ElementwiseFn::clip, c.inputs[0], static_cast<float>(*low), static_cast<float>(*high)))};
  }
  TensorId x = c.inputs[0];
  if (c.has(1)) x = TRY(c.builder.binary(ElementwiseFn::max, x, c.inputs[1]));
  if (c.has(2)) x = TRY(c.builder.binary(ElementwiseFn::min, x, c.inputs[2]));
  return Tensors{x};
}

Result<Tensors> convert_elu(Conversion& c) { return one_float(c, ElementwiseFn::elu, "alpha", 1.0f); }
Result<Tensors> convert_leaky_relu(Conversion& c) { return one_float(c, ElementwiseFn::leaky_relu, "alpha", 0.01f); }

Result<Tensors> convert_gelu(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  static constexpr Choice<ElementwiseFn> kForms[] = {{"none", ElementwiseFn::gelu}, {"tanh", ElementwiseFn::gelu_tanh}};
  return Tensors{TRY(c.builder.unary(TRY(choose(c, "approximate", "none", kForms)), c.inputs[0]))};
}

Result<Tensors> convert_hard_sigmoid(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  float alpha = TRY(c.real("alpha", 0.2f)), beta = TRY(c.real("beta", 0.5f));
  return Tensors{TRY(c.builder.unary(ElementwiseFn::hard_sigmoid, c.inputs[0], alpha, beta))};
}

Result<Tensors> convert_hard_swish(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  return Tensors{TRY(c.builder.unary(ElementwiseFn::hard_swish, c.inputs[0], 1.0f / 6.0f, 0.5f))};
}

Result<Tensors> convert_max(Conversion& c) { return Tensors{TRY(fold_inputs(c, ElementwiseFn::max))}; }
Result<Tensors> convert_min(Conversion& c) { return Tensors{TRY(fold_inputs(c, ElementwiseFn::min))}; }
Result<Tensors> convert_sum(Conversion& c) { return Tensors{TRY(fold_inputs(c, ElementwiseFn::add))}; }

Result<Tensors> convert_mean(Conversion& c) {
  TensorId sum = TRY(fold_inputs(c, ElementwiseFn::add));
  return Tensors{TRY(c.builder.binary(ElementwiseFn::div, sum, static_cast<double>(c.inputs.size())))};
}

Result<Tensors> convert_mod(Conversion& c) {
  TRY(c.want_integer("fmod", 0));
  return convert_binary<ElementwiseFn::mod>(c);
}

Result<Tensors> convert_pow(Conversion& c) {
  TRY(c.want_inputs(2, 2));
  TensorId exponent = TRY(c.builder.cast(c.inputs[1], c.dtype(0)));
  return Tensors{TRY(c.builder.binary(ElementwiseFn::pow, c.inputs[0], exponent))};
}

// max(x, 0) + slope min(x, 0)
Result<Tensors> convert_prelu(Conversion& c) {
  TRY(c.want_inputs(2, 2));
  graph::Builder& b = c.builder;
  auto slope = b.float_values(c.inputs[1]);
  if (slope && slope->size() == 1) {
    return Tensors{TRY(b.unary(ElementwiseFn::leaky_relu, c.inputs[0], static_cast<float>((*slope)[0])))};
  }
  TensorId positive = TRY(b.unary(ElementwiseFn::relu, c.inputs[0]));
  TensorId negative = TRY(b.binary(ElementwiseFn::min, c.inputs[0], 0.0));
  TensorId scaled = TRY(b.binary(ElementwiseFn::mul, negative, c.inputs[1]));
  if (b.shape(scaled) != c.shape(0)) {
    return c.error(
        fmt::format("slope {} does not broadcast to {}", graph::shape_text(c.shape(1)), graph::shape_text(c.shape(0))));
  }
  return Tensors{TRY(b.binary(ElementwiseFn::add, positive, scaled))};
}

Result<Tensors> convert_softsign(Conversion& c) {
  TRY(c.want_inputs(1, 1));
  TensorId magnitude = TRY(c.builder.unary(ElementwiseFn::abs, c.inputs[0]));
  TensorId divisor = TRY(c.builder.binary(ElementwiseFn::add, magnitude, 1.0));
  return Tensors{TRY(c.builder.binary(ElementwiseFn::div, c.inputs[0], divisor))};
}

Result<Tensors> convert_where(Conversion& c) {
  TRY(c.want_inputs(3, 3));
  return Tensors{TRY(c.builder.add(Op::elementwise, c.inputs, {.fn = ElementwiseFn::where}))};
}

}  // namespace presil::onnx
