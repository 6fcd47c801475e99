// Attention as one step: operands with features on partitions, heads grouped by the rows that they read.
#include <algorithm>
#include <array>

#include "compiler/attention.h"
#include "compiler/emitter.h"
#include "kernels/attention.h"

namespace presil::compiler {

using kernels::Block;
using kernels::HbmView;

namespace {

// Heads over the same rows of every operand, and each one's index among the scores' leading axes.
struct HeadGroup {
  std::array<int64_t, 4> rows{};  // of q, k, v, out
  std::vector<kernels::Head> heads;
  std::vector<int64_t> lead;
};

std::vector<HeadGroup> head_groups(const Attention& a) {
  const std::array<const AttentionOperand*, 4> operands = {&a.q, &a.k, &a.v, &a.out};
  int64_t count = 1;
  for (const auto& lead : a.q.lead) count *= lead.extent;
  std::vector<HeadGroup> groups;
  for (int64_t i = 0; i < count; ++i) {
    std::array<int64_t, 4> row{}, feature{};
    for (size_t o = 0; o < operands.size(); ++o) {
      row[o] = operands[o]->row, feature[o] = operands[o]->feature;
      int64_t rest = i;
      for (size_t axis = operands[o]->lead.size(); axis-- > 0;) {
        const auto& lead = operands[o]->lead[axis];
        row[o] += rest % lead.extent * lead.row_step, feature[o] += rest % lead.extent * lead.feature_step;
        rest /= lead.extent;
      }
    }
    auto same = std::find_if(groups.begin(), groups.end(), [&](const HeadGroup& g) { return g.rows == row; });
    if (same == groups.end()) same = groups.insert(groups.end(), HeadGroup{row, {}, {}});
    same->heads.push_back({feature[0], feature[1], feature[2], feature[3]});
    same->lead.push_back(i);
  }
  return groups;
}

// The part of a mask, repeated to the scores' shape, that belongs to a leading index.
HbmView mask_of(const HbmView& whole, int64_t lead) {
  const size_t axes = whole.shape.size() - 2;
  HbmView part = whole;
  for (size_t axis = axes; axis-- > 0;) {
    part.offset += lead % whole.shape[axis] * whole.strides[axis];
    lead /= whole.shape[axis];
  }
  part.shape.erase(part.shape.begin(), part.shape.begin() + static_cast<std::ptrdiff_t>(axes));
  part.strides.erase(part.strides.begin(), part.strides.begin() + static_cast<std::ptrdiff_t>(axes));
  return part;
}

// Loads each part of a mask once.
class Masks {
 public:
  Masks(kernels::Context& context, std::optional<HbmView> whole) : context_(context), whole_(std::move(whole)) {}

  isa::View view(int64_t lead, int64_t query, int64_t queries) {
    HbmView part = mask_of(*whole_, lead);
    part = sliced(part, 0, kernels::Range{part.strides[0] == 0 ? 0 : query, queries, 1});
    auto [found, fresh] = blocks_.try_emplace({part.offset, queries});
    if (fresh) {
      found->second = allocate(context_, DType::fp32, part.shape, 0, "mask");
      load(context_, part, found->second);
    }
    return kernels::view(found->second, 0);
  }

  // One mask for all queries and for all of these heads.
  bool of_keys(const std::vector<int64_t>& lead) const {
    if (!whole_ || whole_->strides[whole_->strides.size() - 2] != 0) return false;
    return std::all_of(lead.begin(), lead.end(),
                       [&](int64_t i) { return mask_of(*whole_, i).offset == mask_of(*whole_, lead[0]).offset; });
  }

 private:
  kernels::Context& context_;
  std::optional<HbmView> whole_;
  std::map<std::pair<int64_t, int64_t>, Block> blocks_;  // by offset and rows
};

}  // namespace

// [rows, features], features on partitions in full groups.
Block Emitter::feature_rows(graph::TensorId t, DType dtype) {
  const graph::Shape& shape = graph_.at(t).shape;
  const int axis = static_cast<int>(shape.size()) - 1;
  Block block = values_.block(t, axis);
  Block wanted = block;
  for (size_t g = 0; g + 1 < block.groups.size(); ++g) {
    if (block.groups[g].partitions == spec_.sbuf.partitions) continue;
    wanted = allocate(context_, block.dtype, block.shape, axis, "regrouped");
    relayout(context_, block, wanted);
    break;
  }
  if (!is_dense(wanted) || wanted.dtype != dtype) {
    Block copied = allocate_cut(context_, dtype, wanted.shape, axis, cut_of(wanted), "dense");
    copy_block(context_, wanted, copied);
    wanted = copied;
  }
  return *reshaped(wanted, {graph::element_count(shape) / shape.back(), shape.back()});
}

Result<Block> Emitter::attention(const Step& step, DType dtype) {
  const TensorUses uses = uses_of(graph_);
  const Attention a = *find_attention(graph_, uses, softmax_of(graph_, step));
  const DType operand = value_dtype(graph_, plan_, a.v.source);
  const Block q = feature_rows(a.q.source, operand);
  const Block k = a.k.source == a.q.source ? q : feature_rows(a.k.source, operand);
  const Block v = a.v.source == a.q.source ? q : a.v.source == a.k.source ? k : feature_rows(a.v.source, operand);
  const graph::Tensor& result = graph_.at(a.out.source);
  Block out = allocate(context_, dtype, result.shape, static_cast<int>(result.shape.size()) - 1, result.name);
  const Block rows = *reshaped(out, {graph::element_count(result.shape) / result.shape.back(), result.shape.back()});
  std::optional<HbmView> mask;
  if (a.mask.valid()) mask = kernels::broadcast(values_.hbm(a.mask), a.scores);
  source(step, step_kind_name(step.kind));
  Masks masks(context_, mask);
  std::vector<kernels::AttentionRows> groups;
  std::vector<HeadGroup> head_rows = head_groups(a);
  for (HeadGroup& g : head_rows) {
    kernels::MaskView by_query;
    kernels::KeyMask by_key;
    if (masks.of_keys(g.lead) && kernels::masks_keys(spec_, {a.queries, a.keys, a.width, a.alpha})) {
      by_key = [&masks, lead = g.lead[0]] { return masks.view(lead, 0, 1); };
    } else if (mask) {
      by_query = [&masks, lead = g.lead](size_t head, int64_t query, int64_t queries) {
        return masks.view(lead[head], query, queries);
      };
    }
    groups.push_back({{&q, g.rows[0], a.q.row_step},
                      {&k, g.rows[1], a.k.row_step},
                      {&v, g.rows[2], a.v.row_step},
                      {&rows, g.rows[3], a.out.row_step},
                      std::move(g.heads),
                      by_query,
                      by_key});
  }
  kernels::attention(context_, {a.queries, a.keys, a.width, a.alpha, a.causal}, groups);
  return out;
}

}  // namespace presil::compiler
