// Brings a step's inputs into the form its kernel wants, and the anchors of pooling, resizing and normalization.

#include <algorithm>

#include "compiler/emitter.h"

namespace presil::compiler {

using graph::TensorId;
using kernels::Block;
using kernels::HbmView;

std::optional<TensorId> optional_input(const graph::Node& node, size_t index) {
  if (index >= node.inputs.size() || !node.inputs[index].valid()) return std::nullopt;
  return node.inputs[index];
}

Block with_rows(const Block& block) {
  if (block.rank() != 3) return block;
  Block out = *reshaped(block, {block.shape[0], block.shape[1], 1, block.shape[2]});
  out.row_begin = 0, out.full_rows = 1;
  return out;
}

Block Emitter::channels(TensorId t, Scope& scope) {
  if (!scope.banded) {
    Block block = with_rows(values_.block(t, 1));
    block.row_begin = 0;
    if (block.rank() == 4) block.full_rows = block.shape[2];
    return block;
  }
  auto local = scope.local.find(t.value);
  if (local != scope.local.end()) return local->second;
  return values_.rows(t, scope.image, scope.rows.needed[t.value]);
}

Block Emitter::result(TensorId t, Scope& scope, DType dtype, int axis) {
  graph::Shape shape = graph_.at(t).shape;
  int64_t full = shape.size() == 4 ? shape[2] : 0;
  Rows rows{0, full};
  if (scope.banded) {
    rows = scope.rows.needed[t.value];
    shape[0] = 1, shape[2] = rows.end - rows.begin;
  }
  Block block = allocate(context_, dtype, shape, axis, graph_.at(t).name);
  block.row_begin = rows.begin, block.full_rows = full;
  return block;
}

Result<Block> Emitter::anchor(const Step& step, Scope& scope, DType dtype, const Tail& tail) {
  switch (step.kind) {
    case StepKind::conv:
      return conv(step, scope, dtype, tail);
    case StepKind::packed_conv:
      return packed_conv(step, scope, dtype, tail);
    case StepKind::depthwise:
      return depthwise(step, scope, dtype);
    case StepKind::conv_transpose:
      return conv_transpose(step, scope, dtype, tail);
    case StepKind::linear:
      return linear(step, scope, dtype, tail);
    case StepKind::matmul:
      return matmul(step, dtype);
    case StepKind::pool:
      return pool(step, scope, dtype);
    case StepKind::resize:
      return resize(step, scope, dtype);
    case StepKind::softmax:
      return softmax(step, dtype);
    case StepKind::layer_norm:
      return layer_norm(step, dtype);
    case StepKind::reduce:
      return reduce(step, dtype);
    case StepKind::concat:
      return concat(step, scope, dtype);
    case StepKind::pad:
      return pad(step, dtype);
    case StepKind::gather:
      return gather(step, dtype);
    default:
      break;
  }
  CHECK(false, "an anchor that makes a block");
}

Result<Block> Emitter::pool(const Step& step, Scope& scope, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  Block in = channels(node.inputs[0], scope);
  Block out =
      scope.banded || graph_.at(node.output).shape.size() != 4
          ? result(node.output, scope, dtype)
          : allocate_cut(context_, dtype, graph_.at(node.output).shape, 1, cut_of(in), graph_.at(node.output).name);
  if (cut_of(out) != cut_of(in)) {
    graph::Shape shape = out.shape;
    int64_t begin = out.row_begin, full = out.full_rows;
    out = allocate_cut(context_, dtype, shape, 1, cut_of(in), graph_.at(node.output).name);
    out.row_begin = begin, out.full_rows = full;
  }
  Block shaped = with_rows(out);
  if (!scope.banded) shaped.full_rows = shaped.shape[2];
  kernels::pool(context_, node.attrs.pool, window_of(graph_, node), node.attrs.count_include_pad, in, shaped);
  return out;
}

Result<Block> Emitter::resize(const Step& step, Scope& scope, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const auto& scales = node.attrs.scales;
  if (graph_.at(node.output).shape.size() != 4 || (scales.size() == 4 && (scales[0] != 1 || scales[1] != 1))) {
    return unsupported("resize of other than rows and columns of [N, C, H, W]", node.source);
  }
  Block in = channels(node.inputs[0], scope);
  Block fresh = result(node.output, scope, dtype);
  Block out = allocate_cut(context_, dtype, fresh.shape, 1, cut_of(in), graph_.at(node.output).name);
  out.row_begin = fresh.row_begin, out.full_rows = fresh.full_rows;
  kernels::ResizeParams p{
      .mode = node.attrs.resize, .coordinates = node.attrs.coordinates, .rounding = node.attrs.rounding};
  for (size_t i = 0; i < 2; ++i) p.scale[i] = scales[2 + i];
  kernels::resize(context_, p, in, out);
  return out;
}

Result<Block> Emitter::softmax(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  int64_t axis = node.attrs.axes[0];
  int on_partitions = values_.natural_axis(node.inputs[0], {axis});
  if (on_partitions < 0) {
    // One axis only: give it a partition of its own.
    return unsupported("softmax of a vector", node.source);
  }
  Block in = values_.block(node.inputs[0], on_partitions);
  Block out = allocate_cut(context_, dtype, in.shape, in.partition_axis, cut_of(in), graph_.at(node.output).name);
  kernels::softmax(context_, static_cast<int>(axis), in, out);
  return out;
}

// Features already lie on partitions, as a linear layer left them, and their last axis alone is normalized.
std::optional<Block> Emitter::layer_norm_across(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape& shape = graph_.at(node.output).shape;
  const int last = static_cast<int>(shape.size()) - 1;
  const Value& value = values_.at(node.inputs[0]);
  if (node.attrs.axes[0] != last || last < 1 || !value.block || value.block->partition_axis != last)
    return std::nullopt;
  Block in = *value.block;
  if (!is_float(in.dtype) || dtype_bytes(in.dtype) < 2 || !is_float(dtype) || dtype_bytes(dtype) < 2)
    return std::nullopt;
  if (!is_dense(in)) {
    Block dense = allocate_cut(context_, in.dtype, in.shape, last, cut_of(in), "dense");
    copy_block(context_, in, dense);
    in = dense;
  }
  Block out = allocate_cut(context_, dtype, shape, last, cut_of(in), graph_.at(node.output).name);
  const int64_t features = shape.back(), rows = graph::element_count(shape) / features;
  auto column = [&](size_t index) { return bias_column(step, optional_input(node, index), 0, features, cut_of(in)); };
  const std::optional<Block> scale = column(1), bias = column(2);
  source(step, "layer_norm");
  kernels::layer_norm_across(context_, node.attrs.epsilon, *reshaped(in, {rows, features}), scale, bias,
                             *reshaped(out, {rows, features}));
  return out;
}

Result<Block> Emitter::layer_norm(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  int64_t axis = node.attrs.axes[0], rank = static_cast<int64_t>(graph_.at(node.output).shape.size());
  std::vector<int64_t> normalized;
  for (int64_t i = axis; i < rank; ++i) normalized.push_back(i);
  if (auto across = layer_norm_across(step, dtype)) return *across;
  int on_partitions = values_.natural_axis(node.inputs[0], normalized);
  if (on_partitions < 0) return unsupported("layer normalization over all axes", node.source);
  Block in = values_.block(node.inputs[0], on_partitions);
  Block out = allocate_cut(context_, dtype, in.shape, in.partition_axis, cut_of(in), graph_.at(node.output).name);
  // Scale and bias repeat over partitions: [1.., P, ..1, normalized axes].
  auto spread = [&](std::optional<TensorId> t) -> std::optional<Block> {
    if (!t) return std::nullopt;
    std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
    for (int64_t i = axis; i < rank; ++i)
      shape[static_cast<size_t>(i)] = graph_.at(node.output).shape[static_cast<size_t>(i)];
    HbmView view = *kernels::reshaped(values_.hbm(*t), shape);
    shape[static_cast<size_t>(on_partitions)] = in.shape[static_cast<size_t>(on_partitions)];
    Block block = allocate_cut(context_, DType::fp32, shape, on_partitions, cut_of(in), graph_.at(*t).name);
    load(context_, kernels::broadcast(view, shape), block);
    return block;
  };
  kernels::layer_norm(context_, static_cast<int>(axis), node.attrs.epsilon, in, spread(optional_input(node, 1)),
                      spread(optional_input(node, 2)), out);
  return out;
}

Result<Block> Emitter::reduce(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  std::vector<int64_t> axes = node.attrs.axes;
  int on_partitions = values_.natural_axis(node.inputs[0], axes);
  const graph::Shape& shape = graph_.at(node.inputs[0]).shape;
  if (on_partitions < 0 || shape[static_cast<size_t>(on_partitions)] == 1)
    on_partitions = values_.natural_axis(node.inputs[0]);
  Block in = values_.block(node.inputs[0], on_partitions);
  graph::Shape kept = shape;
  for (int64_t a : axes) kept[static_cast<size_t>(a)] = 1;
  bool whole_axis = kept[static_cast<size_t>(on_partitions)] != 1 || shape[static_cast<size_t>(on_partitions)] == 1;
  Block out = whole_axis ? allocate_cut(context_, dtype, kept, on_partitions, cut_of(in), graph_.at(node.output).name)
                         : allocate(context_, dtype, kept, on_partitions, graph_.at(node.output).name);
  kernels::reduce(context_, node.attrs.reduce, axes, in, out);
  if (graph_.at(node.output).shape == kept) return out;
  if (auto squeezed = reshaped(out, graph_.at(node.output).shape)) return *squeezed;
  HbmView view = values_.stored(out, graph_.at(node.output).name);
  view = *kernels::reshaped(view, graph_.at(node.output).shape);
  if (view.shape.empty()) return unsupported("reduction to a scalar", node.source);
  return values_.loaded(view, values_.natural_axis(node.output), dtype, graph_.at(node.output).name);
}

}  // namespace presil::compiler
