// Brings a step's inputs into the form its kernel wants, and the anchors of pooling, resizing and normalization.

#include <algorithm>
#include <cstring>

#include "compiler/emitter.h"
#include "graph/resize.h"

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
    case StepKind::unfold:
      return unfold(step, dtype, tail.epilogue);
    case StepKind::linear:
      return linear(step, scope, dtype, tail);
    case StepKind::matmul:
      return matmul(step, dtype);
    case StepKind::pool:
      return pool(step, scope, dtype);
    case StepKind::resize:
      return resize(step, scope, dtype);
    case StepKind::resize_matmul:
      return resize_matmul(step, dtype);
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

namespace {

// [inputs, outputs]: what each output takes of each input.
HostTensor resize_matrix(const graph::Attributes& attrs, size_t axis, int64_t inputs, int64_t outputs) {
  std::vector<float> weights(static_cast<size_t>(inputs * outputs), 0.0f);
  std::vector<graph::ResizeTap> taps = graph::resize_taps(attrs, axis, inputs, outputs);
  for (int64_t o = 0; o < outputs; ++o) {
    const graph::ResizeTap& tap = taps[static_cast<size_t>(o)];
    weights[static_cast<size_t>(tap.low * outputs + o)] += 1.0f - tap.high_weight;
    weights[static_cast<size_t>(tap.high * outputs + o)] += tap.high_weight;
  }
  HostTensor host{DType::fp32, {inputs, outputs}, std::vector<std::byte>(weights.size() * sizeof(float))};
  std::memcpy(host.data.data(), weights.data(), host.data.size());
  return host;
}

}  // namespace

// out = rows' x in x columns, rows of the input on partitions first, then its columns, then rows of the output.
Result<Block> Emitter::resize_matmul(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape &in = graph_.at(node.inputs[0]).shape, &out = graph_.at(node.output).shape;
  auto matrix = [&](size_t axis, const std::vector<int64_t>& cut) {
    HostTensor host = resize_matrix(node.attrs, axis, in[axis], out[axis]);
    HbmView view = kernels::row_major(0, host.dtype, host.shape);
    view.tensor = values_.constant(node.source + (axis == 2 ? ".rows" : ".columns"), std::move(host));
    Block block = allocate_cut(context_, DType::fp32, view.shape, 0, cut, "resize matrix");
    load(context_, view, block);
    return block;
  };
  Block from = values_.block(node.inputs[0], 2);
  if (from.dtype != DType::fp32) {
    Block wide = allocate_cut(context_, DType::fp32, from.shape, 2, cut_of(from), "fp32");
    copy_block(context_, from, wide);
    from = wide;
  }
  Block turned = allocate(context_, DType::fp32, {in[0], in[1], in[3], out[2]}, 2, "resized rows");
  kernels::matmul(context_, transposed(from, {0, 1, 3, 2}), matrix(2, cut_of(from)), turned);
  Block result = allocate(context_, dtype, out, 2, graph_.at(node.output).name);
  kernels::matmul(context_, transposed(turned, {0, 1, 3, 2}), matrix(3, cut_of(turned)), result);
  return result;
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
  std::vector<int64_t> normalized_axes;
  for (int64_t i = axis; i < rank; ++i) normalized_axes.push_back(i);
  if (auto across = layer_norm_across(step, dtype)) return *across;
  int on_partitions = values_.natural_axis(node.inputs[0], normalized_axes);
  if (on_partitions < 0) return unsupported("layer normalization over all axes", node.source);
  return normalized(step, values_.block(node.inputs[0], on_partitions), static_cast<int>(axis), dtype);
}

