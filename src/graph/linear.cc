#include "graph/linear.h"

#include "graph/host_tensor.h"
#include "graph/shape.h"
#include "numerics/convert.h"

namespace presil::graph {
namespace {

// The weight of a model without data may claim any size.
constexpr int64_t kWeightElementsMax = int64_t{1} << 31;

}  // namespace

ConstantValues read_values(const Rewriter& r, TensorId id) {
  const Tensor& t = r.at(id);
  if (!t.data) return {std::nullopt, t.opaque};
  return {load_floats(t.dtype, *t.data), t.opaque};
}

bool is_linear(const Node& node) {
  return node.op == Op::conv || node.op == Op::conv_transpose || node.op == Op::matmul;
}

bool has_constant_weight(const Rewriter& r, const Node& node) {
  if (!is_linear(node) || node.attrs.integers || !r.constant(node.inputs[1]) || !is_float(r.at(node.output).dtype))
    return false;
  if (element_count(r.shape(node.inputs[1])) > kWeightElementsMax) return false;
  return node.inputs.size() < 3 || r.constant(node.inputs[2]);
}

size_t channel_axis(const Node& linear, size_t rank) { return linear.op == Op::matmul ? rank - 1 : 1; }

int64_t output_channels(const Rewriter& r, const Node& linear) {
  const Shape& out = r.shape(linear.output);
  return out[channel_axis(linear, out.size())];
}

std::vector<float> read_weight(const Tensor& weight) {
  std::vector<float> values(element_count(weight.shape));
  if (!values.empty()) numerics::load_span(weight.dtype, weight.data->data(), values.data(), values.size());
  return values;
}

TensorId write_weight(Rewriter& r, const Tensor& old, const std::vector<float>& values, bool opaque) {
  auto data = std::make_shared<std::vector<std::byte>>(values.size() * dtype_bytes(old.dtype));
  if (!values.empty()) numerics::store_span(old.dtype, values.data(), data->data(), values.size());
  return r.add_constant(old.name, {old.dtype, old.shape}, std::move(data), opaque);
}

ConstantValues bias_of(const Rewriter& r, const Node& linear) {
  if (linear.inputs.size() == 3) return read_values(r, linear.inputs[2]);
  return {std::vector<double>(output_channels(r, linear), 0.0), false};
}

TensorId write_bias(Rewriter& r, const Node& linear, const ConstantValues& bias) {
  DType dtype = r.at(linear.output).dtype;
  Bytes data =
      bias.values ? std::make_shared<const std::vector<std::byte>>(store_floats(dtype, *bias.values)) : nullptr;
  return r.add_constant(linear.source + ".bias", {dtype, {output_channels(r, linear)}}, std::move(data), bias.opaque);
}

}  // namespace presil::graph
