// Builds a Graph node by node: infers each output's type as it goes and computes what is constant, so that a front end
// sees shapes and small values at once. Errors carry the source that was set last.
#pragma once
#include <string>
#include <vector>

#include "graph/graph.h"

namespace presil::graph {

class Builder {
 public:
  // The name of the model's node that the following nodes stand for.
  void set_source(std::string source) { source_ = std::move(source); }
  const std::string& source() const { return source_; }

  TensorId input(std::string name, TensorType type);
  // Data may be null: not read. `opaque` is set for constants above kSmallConstantBytes whatever is passed.
  TensorId constant(std::string name, TensorType type, Bytes data, bool opaque = false);
  TensorId constant_floats(DType dtype, Shape shape, const std::vector<double>& values);
  TensorId constant_integers(DType dtype, Shape shape, const std::vector<int64_t>& values);
  TensorId scalar(DType dtype, double value);  // rank 0, float or integer

  // Appends a node, or folds it into a constant when all its inputs are (see fold.h). `wanted` is the output's type for
  // cast, reshape, expand and resize; otherwise unused.
  Result<TensorId> add(Op op, std::vector<TensorId> inputs, Attributes attrs = {}, TensorType wanted = {});

  Result<TensorId> unary(ElementwiseFn fn, TensorId x, float alpha = 0, float beta = 0);
  Result<TensorId> binary(ElementwiseFn fn, TensorId a, TensorId b);
  Result<TensorId> binary(ElementwiseFn fn, TensorId a, double b);  // b takes a's dtype
  Result<TensorId> cast(TensorId x, DType to);
  Result<TensorId> reshape(TensorId x, Shape shape);
  Result<TensorId> expand(TensorId x, Shape shape);
  Result<TensorId> transpose(TensorId x, std::vector<int64_t> permutation);
  Result<TensorId> reduce(ReduceKind kind, TensorId x, std::vector<int64_t> axes, bool keepdims);
  Result<TensorId> slice(TensorId x, int64_t axis, int64_t start, int64_t end);
  Result<TensorId> concat(std::vector<TensorId> parts, int64_t axis);

  const Tensor& at(TensorId id) const { return graph_.at(id); }
  Tensor& at(TensorId id) { return graph_.at(id); }
  const Shape& shape(TensorId id) const { return graph_.at(id).shape; }
  // Values that decisions may depend on: those of small constants that come from small constants only.
  std::optional<std::vector<int64_t>> integer_values(TensorId id) const;
  std::optional<std::vector<double>> float_values(TensorId id) const;

  Graph& graph() { return graph_; }

 private:
  Graph graph_;
  std::string source_;
};

}  // namespace presil::graph
