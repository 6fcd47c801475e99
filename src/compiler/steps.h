// Graph nodes to steps: an anchor with the chain of element-wise nodes that can run behind it.
#pragma once
#include "compiler/plan.h"
#include "spec/chip_spec.h"

namespace presil::compiler {

// Steps in an order in which every input is made before it is used. Errors name the node that no step covers.
Result<std::vector<Step>> make_steps(const graph::Graph&, const spec::ChipSpec&);

// Nodes of a step in order: the anchor (unless the chain begins with it), then the chain.
std::vector<uint32_t> nodes_of(const Step&);
// Tensors that a step reads and no node of it makes, constants included, each once.
std::vector<graph::TensorId> inputs_of(const graph::Graph&, const Step&);
// The tensor that the anchor makes; the chain starts from it.
inline graph::TensorId anchor_output(const graph::Graph& graph, const Step& step) {
  return graph.nodes[step.anchor].output;
}
// The softmax of an attention.
uint32_t softmax_of(const graph::Graph&, const Step&);
// The ONNX node that names a step.
const std::string& name_of(const graph::Graph&, const Step&);
// Whether a convolution runs as a product with windows of its input (emit_unfold.cc).
bool unfolds(const graph::Graph&, const graph::Node&, const spec::ChipSpec&);
// Tensors [N, C, H, W] with channels on partitions: what spatial primitives read and write, and what has the same shape
// as them by way of element-wise nodes.
std::vector<bool> image_tensors(const graph::Graph&);
// Useful multiply-accumulates of a step; of all nodes.
uint64_t macs_of(const graph::Graph&, const Step&);
uint64_t macs_of(const graph::Graph&);

}  // namespace presil::compiler
