#include "graph/builder.h"

#include <fmt/format.h>

#include "graph/fold.h"
#include "graph/host_tensor.h"
#include "graph/shape.h"

namespace presil::graph {

TensorId Builder::input(std::string name, TensorType type) {
  TensorId id(static_cast<uint32_t>(graph_.tensors.size()));
  graph_.tensors.push_back({.name = std::move(name), .dtype = type.dtype, .shape = std::move(type.shape)});
  graph_.inputs.push_back(id);
  return id;
}

TensorId Builder::constant(std::string name, TensorType type, Bytes data, bool opaque) {
  return add_constant(graph_, std::move(name), std::move(type), std::move(data), opaque);
}

TensorId Builder::constant_floats(DType dtype, Shape shape, const std::vector<double>& values) {
  auto data = std::make_shared<const std::vector<std::byte>>(store_floats(dtype, values));
  return constant(fmt::format("{}.c{}", source_, graph_.tensors.size()), {dtype, std::move(shape)}, data);
}

TensorId Builder::constant_integers(DType dtype, Shape shape, const std::vector<int64_t>& values) {
  auto data = std::make_shared<const std::vector<std::byte>>(store_integers(dtype, values));
  return constant(fmt::format("{}.c{}", source_, graph_.tensors.size()), {dtype, std::move(shape)}, data);
}

TensorId Builder::scalar(DType dtype, double value) {
  return is_float(dtype) ? constant_floats(dtype, {}, {value})
                         : constant_integers(dtype, {}, {static_cast<int64_t>(value)});
}

Result<TensorId> Builder::add(Op op, std::vector<TensorId> inputs, Attributes attrs, TensorType wanted) {
  TensorId output(static_cast<uint32_t>(graph_.tensors.size()));
  graph_.tensors.push_back({.name = fmt::format("{}.t{}", source_, output.value)});
  Tensor& tensor = graph_.tensors.back();
  tensor.dtype = wanted.dtype;
  tensor.shape = std::move(wanted.shape);
  Node node{.op = op, .inputs = std::move(inputs), .output = output, .attrs = std::move(attrs), .source = source_};
  TensorType type = TRY(infer(graph_, node));
  graph_.at(output).dtype = type.dtype;
  graph_.at(output).shape = std::move(type.shape);
  if (foldable(graph_, node)) {
    TRY(fold_node(graph_, node));
  } else {
    graph_.nodes.push_back(std::move(node));
  }
  return output;
}

Result<TensorId> Builder::unary(ElementwiseFn fn, TensorId x, float alpha, float beta) {
  return add(Op::elementwise, {x}, {.fn = fn, .alpha = alpha, .beta = beta});
}
Result<TensorId> Builder::binary(ElementwiseFn fn, TensorId a, TensorId b) {
  return add(Op::elementwise, {a, b}, {.fn = fn});
}
Result<TensorId> Builder::binary(ElementwiseFn fn, TensorId a, double b) {
  return binary(fn, a, scalar(at(a).dtype, b));
}
Result<TensorId> Builder::cast(TensorId x, DType to) {
  if (at(x).dtype == to) return x;
  return add(Op::cast, {x}, {}, {to, shape(x)});
}
Result<TensorId> Builder::reshape(TensorId x, Shape to) {
  if (shape(x) == to) return x;
  return add(Op::reshape, {x}, {}, {at(x).dtype, std::move(to)});
}
Result<TensorId> Builder::expand(TensorId x, Shape to) {
  if (shape(x) == to) return x;
  return add(Op::expand, {x}, {}, {at(x).dtype, std::move(to)});
}
Result<TensorId> Builder::transpose(TensorId x, std::vector<int64_t> permutation) {
  return add(Op::transpose, {x}, {.axes = std::move(permutation)});
}
Result<TensorId> Builder::reduce(ReduceKind kind, TensorId x, std::vector<int64_t> axes, bool keepdims) {
  return add(Op::reduce, {x}, {.reduce = kind, .axes = std::move(axes), .keepdims = keepdims});
}
Result<TensorId> Builder::slice(TensorId x, int64_t axis, int64_t start, int64_t end) {
  return add(Op::slice, {x}, {.axes = {axis}, .starts = {start}, .ends = {end}, .steps = {1}});
}
Result<TensorId> Builder::concat(std::vector<TensorId> parts, int64_t axis) {
  if (parts.size() == 1) return parts[0];
  return add(Op::concat, std::move(parts), {.axes = {axis}});
}

std::optional<std::vector<int64_t>> Builder::integer_values(TensorId id) const { return small_integers(graph_, id); }
std::optional<std::vector<double>> Builder::float_values(TensorId id) const { return small_floats(graph_, id); }

}  // namespace presil::graph
