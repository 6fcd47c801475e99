// Attention found in a graph of primitives: softmax(alpha Q K^T + mask) V, with the reshapes, transposes, slices and
// scalings around it that exporters write, so that one step computes all of it where the projections left their
// results.
#pragma once
#include <optional>
#include <vector>

#include "graph/graph.h"
#include "spec/chip_spec.h"

namespace presil::compiler {

// `steps` elements further in the source per index, `extent` indices.
struct Factor {
  int64_t extent = 1, step = 0;
  bool operator==(const Factor&) const = default;
};

// An operand [lead..., rows, width] as elements of a source tensor [..., features]: `width` neighbouring features.
struct AttentionOperand {
  graph::TensorId source;
  int64_t features = 1;          // the source's last extent
  int64_t feature = 0, row = 0;  // of the first element
  int64_t row_step = 1;          // source rows per row
  struct Lead {
    int64_t extent = 1, feature_step = 0, row_step = 0;
  };
  std::vector<Lead> lead;  // equal extents in all operands of an attention
};

struct Attention {
  AttentionOperand q, k, v, out;  // out.source is the result
  int64_t queries = 1, keys = 1, width = 1;
  float alpha = 1;
  graph::TensorId mask;               // addend of the scores, or not valid
  bool causal = false;                // a query attends to its own key and those before, in place of a mask
  graph::Shape scores;                // [lead..., queries, keys] as the graph has it
  uint32_t softmax = 0, product = 0;  // nodes: the softmax, and the matmul by V
  std::vector<uint32_t> nodes;        // all that the step computes, in order
};

// Consumers by tensor, and whether it is an output.
struct TensorUses {
  std::vector<std::vector<uint32_t>> consumers;  // nodes
  std::vector<uint32_t> producer;                // node; UINT32_MAX for inputs and constants
  std::vector<bool> is_output;
};
TensorUses uses_of(const graph::Graph&);

// The attention whose softmax is node `softmax`; nothing where the pattern is not there.
std::optional<Attention> find_attention(const graph::Graph&, const TensorUses&, uint32_t softmax);
// Whether engines may begin at the partitions on which the heads' features begin.
bool engines_reach(const spec::ChipSpec&, const Attention&);

}  // namespace presil::compiler
