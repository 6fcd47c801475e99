// softmax(alpha Q K^T + mask) V for heads whose operands lie with features on partitions, as projections leave them;
// see attention.cc.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "kernels/block.h"

namespace presil::kernels {

// Rows of a block [rows, features], features on partitions: row, row + step, ...
struct RowsOf {
  const Block* block = nullptr;
  int64_t row = 0, step = 1;
};

// A head's first feature in each operand's block; it has `width` of them.
struct Head {
  int64_t q = 0, k = 0, v = 0, out = 0;
};

struct AttentionShape {
  int64_t queries = 1, keys = 1, width = 1;
  float alpha = 1;  // positive
  bool causal =
      false;  // a query attends to its own key, in the order of rows, and those before; as many keys as queries
};

// Whether a feature range may be an operand: `width` features from `feature` of `features` lie on partitions at which
// an engine may begin.
bool attention_fits(const spec::ChipSpec&, int64_t width, int64_t feature, int64_t features);

// The addend [queries, keys] of a head's scores in SBUF, fp32.
using MaskView = std::function<isa::View(size_t head, int64_t query, int64_t queries)>;

// A mask that is the same for all queries and heads: [1, keys] in SBUF, fp32. It takes one more row of the array, and
// copies of the operands; worth it where they cost less than passes over the scores.
using KeyMask = std::function<isa::View()>;
bool masks_keys(const spec::ChipSpec&, const AttentionShape&);

// Heads over the same rows. At most one of the masks is there.
struct AttentionRows {
  RowsOf q, k, v, out;
  std::vector<Head> heads;
  MaskView mask;
  KeyMask key_mask;
};
void attention(Context&, const AttentionShape&, std::span<const AttentionRows>);

}  // namespace presil::kernels
