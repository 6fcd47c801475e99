// Private to simplify.cc and the rewrite_*.cc files: one sweep over a graph's nodes in order. A rewrite looks backwards
// from one node at those that produce its operands, and then changes the node in place or drops it; producers that
// nobody reads any more disappear after the sweep.
#pragma once
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "graph/fold.h"
#include "graph/graph.h"

namespace presil::graph {

class Rewriter {
 public:
  explicit Rewriter(Graph graph);

  Graph& graph() { return graph_; }
  const Graph& graph() const { return graph_; }
  const Tensor& at(TensorId id) const { return graph_.at(id); }
  const Shape& shape(TensorId id) const { return graph_.at(id).shape; }
  bool constant(TensorId id) const { return graph_.at(id).constant; }

  // The node that produces a tensor; null for inputs and constants. Valid until the next insert().
  const Node* producer(TensorId id) const;
  const Node* producer(TensorId id, Op op) const;
  const Node* producer(TensorId id, ElementwiseFn fn) const;
  // Nodes that read the tensor, plus one if it is a graph output.
  int uses(TensorId id) const { return uses_[id.value]; }
  bool single_use(TensorId id) const { return uses_[id.value] == 1; }

  // The value of a constant of one element that decisions may depend on.
  std::optional<double> scalar(TensorId id) const;

  // Changes a node's inputs and keeps the use counts right.
  void set_inputs(Node& node, std::vector<TensorId> inputs);
  // A new node before the current one; its output's type is inferred (or `wanted`, see infer()).
  TensorId insert(Node node, TensorType wanted = {});
  TensorId add_constant(std::string name, TensorType type, Bytes data, bool opaque);
  // The current node's readers shall read `to` instead. False when an output of the graph prevents it.
  bool replace_with(Node& node, TensorId to);

  using Rewrite = bool (*)(Rewriter&, Node&);
  // Tries the rewrites on every node until none applies to it; true if any did.
  bool sweep(const std::vector<std::pair<std::string_view, Rewrite>>& rewrites);
  Graph take();

 private:
  void index_of_new(TensorId id);
  void release(TensorId id);

  Graph graph_;
  std::deque<Node> done_;       // nodes before the current one
  std::vector<int> producers_;  // per tensor: index into done_, or -1
  std::vector<int> uses_;
  std::vector<TensorId> aliases_;  // per tensor: what to read instead; itself by default
  std::vector<bool> is_output_;
};

// Operands of a commutative or one-sided binary node where exactly one is constant.
struct ConstantOperand {
  TensorId variable, constant;
};
std::optional<ConstantOperand> split_constant(const Rewriter& r, const Node& node);

bool is_elementwise(const Node& node, ElementwiseFn fn);

// rewrite_identity.cc: nodes that do nothing, or move nothing
bool remove_identity(Rewriter& r, Node& node);
bool merge_reshapes(Rewriter& r, Node& node);
bool merge_transposes(Rewriter& r, Node& node);
bool transpose_to_reshape(Rewriter& r, Node& node);
bool reduce_to_reshape(Rewriter& r, Node& node);
// rewrite_activation.cc
bool simplify_power(Rewriter& r, Node& node);
bool match_clip(Rewriter& r, Node& node);
bool match_hard_sigmoid(Rewriter& r, Node& node);
bool match_hard_swish(Rewriter& r, Node& node);
bool match_self_gated(Rewriter& r, Node& node);  // silu, mish
bool match_gelu(Rewriter& r, Node& node);
bool match_rsqrt(Rewriter& r, Node& node);
// rewrite_affine.cc
bool merge_constants(Rewriter& r, Node& node);
bool fold_affine_after(Rewriter& r, Node& node);
bool fold_affine_before(Rewriter& r, Node& node);
// rewrite_linear.cc
bool merge_linear(Rewriter& r, Node& node);
// rewrite_quantized.cc
bool drop_integer_round_trip(Rewriter& r, Node& node);
bool fold_known_value(Rewriter& r, Node& node);
bool merge_saturate(Rewriter& r, Node& node);
// rewrite_rows.cc
bool transpose_after_linear(Rewriter& r, Node& node);
bool transpose_before_linear(Rewriter& r, Node& node);
// rewrite_layer_norm.cc
bool match_layer_norm(Rewriter& r, Node& node);
bool fold_into_layer_norm(Rewriter& r, Node& node);

}  // namespace presil::graph