// `in` has the node's normalized axes from `axis` on, whatever comes before.
Result<Block> Emitter::normalized(const Step& step, Block in, int axis, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const auto on_partitions = static_cast<size_t>(in.partition_axis);
  Block out = allocate_cut(context_, dtype, in.shape, in.partition_axis, cut_of(in), graph_.at(node.output).name);
  // Scale and bias repeat over partitions: [1.., P, ..1, normalized axes].
  auto spread = [&](std::optional<TensorId> t) -> std::optional<Block> {
    if (!t) return std::nullopt;
    std::vector<int64_t> shape(in.shape.size(), 1);
    std::copy(in.shape.begin() + axis, in.shape.end(), shape.begin() + axis);
    HbmView view = *kernels::reshaped(values_.hbm(*t), shape);
    shape[on_partitions] = in.shape[on_partitions];
    Block block = allocate_cut(context_, DType::fp32, shape, in.partition_axis, cut_of(in), graph_.at(*t).name);
    load(context_, kernels::broadcast(view, shape), block);
    return block;
  };
  kernels::layer_norm(context_, axis, node.attrs.epsilon, in, spread(optional_input(node, 1)),
                      spread(optional_input(node, 2)), out);
  return out;
}

bool Emitter::normalizes_rows(const Step& step) {
  if (step.kind != StepKind::layer_norm || !step.chain.empty()) return false;
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape& shape = graph_.at(node.output).shape;
  const Value& value = values_.at(node.inputs[0]);
  if (value.block && value.block->partition_axis >= node.attrs.axes[0]) return false;  // layer_norm_across
  const auto lanes = static_cast<int64_t>(spec_.sbuf.partitions);
  int64_t longest = 1, rows = 1;
  for (int64_t i = 0; i < node.attrs.axes[0]; ++i) {
    longest = std::max(longest, shape[static_cast<size_t>(i)]);
    rows *= shape[static_cast<size_t>(i)];
  }
  // A trip to HBM costs about as much as a pass over the elements with all lanes.
  return std::min(rows, lanes) >= 2 * std::min(longest, lanes);
}

Result<void> Emitter::layer_norm_rows(const Step& step) {
  const graph::Node& node = graph_.nodes[step.anchor];
  const graph::Shape& shape = graph_.at(node.output).shape;
  const int64_t axis = node.attrs.axes[0];
  graph::Shape rows{graph::element_count({shape.begin(), shape.begin() + axis})};
  rows.insert(rows.end(), shape.begin() + axis, shape.end());
  HbmView from = values_.hbm(node.inputs[0]);
  auto flat = kernels::reshaped(from, rows);
  if (!flat) {
    HbmView dense = kernels::row_major(
        values_.tensor(graph_.at(node.inputs[0]).name, from.dtype, from.shape, isa::TensorRole::scratch), from.dtype,
        from.shape);
    kernels::copy(context_, from, dense);
    flat = kernels::reshaped(dense, rows);
  }
  const DType read = value_dtype(graph_, plan_, node.inputs[0]), made = value_dtype(graph_, plan_, node.output);
  Block in = values_.loaded(*flat, 0, read, graph_.at(node.inputs[0]).name);
  Block out = TRY(normalized(step, in, 1, made));
  bool is_output = std::find(graph_.outputs.begin(), graph_.outputs.end(), node.output) != graph_.outputs.end();
  HbmView to =
      is_output ? output_tensor(node.output)
                : kernels::row_major(values_.tensor(graph_.at(node.output).name, made, shape, isa::TensorRole::scratch),
                                     made, shape);
  values_.store(out, *kernels::reshaped(to, rows));
  values_.at(node.output).hbm = to;
  return {};
}

Result<Block> Emitter::reduce(const Step& step, DType dtype) {
  const graph::Node& node = graph_.nodes[step.anchor];
  std::vector<int64_t> axes = node.attrs.axes;
  int on_partitions = values_.natural_axis(node.inputs[0], axes);
  const graph::Shape& shape = graph_.at(node.inputs[0]).shape;
  if (on_partitions < 0 || shape[static_cast<size_t>(on_partitions)] == 1)
    on_partitions = values_.natural_axis(node.inputs[0]);
  Block in = values_.block(node.inputs[0], on_partitions);
  if (!is_float(in.dtype)) {  // the tensor engine sums floats only; whole numbers stay exact
    Block floats =
        allocate_cut(context_, DType::fp32, in.shape, on_partitions, cut_of(in), graph_.at(node.output).name);
    copy_block(context_, in, floats);
    in = floats;
  }
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
  return values_.loaded(view, values_.natural_axis(node.output), dtype, graph_.at(node.output).name);
}

}  // namespace presil::compiler
