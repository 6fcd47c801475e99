// The anchor of a step: brings inputs and weights into the form its kernel wants and calls it.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/emitter.h"
#include "kernels/packed_conv.h"

namespace presil::compiler {

using graph::Op;
using graph::TensorId;
using kernels::Block;
using kernels::HbmView;
using kernels::Range;
using kernels::Weights;

namespace {

std::optional<TensorId> optional_input(const graph::Node& node, size_t index) {
  if (index >= node.inputs.size() || !node.inputs[index].valid()) return std::nullopt;
  return node.inputs[index];
}

// A group of `out` as a block of its own, and where it begins along the partition axis.
struct OutGroup {
  Block block;
  int64_t begin = 0, partitions = 0;
};
std::vector<OutGroup> groups_of(const Block& out) {
  std::vector<OutGroup> groups;
  int64_t begin = 0;
  for (const kernels::Group& g : out.groups) {
    Block part = *sliced(out, out.partition_axis, Range{begin, g.partitions, 1});
    part.row_begin = out.row_begin, part.full_rows = out.full_rows;
    groups.push_back({part, begin, g.partitions});
    begin += g.partitions;
  }
  return groups;
}

// [N, C, L] as [N, C, 1, L].
Block with_rows(const Block& block) {
  if (block.rank() != 3) return block;
  Block out = *reshaped(block, {block.shape[0], block.shape[1], 1, block.shape[2]});
  out.row_begin = 0, out.full_rows = 1;
  return out;
}

}  // namespace

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

std::optional<Block> Emitter::bias_column(const Step& step, std::optional<TensorId> bias, int64_t begin, int64_t m,
                                          const std::vector<int64_t>& cut) {
  if (!bias) return std::nullopt;
  auto key = std::pair(step.anchor, fmt::format("bias{}", begin));
  auto found = weights_.find(key);
  if (found != weights_.end()) return found->second;
  const graph::Tensor& tensor = graph_.at(*bias);
  if (!values_.at(*bias).hbm && tensor.constant) {
    values_.at(*bias).hbm = kernels::row_major(add_constant(context_, tensor.name, converted(tensor, DType::fp32)),
                                               DType::fp32, tensor.shape);
  }
  HbmView view =
      sliced(*kernels::reshaped(values_.hbm(*bias), {graph::element_count(tensor.shape)}), 0, Range{begin, m, 1});
  source(step, "load bias");
  Block block = allocate_cut(context_, DType::fp32, {m}, 0, cut, tensor.name);
  load(context_, view, block);
  return weights_.emplace(key, block).first->second;
}

Weights Emitter::matmul_weights(const Step& step, size_t group_index, const Block& in, const std::string& part,
                                HostTensor host, std::optional<TensorId> bias, int64_t begin, int64_t m) {
  auto key = std::pair(step.anchor, fmt::format("{}{}", part, group_index));
  auto found = weights_.find(key);
  if (found == weights_.end()) {
    source(step, "load weights");
    const graph::Node& node = graph_.nodes[step.anchor];
    uint32_t tensor =
        add_constant(context_, fmt::format("{}.{}{}", graph_.at(node.inputs[1]).name, part, group_index), host);
    std::vector<int64_t> cut = part == "taps" ? std::vector<int64_t>{host.shape[0]} : cut_of(in);
    Block block = allocate_cut(context_, host.dtype, host.shape, 0, cut, graph_.at(node.inputs[1]).name);
    load(context_, kernels::row_major(tensor, host.dtype, host.shape), block);
    found = weights_.emplace(key, block).first;
  }
  Weights w{found->second, bias_column(step, bias, begin, m, {m})};
  source(step, step_kind_name(step.kind));
  return w;
}

Result<Block> Emitter::anchor(const Step& step, Scope& scope, DType dtype, const kernels::Epilogue& epilogue) {
  switch (step.kind) {
    case StepKind::conv:
      return conv(step, scope, dtype, epilogue);
    case StepKind::packed_conv:
      return packed_conv(step, scope, dtype, epilogue);
    case StepKind::depthwise:
      return depthwise(step, scope, dtype);
    case StepKind::conv_transpose:
      return conv_transpose(step, scope, dtype);
    case StepKind::linear:
      return linear(step, dtype, epilogue);
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

Result<Block> Emitter::conv(const Step& step, Scope& scope, DType dtype, const kernels::Epilogue& epilogue) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Tensor& w = graph_.at(node.inputs[1]);
  kernels::Window window = window_of(graph_, node);
  Block in = channels(node.inputs[0], scope);
  Block out = result(node.output, scope, dtype);
  Block shaped = with_rows(out);
  DType operand = value_dtype(graph_, plan_, node.inputs[0]);
  int64_t channels = graph_.at(node.inputs[0]).shape[1];
  bool pointwise = window.kernel[0] == 1 && window.kernel[1] == 1 && window.stride[0] == 1 && window.stride[1] == 1 &&
                   node.attrs.pads == std::vector<int64_t>(node.attrs.pads.size(), 0);
  auto groups = groups_of(shaped);
  for (size_t g = 0; g < groups.size(); ++g) {
    const OutGroup& group = groups[g];
    Weights weights = matmul_weights(
        step, g, in, "m", conv_weights(w, channels, node.attrs.group, group.begin, group.partitions, operand),
        optional_input(node, 2), group.begin, group.partitions);
    if (pointwise && in.shape[2] == group.block.shape[2] && is_dense(in) && is_dense(group.block)) {
      Weights flat{*reshaped(weights.weights, {channels, group.partitions}), weights.bias};
      kernels::linear(context_, flat, in, group.block, epilogue);
    } else {
      kernels::conv(context_, window, weights, in, group.block, epilogue);
    }
  }
  return out;
}

Result<Block> Emitter::packed_conv(const Step& step, Scope& scope, DType dtype, const kernels::Epilogue& epilogue) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Tensor& w = graph_.at(node.inputs[1]);
  HbmView in = values_.hbm(node.inputs[0]);
  if (scope.banded) in = sliced(in, 0, Range{scope.image, 1, 1});
  if (in.shape.size() == 3) in = *kernels::reshaped(in, {in.shape[0], in.shape[1], 1, in.shape[2]});
  Block out = result(node.output, scope, dtype);
  DType operand = value_dtype(graph_, plan_, node.inputs[0]);
  auto groups = groups_of(with_rows(out));
  for (size_t g = 0; g < groups.size(); ++g) {
    const OutGroup& group = groups[g];
    Weights weights = matmul_weights(step, g, out, "taps", packed_weights(w, group.begin, group.partitions, operand),
                                     optional_input(node, 2), group.begin, group.partitions);
    kernels::conv_packed(context_, window_of(graph_, node), operand, weights, in, group.block, epilogue);
  }
  return out;
}

Result<Block> Emitter::depthwise(const Step& step, Scope& scope, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  Block in = channels(node.inputs[0], scope);
  Block out = result(node.output, scope, dtype);
  if (cut_of(in) != cut_of(out)) {
    Block same = allocate_cut(context_, in.dtype, in.shape, 1, cut_of(out), "regrouped");
    same.row_begin = in.row_begin, same.full_rows = in.full_rows;
    relayout(context_, in, same);
    in = same;
  }
  Weights weights = matmul_weights(step, 0, in, "d", depthwise_weights(graph_.at(node.inputs[1])), std::nullopt, 0, 0);
  weights.bias = bias_column(step, optional_input(node, 2), 0, graph_.at(node.output).shape[1], cut_of(out));
  source(step, "depthwise");
  kernels::depthwise(context_, window_of(graph_, node), weights, in, with_rows(out));
  return out;
}

Result<Block> Emitter::conv_transpose(const Step& step, Scope& scope, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Tensor& w = graph_.at(node.inputs[1]);
  Block in = channels(node.inputs[0], scope);
  Block out = result(node.output, scope, dtype);
  DType operand = value_dtype(graph_, plan_, node.inputs[0]);
  auto groups = groups_of(with_rows(out));
  for (size_t g = 0; g < groups.size(); ++g) {
    const OutGroup& group = groups[g];
    Weights weights =
        matmul_weights(step, g, in, "m", transpose_weights(w, node.attrs.group, group.begin, group.partitions, operand),
                       optional_input(node, 2), group.begin, group.partitions);
    kernels::conv_transpose(context_, window_of(graph_, node), weights, in, group.block);
  }
  return out;
}

Result<Block> Emitter::linear(const Step& step, DType dtype, const kernels::Epilogue& epilogue) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape& shape = graph_.at(node.output).shape;
  int axis = static_cast<int>(shape.size()) - 1;
  Block in = values_.block(node.inputs[0], axis);
  if (!is_dense(in)) {
    Block dense = allocate_cut(context_, in.dtype, in.shape, axis, cut_of(in), "dense");
    copy_block(context_, in, dense);
    in = dense;
  }
  Block out = allocate(context_, dtype, shape, axis, graph_.at(node.output).name);
  DType operand = value_dtype(graph_, plan_, node.inputs[0]);
  auto groups = groups_of(out);
  for (size_t g = 0; g < groups.size(); ++g) {
    const OutGroup& group = groups[g];
    Weights weights = matmul_weights(step, g, in, "n",
                                     linear_weights(graph_.at(node.inputs[1]), group.begin, group.partitions, operand),
                                     optional_input(node, 2), group.begin, group.partitions);
    kernels::linear(context_, weights, in, group.block, epilogue);
  }
  return out;
}

