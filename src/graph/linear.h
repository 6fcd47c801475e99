// Private to the rewrites of linear nodes (conv, conv_transpose, matmul): their constant weights and biases as values.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "graph/rewriter.h"

namespace presil::graph {

struct ConstantValues {
  std::optional<std::vector<double>> values;  // nothing: not read
  bool opaque = false;
};
ConstantValues read_values(const Rewriter& r, TensorId id);

bool is_linear(const Node& node);
// A linear node of floats whose weight, and bias if any, are constants of a size that can be computed with.
bool has_constant_weight(const Rewriter& r, const Node& node);

// Where channels lie in a tensor of the given rank that a linear node reads or writes.
size_t channel_axis(const Node& linear, size_t rank);
int64_t output_channels(const Rewriter& r, const Node& linear);

// Weights can be large: they stay in fp32.
std::vector<float> read_weight(const Tensor& weight);
// A constant with the name, dtype and shape of `old`.
TensorId write_weight(Rewriter& r, const Tensor& old, const std::vector<float>& values, bool opaque);

// Zeros when the node has no bias.
ConstantValues bias_of(const Rewriter& r, const Node& linear);
TensorId write_bias(Rewriter& r, const Node& linear, const ConstantValues& bias);

}  // namespace presil::graph
