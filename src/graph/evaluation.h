// Private to the evaluate_*.cc files: one node with its operands at hand.
#pragma once
#include <string>

#include "graph/evaluate.h"
#include "graph/host_tensor.h"

namespace presil::graph {

using ByteVector = std::vector<std::byte>;

struct Evaluation {
  const Graph& graph;
  const Node& node;
  std::span<const std::span<const std::byte>> inputs;

  const Tensor& in(size_t i) const { return graph.at(node.inputs[i]); }
  const Tensor& out() const { return graph.at(node.output); }
  const Attributes& attrs() const { return node.attrs; }
  std::vector<double> floats(size_t i) const { return load_floats(in(i).dtype, inputs[i]); }
  std::vector<int64_t> integers(size_t i) const { return load_integers(in(i).dtype, inputs[i]); }
  ByteVector store(std::span<const double> values) const { return store_floats(out().dtype, values); }
  ByteVector store(std::span<const int64_t> values) const { return store_integers(out().dtype, values); }
  Error error(std::string message) const { return bad_input(std::move(message), node.source); }
};

Result<ByteVector> evaluate_elementwise(const Evaluation& e);
Result<ByteVector> evaluate_cast(const Evaluation& e);
Result<ByteVector> evaluate_matmul(const Evaluation& e);
Result<ByteVector> evaluate_conv(const Evaluation& e);
Result<ByteVector> evaluate_conv_transpose(const Evaluation& e);
Result<ByteVector> evaluate_pool(const Evaluation& e);
Result<ByteVector> evaluate_reduce(const Evaluation& e);
Result<ByteVector> evaluate_softmax(const Evaluation& e);
Result<ByteVector> evaluate_layer_norm(const Evaluation& e);
Result<ByteVector> evaluate_resize(const Evaluation& e);
Result<ByteVector> evaluate_transpose(const Evaluation& e);
Result<ByteVector> evaluate_slice(const Evaluation& e);
Result<ByteVector> evaluate_concat(const Evaluation& e);
Result<ByteVector> evaluate_pad(const Evaluation& e);
Result<ByteVector> evaluate_gather(const Evaluation& e);
Result<ByteVector> evaluate_expand(const Evaluation& e);

}  // namespace presil::graph