Result<Block> Emitter::matmul(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape& shape = graph_.at(node.output).shape;
  if (graph_.at(node.inputs[0]).shape.size() < 2 || graph_.at(node.inputs[1]).shape.size() < 2)
    return unsupported("matmul with a vector operand", node.source);
  auto ranked = [&](TensorId t, int from_end) {
    const graph::Shape& own = graph_.at(t).shape;
    Block block = values_.block(t, static_cast<int>(own.size()) - from_end);
    std::vector<int64_t> wide(shape.size() - own.size(), 1);
    wide.insert(wide.end(), own.begin(), own.end());
    return *reshaped(block, wide);
  };
  Block a = ranked(node.inputs[0], 1), b = ranked(node.inputs[1], 2);
  if (cut_of(a) != cut_of(b)) {
    Block same = allocate_cut(context_, b.dtype, b.shape, b.partition_axis, cut_of(a), "regrouped");
    relayout(context_, b, same);
    b = same;
  }
  Block out = allocate(context_, dtype, shape, static_cast<int>(shape.size()) - 2, graph_.at(node.output).name);
  kernels::matmul(context_, a, b, out);
  if (auto bias = optional_input(node, 2)) {
    Scope whole;
    auto [column, kind] = TRY(operand(*bias, out, node.output, whole));
    Block sum = allocate(context_, dtype, shape, out.partition_axis, graph_.at(node.output).name);
    kernels::Expression add{
        2, {{.fn = graph::ElementwiseFn::add, .arguments = {kernels::value_argument(0), kernels::value_argument(1)}}}};
    TRY(elementwise(context_, add, {out, column}, {kernels::InputKind::full, kind}, sum));
    return sum;
  }
  return out;
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

Result<Block> Emitter::layer_norm(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  int64_t axis = node.attrs.axes[0], rank = static_cast<int64_t>(graph_.at(node.output).shape.size());
  std::vector<int64_t> normalized;
  for (int64_t i = axis; i < rank; ++i) normalized.push_back(i);
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

Result<Block> Emitter::concat(const Step& step, Scope& scope, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  int axis = static_cast<int>(node.attrs.axes[0]);
  int on_partitions = graph_.at(node.output).shape.size() == 4 ? 1 : values_.natural_axis(node.inputs[0]);
  std::vector<Block> parts;
  for (TensorId t : node.inputs) {
    Block block = scope.banded ? channels(t, scope) : values_.block(t, on_partitions);
    if (scope.banded) {
      Rows rows = scope.rows.needed[node.output.value];
      int64_t begin = block.row_begin;
      block = *sliced(block, 2, Range{rows.begin - begin, rows.end - rows.begin, 1});
    }
    if (block.dtype != dtype || !is_dense(block)) {
      Block dense = allocate_cut(context_, dtype, block.shape, on_partitions, cut_of(block), graph_.at(t).name);
      copy_block(context_, block, dense);
      block = dense;
    }
    parts.push_back(block);
  }
  Block out;
  if (axis == on_partitions) {
    out = *joined(parts);
  } else {
    graph::Shape shape = graph_.at(node.output).shape;
    out = allocate_cut(context_, dtype, shape, on_partitions, cut_of(parts[0]), graph_.at(node.output).name);
    int64_t begin = 0;
    for (Block& part : parts) {
      if (cut_of(part) != cut_of(out)) {
        Block same = allocate_cut(context_, dtype, part.shape, on_partitions, cut_of(out), "regrouped");
        relayout(context_, part, same);
        part = same;
      }
      int64_t extent = part.shape[static_cast<size_t>(axis)];
      copy_block(context_, part, *sliced(out, axis, Range{begin, extent, 1}));
      begin += extent;
    }
  }
  if (out.rank() == 4) {
    out.row_begin = scope.banded ? scope.rows.needed[node.output.value].begin : 0;
    out.full_rows = graph_.at(node.output).shape[2];
  }
  return out;
}

Result<Block> Emitter::pad(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  if (node.attrs.pad_mode != graph::PadMode::constant)
    return unsupported("padding other than with a constant", node.source);
  size_t rank = graph_.at(node.output).shape.size();
  std::vector<int64_t> padded;
  for (size_t i = 0; i < rank; ++i) {
    if (node.attrs.pads[i] != 0 || node.attrs.pads[rank + i] != 0) padded.push_back(static_cast<int64_t>(i));
  }
  int on_partitions = values_.natural_axis(node.inputs[0], padded);
  if (on_partitions < 0) return unsupported("padding of every axis", node.source);
  Block in = values_.block(node.inputs[0], on_partitions);
  Block out = allocate_cut(context_, dtype, graph_.at(node.output).shape, on_partitions, cut_of(in),
                           graph_.at(node.output).name);
  for (size_t g = 0; g < out.groups.size(); ++g) build_.memset({.dst = view(out, g), .value = node.attrs.pad_value});
  Block inner = out;
  for (int64_t axis : padded) {
    auto i = static_cast<size_t>(axis);
    inner = *sliced(inner, static_cast<int>(axis), Range{node.attrs.pads[i], in.shape[i], 1});
  }
  copy_block(context_, in, inner);
  return out;
}

Result<Block> Emitter::gather(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Tensor& indices = graph_.at(node.inputs[1]);
  if (!indices.constant || !indices.data) return unsupported("gather with indices that are not constant", node.source);
  int axis = static_cast<int>(node.attrs.axes[0]);
  HbmView data = values_.hbm(node.inputs[0]);
  HostTensor host = converted(indices, DType::int32);
  const graph::Shape& shape = graph_.at(node.output).shape;
  if (shape.empty()) return unsupported("gather of a scalar", node.source);
  HbmView out = kernels::row_major(
      build_.tensor(graph_.at(node.output).name, data.dtype, shape, isa::TensorRole::scratch), data.dtype, shape);
  // [leading, index, trailing] of both sides, row by row.
  graph::Shape flat(data.shape.begin(), data.shape.begin() + axis);
  int64_t count = graph::element_count(indices.shape);
  flat.push_back(count);
  flat.insert(flat.end(), data.shape.begin() + axis + 1, data.shape.end());
  HbmView rows = *kernels::reshaped(out, flat);
  for (int64_t i = 0; i < count; ++i) {
    int32_t index = 0;
    std::memcpy(&index, host.data.data() + i * 4, 4);
    int64_t at = index < 0 ? index + data.shape[static_cast<size_t>(axis)] : index;
    if (at < 0 || at >= data.shape[static_cast<size_t>(axis)])
      return bad_input(fmt::format("index {} of an axis of {}", index, data.shape[static_cast<size_t>(axis)]),
                       node.source);
    kernels::copy(context_, sliced(data, axis, Range{at, 1, 1}), sliced(rows, axis, Range{i, 1, 1}));
  }
  return values_.loaded(out, values_.natural_axis(node.output), dtype, graph_.at(node.output).name);
}

Result<void> Emitter::view_step(const Step& step) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape& shape = graph_.at(node.output).shape;
  TensorId in = node.inputs[0];
  const Value& from = values_.at(in);
  Value to;
  auto of_block = [&](const Block& block) -> std::optional<Block> {
    if (node.op == Op::reshape) return shape.empty() ? std::nullopt : reshaped(block, shape);
    if (node.op == Op::transpose) return transposed(block, node.attrs.axes);
    std::optional<Block> out = block;
    for (size_t i = 0; out && i < node.attrs.axes.size(); ++i) {
      int axis = static_cast<int>(node.attrs.axes[i]);
      out = sliced(*out, axis, Range{node.attrs.starts[i], shape[static_cast<size_t>(axis)], node.attrs.steps[i]});
    }
    return out;
  };
  auto of_hbm = [&](const HbmView& view) -> std::optional<HbmView> {
    if (node.op == Op::reshape) return kernels::reshaped(view, shape);
    if (node.op == Op::transpose) return transposed(view, node.attrs.axes);
    HbmView out = view;
    for (size_t i = 0; i < node.attrs.axes.size(); ++i) {
      int axis = static_cast<int>(node.attrs.axes[i]);
      out = sliced(out, axis, Range{node.attrs.starts[i], shape[static_cast<size_t>(axis)], node.attrs.steps[i]});
    }
    return out;
  };
  if (from.block) to.block = of_block(*from.block);
  if (!to.block && from.hbm) to.hbm = of_hbm(*from.hbm);
  if (!to.block && !to.hbm && from.block) {
    // Another axis on partitions may have a view: a transpose in the core is cheaper than a trip to HBM.
    for (int axis = 0; axis < from.block->rank() && !to.block; ++axis) {
      if (from.block->shape[static_cast<size_t>(axis)] <= 1 || axis == from.block->partition_axis) continue;
      Block probe = *from.block;
      probe.partition_axis = axis;
      probe.groups = {{0, probe.shape[static_cast<size_t>(axis)], 0}};
      int64_t stride = 1;
      for (int i = probe.rank() - 1; i >= 0; --i) {
        probe.strides[static_cast<size_t>(i)] = i == axis ? 0 : stride;
        if (i != axis) stride *= probe.shape[static_cast<size_t>(i)];
      }
      if (of_block(probe)) to.block = of_block(values_.with_axis(*from.block, axis));
    }
  }
  if (!to.block && !to.hbm) {
    HbmView stored = values_.hbm(in);
    to.hbm = of_hbm(stored);
    if (!to.hbm) {
      // A strided view that no reshape fits: a row-major copy has every reshape.
      HbmView dense = kernels::row_major(
          build_.tensor(graph_.at(node.output).name, stored.dtype, stored.shape, isa::TensorRole::scratch),
          stored.dtype, stored.shape);
      kernels::copy(context_, stored, dense);
      to.hbm = of_hbm(dense);
    }
  }
  values_.at(node.output) = to;
  return {};
}

Result<void> Emitter::expand(const Step& step) {
  const graph::Node& node = graph_.nodes[step.anchor];
  values_.at(node.output).hbm = kernels::broadcast(values_.hbm(node.inputs[0]), graph_.at(node.output).shape);
  return {};
}

Result<void> Emitter::gemm(const Step& step) {
  const graph::Node& node = graph_.nodes[step.anchor];
  DType dtype = value_dtype(graph_, plan_, node.output);
  auto operand = [&](TensorId t) {
    HbmView view = values_.hbm(t);
    if (view.dtype == dtype) return view;
    HbmView cast = kernels::row_major(build_.tensor(graph_.at(t).name, dtype, view.shape, isa::TensorRole::scratch),
                                      dtype, view.shape);
    kernels::copy(context_, view, cast);
    return cast;
  };
  Value& value = values_.at(node.output);
  bool is_output = std::find(graph_.outputs.begin(), graph_.outputs.end(), node.output) != graph_.outputs.end();
  const graph::Tensor& tensor = graph_.at(node.output);
  value.hbm = is_output ? output_tensor(node.output)
                        : kernels::row_major(build_.tensor(tensor.name, dtype, tensor.shape, isa::TensorRole::scratch),
                                             dtype, tensor.shape);
  kernels::gemm(context_, step.blocking, dtype, operand(node.inputs[0]), operand(node.inputs[1]), *value.hbm);
  return {};
}

}  // namespace presil::compiler
