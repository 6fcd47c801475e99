#include "graph/evaluate.h"

#include "graph/evaluation.h"

namespace presil::graph {

Result<std::vector<std::byte>> evaluate(const Graph& graph, const Node& node,
                                        std::span<const std::span<const std::byte>> inputs) {
  Evaluation e{graph, node, inputs};
  switch (node.op) {
    case Op::elementwise:
      return evaluate_elementwise(e);
    case Op::cast:
      return evaluate_cast(e);
    case Op::matmul:
      return evaluate_matmul(e);
    case Op::conv:
      return evaluate_conv(e);
    case Op::conv_transpose:
      return evaluate_conv_transpose(e);
    case Op::pool:
      return evaluate_pool(e);
    case Op::reduce:
      return evaluate_reduce(e);
    case Op::softmax:
      return evaluate_softmax(e);
    case Op::layer_norm:
      return evaluate_layer_norm(e);
    case Op::resize:
      return evaluate_resize(e);
    case Op::reshape:
      return ByteVector(inputs[0].begin(), inputs[0].end());
    case Op::transpose:
      return evaluate_transpose(e);
    case Op::slice:
      return evaluate_slice(e);
    case Op::concat:
      return evaluate_concat(e);
    case Op::pad:
      return evaluate_pad(e);
    case Op::gather:
      return evaluate_gather(e);
    case Op::expand:
      return evaluate_expand(e);
    case Op::select: {
      const bool holds = e.integers(0)[0] != 0;
      if (inputs.size() == 2 && holds != node.attrs.expected) return e.error("the branch taken cannot run");
      const auto& chosen = inputs[inputs.size() == 2 || holds ? 1 : 2];
      return ByteVector(chosen.begin(), chosen.end());
    }
    case Op::enter:
    case Op::leave:
      return e.error("is part of a loop");
  }
  return e.error("unknown op");
}

}  // namespace presil::graph
